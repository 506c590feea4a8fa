use std::time::Duration;

use regain_core::mailer::LaterKind;
use regain_core::{Address, LetterId, Purpose, Timestamp, Token, UserAgent};
use regain_smtp::testing::{Behaviour, Features, ScriptedServer};
use regain_smtp::{Deadlines, Phase, Sender, Settings, TrustRoots};

use super::*;
use crate::mail::compose::Letterhead;
use crate::mail::templates::{AllOverrides, Templates};

const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";

fn mailer(url: &str) -> SmtpMailer {
    mailer_from("notes@example.org", url)
}

fn mailer_from(sender: &str, url: &str) -> SmtpMailer {
    let composer = Composer::new(Letterhead {
        sender: Sender::parse(sender).unwrap(),
        templates: Templates::new(AllOverrides::default(), true).unwrap(),
        link_base: "https://example.org".to_owned(),
        app_name: "Notes".to_owned(),
        reset_lifetime: Duration::from_secs(3600),
        confirm_lifetime: Duration::from_secs(86_400),
    });
    let short = Duration::from_secs(1);
    let deadlines = Deadlines { greeting: short, command: short, final_dot: short, ..Deadlines::default() };
    let pool = Pool::start(Settings::parse(url).unwrap(), deadlines, TrustRoots::System).unwrap();
    SmtpMailer::new(composer, pool)
}

fn parcel() -> Parcel {
    Parcel {
        letter: LetterId::from_bytes([7; 16]),
        purpose: Purpose::Reset,
        to: Address::parse("ann@example.net").unwrap(),
        token: Token::parse(TOKEN),
        ip: "192.0.2.1".parse().ok(),
        agent: UserAgent::parse("Firefox"),
        posted: Timestamp::from_millis(1_795_377_610_000),
    }
}

async fn failure(phase: Phase, behaviour: Behaviour) -> DeliveryError {
    let server = ScriptedServer::start().await;
    server.on(phase, behaviour);
    mailer(&server.url()).deliver(parcel()).await.unwrap_err()
}

#[tokio::test]
async fn a_mail_is_delivered_and_a_copy_is_byte_identical() {
    let server = ScriptedServer::start().await;
    server.on(Phase::FinalDot, Behaviour::reply("250 2.0.0 queued for <ann@example.net> as 4Bx9"));
    let mailer = mailer(&server.url());
    let receipt = mailer.deliver(parcel()).await.unwrap();
    mailer.deliver(parcel()).await.unwrap();
    assert_eq!(receipt.reply, "250 2.0.0 queued for [hidden] as 4Bx9");
    let messages = server.messages();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].data == messages[1].data);
    assert_eq!(messages[0].to, ["ann@example.net"]);
    assert!(messages[0].text().contains(&format!("https://example.org/reset-password?token={TOKEN}")));
}

