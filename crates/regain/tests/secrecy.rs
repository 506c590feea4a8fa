//! Nothing secret at rest, in a log or in an answer.
//!
//! A program of its own with one test: what is logged at all is decided for a whole process, so tests beside this one
//! could make it see less than there is.
#![expect(unreachable_pub, reason = "a test binary has no outside")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

#[path = "it/app.rs"]
mod app;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use app::{ADA, TestApp};
use axum::body::Body;
use axum::http::Request;
use regain_core::flows::put_account::{self, Wanted};
use regain_core::flows::session::{Authenticated, By};
use regain_core::metadata::Metadata;
use regain_core::session::SessionId;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// All bytes of all files under a directory.
fn bytes_under(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes_under(&path) } else { std::fs::read(&path).unwrap() });
    }
    all
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The refresh token in an answer.
fn session_in(answer: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(answer).unwrap();
    body["refresh_token"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_token_password_or_address_in_a_log_and_no_token_in_the_database() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // The whole test runs on one thread, so that everything it logs is seen.
    let _guard = tracing::subscriber::set_default(subscriber);
    let app = TestApp::start().await;
    let mut answers = Vec::new();
    answers.push(app.register(ADA, "marker password one").await.body);
    app.deliver().await;
    let confirmation = app.only_token();
    app.clear_mail();
    answers.push(app.ask_reset(ADA).await.body);
    app.deliver().await;
    let token = app.only_token();
    answers.push(app.reset(&token, "short").await.body);
    answers.push(app.reset(&token, "marker password two").await.body);
    answers.push(app.reset(&token, "marker password two").await.body);
    answers.push(app.confirm(&confirmation).await.body);
    let signed_in = app.sign_in(ADA, "marker password two").await.body;
    answers.push(signed_in.clone());
    answers.push(app.sign_in(ADA, "marker password three").await.body);
    app.deliver().await;
    for path in [
        "/reset-password?token=marker",
        "/confirm-email?token=marker&redirectUrl=https://marker.example",
        "/auth/users/password/marker@example.org",
        "/marker",
        "/health?marker",
    ] {
        let request =
            Request::get(path).header("x-forwarded-for", "203.0.113.99").header("user-agent", "marker");
        app.send(request.body(Body::empty()).unwrap()).await;
    }
    let by = Authenticated { by: By::BuiltinAdmin, session: SessionId([0; 32]) };
    let wanted = Wanted {
        name: app.service.name(ADA).unwrap(),
        id: None,
        is_admin: Some(true),
        is_confirmed: None,
        metadata: Metadata::default(),
    };
    assert!(put_account::put(&app.service, &by, wanted).await.is_ok());
    let trade = serde_json::json!({"provider": "realm", "data": session_in(&signed_in), "path": "/~/marker"});
    assert_eq!(app.post("/auth", trade).await.status, 403);
    for (method, path) in [
        ("PUT", "/auth/users"),
        ("GET", "/auth/users/marker"),
        ("GET", "/auth/users/password/ada@example.org"),
        ("DELETE", "/auth/user/marker%2540example.org"),
        ("GET", "/auth/providers/marker%"),
    ] {
        let body =
            "{\"provider\":\"password\",\"provider_id\":\"marker\",\"metadata\":{\"marker\":\"marker\"}}";
        let request =
            Request::builder().method(method).uri(path).header("authorization", session_in(&signed_in));
        app.send(request.header("content-type", "application/json").body(Body::from(body)).unwrap()).await;
    }
    for form in ["token=marker&password=marker-123&password-repeated=marker-123", "email=marker@example.org"]
    {
        let request =
            Request::post("/reset-password").header("content-type", "application/x-www-form-urlencoded");
        app.send(request.body(Body::from(form)).unwrap()).await;
    }

    let log = log.0.lock().unwrap().clone();
    assert!(contains(&log, b"a password was reset"), "the log is really seen");
    assert!(contains(&log, b"path=\"/reset-password\" status=400"), "requests too");
    let database = bytes_under(app.directory.path());
    assert!(contains(&database, ADA.as_bytes()), "the database is really read");
    for secret in [&token, &confirmation] {
        for form in [secret.as_bytes().to_vec(), unhex(secret)] {
            assert!(!contains(&log, &form) && !contains(&database, &form));
            assert!(answers.iter().all(|answer| !contains(answer.as_bytes(), &form)));
        }
    }
    assert!(!contains(&database, b"marker password"));
    let session = session_in(&signed_in);
    for part in session.split(':') {
        assert!(!contains(&log, part.as_bytes()) && !contains(&database, part.as_bytes()));
    }
    for secret in ["marker", "ada@", "192.0.2.7", "203.0.113.99"] {
        assert!(!contains(&log, secret.as_bytes()), "{secret} is in the log");
    }
    // What the database holds is no token either.
    let hash = regain_core::Token::parse(&token).unwrap().hash().0;
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    app.reset(&hex, "marker password four").await.is_problem(403, 614);
}
