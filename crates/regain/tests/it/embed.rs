//! The example of an application with Regain in it (`examples/embed.rs`), driven from outside: over TCP, with a real SMTP
//! server to mail to.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use regain::http::server;
use regain::mail::Mailbox;
use regain::{Config, Delivery, Regain};
use regain_smtp::testing::ScriptedServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::app::{ADA, token_in};

#[path = "../../examples/embed.rs"]
#[expect(dead_code, reason = "the test has a `main` of its own")]
mod example;

struct Embedded {
    relay: ScriptedServer,
    directory: tempfile::TempDir,
    port: u16,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Embedded {
    async fn start() -> Self {
        Self::start_over(ScriptedServer::start().await, tempfile::tempdir().unwrap()).await
    }

    /// With the relay and the data of another.
    async fn start_over(relay: ScriptedServer, directory: tempfile::TempDir) -> Self {
        let listener = server::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = example::configuration(&listener, &relay.url(), directory.path().join("data")).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let running = tokio::spawn(async move { example::run(listener, &config, stopped).await.unwrap() });
        Self { relay, directory, port, stop, running }
    }

    /// One request on a connection of its own; status and body.
    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> (StatusCode, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}",
            self.port
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.send("GET", path, "", "").await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, String) {
        self.send("POST", path, "content-type: application/json\r\n", &body.to_string()).await
    }

    async fn sign_in(&self, password: &str, register: bool) -> (StatusCode, Value) {
        let user_info = json!({"password": password, "register": register});
        let body = json!({"provider": "password", "data": ADA, "user_info": user_info});
        let (status, body) = self.post("/auth", body).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn notes_of(&self, session: &str) -> (StatusCode, String) {
        self.send("GET", "/notes", &format!("authorization: {session}\r\n"), "").await
    }
}

fn session(body: &Value) -> &str {
    body["refresh_token"]["token"].as_str().unwrap()
}

#[tokio::test]
async fn an_application_with_regain_in_it_walks_through_a_reset_and_keeps_its_own_routes() {
    let app = Embedded::start().await;
    assert_eq!(app.get("/").await, (StatusCode::OK, "Notes\n".to_owned()));

    let (status, body) = app.sign_in("first password", true).await;
    assert_eq!(status, 200, "{body}");
    let first = session(&body).to_owned();
    let identity = body["refresh_token"]["token_data"]["identity"].as_str().unwrap();
    let its_notes = format!("the notes of {identity}\n");
    assert_eq!(app.notes_of(&first).await, (StatusCode::OK, its_notes.clone()));
    assert_eq!(app.notes_of("nonsense").await.0, 401);
    let confirmation = app.relay.wait_for_messages(1).await.remove(0);
    assert_eq!(confirmation.to, [ADA]);

    let ask = json!({"provider_id": ADA, "data": {"action": "reset_password"}});
    let asked = app.post("/auth/password/updateAccount", ask).await;
    assert_eq!(asked, (StatusCode::OK, "{}".to_owned()));
    let mail = app.relay.wait_for_messages(2).await.remove(1);
    let text = mail.text();
    assert!(text.contains("Subject: Forgot your password?"), "{text}");
    assert!(text.contains("Please use this link below"), "{text}");

    let link = format!("http://localhost:{}/reset-password?token=", app.port);
    assert!(text.replace("=\r\n", "").replace("=3D", "=").contains(&link), "{text}");
    let token = token_in(&mail);
    let page = app.get(&format!("/reset-password?token={token}")).await;
    assert_eq!(page.0, 200);
    assert!(page.1.contains("<form"), "{}", page.1);
    let form = format!("token={token}&password=second+password&password-repeated=second+password");
    let sent = app
        .send("POST", "/reset-password", "content-type: application/x-www-form-urlencoded\r\n", &form)
        .await;
    assert_eq!(sent.0, 200, "{}", sent.1);

    assert_eq!(app.notes_of(&first).await.0, 401);
    assert_eq!(app.sign_in("first password", false).await.0, 401);
    let (status, body) = app.sign_in("second password", false).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(app.notes_of(session(&body)).await, (StatusCode::OK, its_notes));
    assert_eq!(app.get("/").await.0, 200);
}

#[tokio::test]
async fn an_application_with_regain_in_it_stops_when_it_is_told_and_starts_again_on_the_same_data() {
    let app = Embedded::start().await;
    assert_eq!(app.sign_in("first password", true).await.0, 200);
    app.relay.wait_for_messages(1).await;
    app.stop.cancel();
    let Embedded { relay, directory, port, running, .. } = app;
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());

    let again = Embedded::start_over(relay, directory).await;
    assert_eq!(again.sign_in("first password", false).await.0, 200);
}

#[tokio::test]
async fn an_application_with_a_fallback_of_its_own_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { data_path: directory.path().to_owned(), ..Config::default() };
    let regain = Regain::open(&config, Delivery::Mailbox(Mailbox::new())).await.unwrap();
    let yours = Router::new().fallback(async || (StatusCode::NOT_FOUND, "nothing here"));
    let app = yours.clone().merge(regain.router().reset_fallback());
    let get = async |path| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(get("/nowhere").await, (StatusCode::NOT_FOUND, "nothing here".into()));
    assert_eq!(get("/confirm-email").await.0, 400);
    // Nobody runs the courier, and that is told.
    assert_eq!(get("/health").await.0, 503);
    let both = std::panic::AssertUnwindSafe(|| yours.merge(regain.router()));
    assert!(std::panic::catch_unwind(both).is_err(), "two fallbacks are refused at the start");
}