#[tokio::test]
async fn refusals_before_the_recipient_are_the_relays() {
    for phase in [Phase::Greeting, Phase::Mail, Phase::Data] {
        let error = failure(phase, Behaviour::reply("554 5.3.2 closed for ann@example.net")).await;
        let DeliveryError::Relay { reason, permanent: true } = error else { panic!("{phase}: {error:?}") };
        assert!(reason.ends_with("554 5.3.2 closed for [hidden]"), "{reason}");
        let error = failure(phase, Behaviour::reply_and_close("421 4.3.2 busy")).await;
        assert!(matches!(error, DeliveryError::Relay { permanent: false, .. }), "{phase}: {error:?}");
    }
    for phase in [Phase::Greeting, Phase::Ehlo, Phase::Mail] {
        for behaviour in [Behaviour::Silence, Behaviour::Close] {
            let error = failure(phase, behaviour).await;
            assert!(matches!(error, DeliveryError::Relay { permanent: false, .. }), "{phase}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_at_fault() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = mailer(&format!("smtp://127.0.0.1:{port}")).deliver(parcel()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Relay { permanent: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_refused_recipient_is_judged_by_its_code() {
    let error = failure(Phase::Rcpt, Behaviour::reply("550 5.1.1 <ann@example.net>: unknown")).await;
    let DeliveryError::Never { reason, reply } = error else { panic!("{error:?}") };
    assert!(reason.contains("550 5.1.1"), "{reason}");
    assert_eq!(reply.as_deref(), Some("550 5.1.1 [hidden] unknown"));
    for (said, expected) in [
        ("451 4.7.1 greylisted", LaterKind::Greylisted),
        ("554 5.7.1 relay access denied", LaterKind::Policy),
        ("530 authentication required", LaterKind::Policy),
    ] {
        let error = failure(Phase::Rcpt, Behaviour::reply(said)).await;
        assert!(matches!(error, DeliveryError::Later { kind, .. } if kind == expected), "{error:?}");
    }
}

#[tokio::test]
async fn after_the_message_only_a_clear_no_ends_the_letter() {
    let link = format!("554 5.7.1 https://example.org/reset-password?token={TOKEN} is listed");
    let error = failure(Phase::FinalDot, Behaviour::Reply(link)).await;
    let DeliveryError::Never { reply, .. } = error else { panic!("{error:?}") };
    assert_eq!(reply.as_deref(), Some("554 5.7.1 [hidden] is listed"));
    for (behaviour, expected) in [
        (Behaviour::Silence, LaterKind::Unknown),
        (Behaviour::Close, LaterKind::Unknown),
        (Behaviour::reply_and_close("421 4.3.2 bye"), LaterKind::Other),
    ] {
        let error = failure(Phase::FinalDot, behaviour).await;
        assert!(matches!(error, DeliveryError::Later { kind, .. } if kind == expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_letter_that_makes_no_mail_reaches_no_relay() {
    let server = ScriptedServer::start().await;
    let error = mailer(&server.url()).deliver(Parcel { token: None, ..parcel() }).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Never { reply: None, .. }), "{error:?}");
    assert!(server.connections().is_empty());
}

#[tokio::test]
async fn an_address_beyond_ascii_arrives_at_a_relay_with_smtputf8_and_is_given_up_at_another() {
    let to = || Address::parse("j\u{f5}geva@example.net").unwrap();
    let extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8"].map(str::to_owned).to_vec();
    let server = ScriptedServer::with(Features { extensions, ..Features::default() }).await;
    server.on(Phase::FinalDot, Behaviour::reply("250 queued for j\u{f5}geva"));
    let receipt = mailer(&server.url()).deliver(Parcel { to: to(), ..parcel() }).await.unwrap();
    assert_eq!(receipt.reply, "250 queued for [hidden]");
    let received = &server.messages()[0];
    assert_eq!(received.to, ["j\u{f5}geva@example.net"]);
    assert!(received.text().contains("\r\nTo: <j\u{f5}geva@example.net>\r\n"));
    mailer_from("j\u{f5}geva@example.org", &server.url()).deliver(parcel()).await.unwrap();
    assert_eq!(server.messages()[1].from, "j\u{f5}geva@example.org");

    let server = ScriptedServer::start().await;
    let error = mailer(&server.url()).deliver(Parcel { to: to(), ..parcel() }).await.unwrap_err();
    let DeliveryError::Never { reason, reply: None } = error else { panic!("{error:?}") };
    assert!(reason.contains("SMTPUTF8") && !reason.contains("geva"), "{reason}");
    // A sender is every letter's, so it is for the operator to change, and no letter is given up for it.
    let error = mailer_from("j\u{f5}geva@example.org", &server.url()).deliver(parcel()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Relay { permanent: true, .. }), "{error:?}");
}

#[tokio::test]
async fn no_error_names_the_address_or_the_token() {
    for phase in [Phase::Greeting, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::FinalDot] {
        for code in ["421", "451", "550"] {
            let said = format!("{code} ann@example.net ann {TOKEN}");
            let shown = format!("{:?}", failure(phase, Behaviour::reply_and_close(&said)).await);
            assert!(
                !shown.contains("ann@") && !shown.contains(" ann ") && !shown.contains(&TOKEN[..12]),
                "{shown}"
            );
        }
    }
}
