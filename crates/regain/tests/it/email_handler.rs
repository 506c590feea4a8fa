//! An application that sends the mails itself: the example (`examples/email_handler.rs`) driven from outside, and
//! handlers that fail, behind a whole Regain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use regain::config::{EmailHandlerConfig, PasswordAuthProvider};
use regain::http::server;
use regain::mail::{EmailHandler, HandlerDelivery, HandlerError, LetterDetails, Mailbox};
use regain::{Config, Delivery, Regain, StartError};
use regain_core::store::LetterFilter;
use regain_core::{Address, Letter, LetterState, Token, UserAgent};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::app::ADA;

#[path = "../../examples/email_handler.rs"]
#[expect(dead_code, reason = "the test has a `main` of its own")]
mod example;

/// The handler never comes to an end with mails to this address.
const ENDLESS: &str = "endless@example.org";

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `probe` until it has an answer.
async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.map_err(|_| format!("no {what}")).unwrap()
}

/// One request on a connection of its own.
async fn post(port: u16, path: &str, body: Value) -> (StatusCode, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn mails(directory: &Path) -> BTreeMap<PathBuf, String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[tokio::test]
async fn an_application_that_sends_the_mails_itself_walks_through_confirmation_and_reset() {
    let directory = tempfile::tempdir().unwrap();
    let listener = server::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, data) = (CancellationToken::new(), directory.path().join("data"));
    let (stopped, at) = (stop.clone(), data.clone());
    let running = tokio::spawn(async move { example::run(listener, at, stopped).await.unwrap() });

    let mail = async |word: &str| {
        until(word, async || mails(&data.join("mails")).into_values().find(|mail| mail.contains(word))).await
    };
    let user_info = json!({"password": "first password", "register": true});
    let registered =
        post(port, "/auth", json!({"provider": "password", "data": ADA, "user_info": user_info})).await;
    assert_eq!(registered.0, 200, "{}", registered.1);
    let welcome = mail("Welcome").await;
    assert!(welcome.starts_with(&format!("To: {ADA}\n")), "{welcome}");
    let (_, token) = welcome.trim_end().split_once("notes://confirm/").unwrap();
    let update = async |body| post(port, "/auth/password/updateAccount", body).await;
    let confirm = json!({"data": {"action": "confirm_email", "token": token}});
    assert_eq!(update(confirm).await, (StatusCode::OK, "{}".to_owned()));

    let ask = json!({"provider_id": ADA, "data": {"action": "reset_password"}});
    assert_eq!(update(ask).await.0, 200);
    let reset = mail("asked for a new password").await;
    assert!(reset.contains("Somebody at 127.0.0.1"), "{reset}");
    let link = format!("http://localhost:{port}/reset-password?token=");
    let (_, token) = reset.trim_end().split_once(&link).unwrap();
    let complete =
        json!({"data": {"action": "complete_reset", "token": token, "new_password": "second password"}});
    assert_eq!(update(complete).await, (StatusCode::OK, "{}".to_owned()));
    mail("was changed").await;
    assert_eq!(mails(&data.join("mails")).len(), 3);

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it stops").unwrap();
}

/// Fails as often as it is told, then sends; writes down each call.
struct Failing {
    calls: Arc<Mutex<Vec<(String, String)>>>,
    failures: AtomicU32,
    how: fn() -> Result<(), HandlerError>,
}

#[async_trait]
impl EmailHandler for Failing {
    async fn reset_password(
        &self,
        _: &Address,
        _: &Token,
        _: Option<&UserAgent>,
        _: Option<IpAddr>,
        _: &LetterDetails,
    ) -> Result<(), HandlerError> {
        unreachable!("nobody asks for it here")
    }

    async fn confirm_email(
        &self,
        email: &Address,
        token: &Token,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        let arguments = format!("{} {} {:?}", token.expose().as_str(), letter.id(), letter.link());
        self.calls.lock().unwrap().push((email.as_str().to_owned(), arguments));
        if email.as_str() == ADA && self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return (self.how)();
        }
        if email.as_str() == ENDLESS { std::future::pending().await } else { Ok(()) }
    }
}

