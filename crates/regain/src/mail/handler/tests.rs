use std::sync::Mutex;

use regain_core::Purpose;
use regain_core::mailer::{DeliveryError, LaterKind, Mailer, Parcel};

use super::*;

const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";

/// What a call was given, as text.
type Call = (&'static str, String);

/// Writes calls down, then ends as it was told.
struct Scripted {
    calls: Arc<Mutex<Vec<Call>>>,
    ending: Ending,
}

#[derive(Clone)]
enum Ending {
    Well,
    With(HandlerError),
    Never,
    Panic,
}

impl Scripted {
    async fn end(&self, method: &'static str, arguments: String) -> Result<(), HandlerError> {
        self.calls.lock().unwrap().push((method, arguments));
        match self.ending.clone() {
            Ending::Well => Ok(()),
            Ending::With(error) => Err(error),
            Ending::Never => std::future::pending().await,
            Ending::Panic => panic!("for {TOKEN}"),
        }
    }
}

fn shown(letter: &LetterDetails) -> String {
    format!("{} {} {:?} {:?}", letter.id(), letter.posted(), letter.link(), letter.expires_in())
}

#[async_trait]
impl EmailHandler for Scripted {
    async fn reset_password(
        &self,
        email: &Address,
        token: &Token,
        user_agent: Option<&UserAgent>,
        remote_ip: Option<IpAddr>,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        let (token, agent) = (token.expose(), user_agent.map(UserAgent::as_str));
        let arguments = format!("{} {} {agent:?} {remote_ip:?} {}", email.as_str(), *token, shown(letter));
        self.end("reset_password", arguments).await
    }

    async fn confirm_email(
        &self,
        email: &Address,
        token: &Token,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        let arguments = format!("{} {} {}", email.as_str(), *token.expose(), shown(letter));
        self.end("confirm_email", arguments).await
    }
}

fn mailer(ending: Ending) -> (HandlerMailer, Arc<Mutex<Vec<Call>>>) {
    let calls = Arc::default();
    let handler = Arc::new(Scripted { calls: Arc::clone(&calls), ending });
    let links = Links {
        base: Some("https://example.org".to_owned()),
        reset_lifetime: Duration::from_secs(3600),
        confirm_lifetime: Duration::from_secs(86_400),
    };
    let delivery = HandlerDelivery::new(handler);
    assert_eq!(delivery.time_limit.as_secs(), 120);
    (HandlerMailer::new(delivery.time_limit(Duration::from_secs(1)), links), calls)
}

fn parcel(purpose: Purpose) -> Parcel {
    Parcel {
        letter: LetterId::from_bytes([7; 16]),
        purpose,
        to: Address::parse("ann@example.net").unwrap(),
        token: Token::parse(TOKEN).filter(|_| purpose != Purpose::PasswordChanged),
        ip: "192.0.2.1".parse().ok(),
        agent: UserAgent::parse("Firefox"),
        posted: Timestamp::from_millis(1_795_377_610_000),
    }
}

async fn failure(ending: Ending) -> DeliveryError {
    mailer(ending).0.deliver(parcel(Purpose::Reset)).await.unwrap_err()
}

#[tokio::test]
async fn each_mail_has_its_method_and_a_repeat_has_equal_arguments() {
    let (mailer, calls) = mailer(Ending::Well);
    for purpose in [Purpose::Reset, Purpose::Reset, Purpose::Confirm] {
        mailer.deliver(parcel(purpose)).await.unwrap();
    }
    let calls = calls.lock().unwrap();
    assert_eq!(
        calls[0],
        (
            "reset_password",
            format!(
                "ann@example.net {TOKEN} Some(\"Firefox\") Some(192.0.2.1) 07070707-0707-0707-0707-070707070707 \
                 1795377610000 ms Some(\"https://example.org/reset-password?token={TOKEN}\") 3600s"
            )
        )
    );
    assert_eq!(calls[0], calls[1]);
    assert_eq!(
        calls[2],
        (
            "confirm_email",
            format!(
                "ann@example.net {TOKEN} 07070707-0707-0707-0707-070707070707 1795377610000 ms \
                 Some(\"https://example.org/confirm-email?token={TOKEN}\") 86400s"
            )
        )
    );
}

#[tokio::test]
async fn a_notice_that_nobody_implements_counts_as_sent() {
    mailer(Ending::Panic).0.deliver(parcel(Purpose::PasswordChanged)).await.unwrap();
}

#[tokio::test]
async fn an_error_says_whose_fault_it_is() {
    let error = failure(Ending::With(HandlerError::later("busy"))).await;
    let expected = DeliveryError::Later { reason: "busy".to_owned(), reply: None, kind: LaterKind::Other };
    assert_eq!(error, expected);
    let error = failure(Ending::With(HandlerError::never("no such mailbox"))).await;
    assert_eq!(error, DeliveryError::Never { reason: "no such mailbox".to_owned(), reply: None });
    let error = failure(Ending::With(HandlerError::unavailable("down"))).await;
    assert_eq!(error, DeliveryError::Relay { reason: "down".to_owned(), permanent: false });
}

#[tokio::test]
async fn no_reason_names_the_address_or_the_token() {
    let said = format!("cannot mail ann@example.net the link https://example.org/?token={TOKEN}");
    for error in [HandlerError::later(&said), HandlerError::never(&said), HandlerError::unavailable(&said)] {
        let shown = failure(Ending::With(error)).await.to_string();
        assert!(shown.ends_with("cannot mail [hidden] the link [hidden]"), "{shown}");
    }
}

#[tokio::test]
async fn a_panic_ends_the_letter_and_not_the_courier() {
    let DeliveryError::Never { reason, .. } = failure(Ending::Panic).await else {
        panic!("not the letter's")
    };
    assert_eq!(reason, "the application's handler panicked");
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_after_its_time_and_tried_again() {
    let error = failure(Ending::Never).await;
    let DeliveryError::Later { reason, kind: LaterKind::Other, .. } = error else { panic!("{error:?}") };
    assert_eq!(reason, "the application's handler took longer than 1s");
}

#[tokio::test]
async fn a_letter_without_its_token_reaches_no_handler() {
    let (mailer, calls) = mailer(Ending::Well);
    let error = mailer.deliver(Parcel { token: None, ..parcel(Purpose::Confirm) }).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Never { .. }), "{error:?}");
    assert!(calls.lock().unwrap().is_empty());
}