/// A whole Regain that delivers to such a handler.
struct Running {
    regain: Arc<Regain>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
    stop: CancellationToken,
    courier: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Running {
    async fn start(failures: u32, how: fn() -> Result<(), HandlerError>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_path: directory.path().to_owned(), ..Config::default() };
        let calls = Arc::default();
        let handler = Failing { calls: Arc::clone(&calls), failures: AtomicU32::new(failures), how };
        let delivery = HandlerDelivery::new(Arc::new(handler)).at_once(2).time_limit(Duration::from_secs(15));
        let regain = Arc::new(Regain::open(&config, Delivery::Handler(delivery)).await.unwrap());
        let (stop, running) = (CancellationToken::new(), Arc::clone(&regain));
        let stopped = stop.clone();
        let courier = tokio::spawn(async move { running.run_courier(stopped).await });
        Self { regain, calls, stop, courier, _directory: directory }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.regain.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn register(&self, name: &str) {
        let user_info = json!({"password": "first password", "register": true});
        let body = json!({"provider": "password", "data": name, "user_info": user_info});
        let request = Request::post("/auth").header("content-type", "application/json");
        let (status, body) = self.send(request.body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn health(&self) -> Value {
        self.send(Request::get("/health").body(Body::empty()).unwrap()).await.1["status"].clone()
    }

    /// The letter to that name, once it is in that state.
    async fn letter(&self, name: &str, state: LetterState) -> Letter {
        let filter = LetterFilter { state: Some(state), limit: 100, ..LetterFilter::default() };
        let key = self.regain.service().name(name).unwrap().key().clone();
        until(&format!("letter to {name} that is {state:?}"), async || {
            let letters = self.regain.service().store.letters(filter.clone()).await.unwrap();
            letters.into_iter().find(|letter| letter.name_key == key)
        })
        .await
    }

    fn calls_for(&self, name: &str) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(email, _)| email == name).map(|(_, arguments)| arguments.clone()).collect()
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.courier).await.expect("it stops").unwrap();
    }
}

#[tokio::test]
async fn a_handler_that_puts_a_mail_off_is_asked_again_with_equal_arguments() {
    let app = Running::start(1, || Err(HandlerError::later("busy"))).await;
    app.register(ADA).await;
    let letter = app.letter(ADA, LetterState::Sent).await;
    assert_eq!(letter.attempts, 2);
    let calls = app.calls_for(ADA);
    assert_eq!((calls.len(), &calls[0]), (2, &calls[1]));
    app.stop().await;
}

#[tokio::test]
async fn a_handler_that_gives_a_mail_up_or_panics_ends_that_letter_alone() {
    for (how, reason) in [
        ((|| Err(HandlerError::never("no such mailbox"))) as fn() -> _, "no such mailbox"),
        (|| panic!("a handler may panic"), "the application's handler panicked"),
    ] {
        let app = Running::start(1, how).await;
        app.register(ADA).await;
        let letter = app.letter(ADA, LetterState::Dead).await;
        assert_eq!(letter.last_error.as_deref(), Some(reason));
        app.register("bob@example.org").await;
        app.letter("bob@example.org", LetterState::Sent).await;
        assert_eq!(app.health().await, "ok");
        assert_eq!(app.calls_for(ADA).len(), 1);
        app.stop().await;
    }
}

#[tokio::test]
async fn an_unavailable_provider_rests_without_charging_the_letter() {
    let app = Running::start(2, || Err(HandlerError::unavailable("the provider is down"))).await;
    app.register(ADA).await;
    until("degraded health", async || (app.health().await == "degraded").then_some(())).await;
    let letter = app.letter(ADA, LetterState::Sent).await;
    assert_eq!(letter.attempts, 1, "two failures were the provider's");
    assert_eq!(app.calls_for(ADA).len(), 3);
    assert_eq!(app.health().await, "ok");
    app.stop().await;
}

#[tokio::test]
async fn a_handler_that_hangs_keeps_its_letter_until_its_time_is_over_and_holds_up_nobody() {
    let app = Running::start(0, || Ok(())).await;
    app.register(ENDLESS).await;
    until("call", async || (!app.calls_for(ENDLESS).is_empty()).then_some(())).await;
    app.register(ADA).await;
    app.letter(ADA, LetterState::Sent).await;
    // Of the one letter that is left, what comes next is the end of its lease.
    let lease = async || app.regain.service().store.next_due().await.unwrap();
    let first = lease().await.unwrap();
    until("renewed lease", async || lease().await.filter(|lease| *lease > first)).await;
    assert_eq!(app.calls_for(ENDLESS).len(), 1, "nobody else has taken it over");
    let letter = app.letter(ENDLESS, LetterState::Waiting).await;
    assert_eq!(letter.last_error.as_deref(), Some("the application's handler took longer than 15s"));
    assert_eq!(letter.attempts, 1);
    app.stop.cancel();
}

#[tokio::test]
async fn a_configuration_without_a_relay_is_enough_for_a_handler_and_a_mailbox_and_for_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let auth_provider = PasswordAuthProvider { email_handler_config: Some(EmailHandlerConfig::default()) };
    let config = Config { data_path: directory.path().to_owned(), auth_provider, ..Config::default() };
    let error = Regain::open(&config, Delivery::Relay).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::NoRelay), "{error}");
    Regain::open(&config, Delivery::Mailbox(Mailbox::new())).await.unwrap();
    let handler = Failing { calls: Arc::default(), failures: AtomicU32::new(0), how: || Ok(()) };
    Regain::open(&config, Delivery::handler(handler)).await.unwrap();
}
