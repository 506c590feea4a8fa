//! Logging in, and not logging in.

use regain_smtp::testing::{Behaviour, ServerTls};
use regain_smtp::{Cause, Phase, StartError};

use super::*;

const USER: &str = "user@example.org";
const PASSWORD: &str = "p:ä s3cr3t";

fn url(server: &ScriptedServer) -> String {
    format!("smtp://user%40example.org:p%3A%C3%A4%20s3cr3t@127.0.0.1:{}", server.port())
}

#[tokio::test]
async fn the_login_works_by_each_mechanism() {
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"] {
        let features =
            Features { mechanisms: vec![mechanism.into()], ..Features::default().with_login(USER, PASSWORD) };
        let server = ScriptedServer::with(features).await;
        send(&pool_at(&server, &url(&server), deadlines())).await.expect("accepted");
        assert_eq!(server.messages()[0].user.as_deref(), Some(USER), "{mechanism}");
        assert!(server.connections()[0].text().contains(&format!("AUTH {mechanism}")));
    }
}

#[tokio::test]
async fn a_wrong_password_is_an_error_of_the_login() {
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"] {
        let features = Features {
            mechanisms: vec![mechanism.into()],
            ..Features::default().with_login(USER, "another")
        };
        let server = ScriptedServer::with(features).await;
        let error = send(&pool_at(&server, &url(&server), deadlines())).await.expect_err("refused");
        assert_eq!((error.phase(), error.code()), (Phase::Auth, "EAUTH"));
        assert_eq!(error.reply().map(|reply| reply.codes()), Some("535 5.7.8".into()), "{mechanism}");
        assert!(server.received().is_empty());
    }
}

#[tokio::test]
async fn what_the_relay_prefers_does_not_matter() {
    let mechanisms = ["NTLM", "XOAUTH2", "CRAM-MD5", "LOGIN"].map(str::to_owned).to_vec();
    let features = Features { mechanisms, ..Features::default().with_login(USER, PASSWORD) };
    let server = ScriptedServer::with(features).await;
    send(&pool_at(&server, &url(&server), deadlines())).await.expect("accepted");
    assert!(server.connections()[0].text().contains("AUTH LOGIN\r\n"));
}

#[tokio::test]
async fn a_login_that_the_relay_does_not_offer_is_never_left_out() {
    for mechanisms in [vec![], vec!["GSSAPI".to_owned(), "NTLM".to_owned()]] {
        let server = ScriptedServer::with(Features { mechanisms, ..Features::default() }).await;
        let error = send(&pool_at(&server, &url(&server), deadlines())).await.expect_err("no login");
        assert_eq!((error.cause(), error.code()), (&Cause::AuthUnavailable, "EAUTH"));
        let said = server.connections()[0].text();
        assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
    }
}

#[tokio::test]
async fn a_relay_that_repeats_the_login_does_not_get_it_into_an_error() {
    let server = ScriptedServer::with(Features::default().with_login(USER, PASSWORD)).await;
    let leak = "AHVzZXJAZXhhbXBsZS5vcmcAcDrDpCBzM2NyM3Q=";
    for text in
        [format!("500 5.5.2 bad command: AUTH PLAIN {leak}"), format!("535-no\r\n535 wrong: {PASSWORD}")]
    {
        server.on(Phase::Auth, Behaviour::Reply(text));
        let error = send(&pool_at(&server, &url(&server), deadlines())).await.expect_err("refused");
        assert!(server.connections()[0].text().contains(leak), "the test knows what to look for");
        assert_eq!(error.reply().map(|reply| reply.text()), Some(""));
    }
}

#[tokio::test]
async fn a_relay_that_repeats_the_login_at_any_step_does_not_get_it_into_an_error_or_an_outcome() {
    let features = Features::tls(ServerTls::StartTls).with_login(USER, PASSWORD);
    for leak in ["AHVzZXJAZXhhbXBsZS5vcmcAcDrDpCBzM2NyM3Q=", "cDrDpCBzM2NyM3Q=", PASSWORD] {
        for phase in [
            Phase::Greeting,
            Phase::Ehlo,
            Phase::StartTls,
            Phase::Auth,
            Phase::Mail,
            Phase::Rcpt,
            Phase::Data,
            Phase::FinalDot,
        ] {
            let server = ScriptedServer::with(features.clone()).await;
            server.on(phase, Behaviour::Reply(format!("554 5.7.1 after AUTH PLAIN {leak}")));
            let error = send(&pool_at(&server, &url(&server), deadlines())).await.expect_err("refused");
            let reply = error.reply().expect("a reply");
            assert_eq!((reply.codes().as_str(), reply.text()), ("554 5.7.1", ""), "{phase}");
        }
        let server = ScriptedServer::with(features.clone()).await;
        server.on(Phase::FinalDot, Behaviour::Reply(format!("250 2.0.0 taken from {leak}")));
        let accepted = send(&pool_at(&server, &url(&server), deadlines())).await.expect("accepted");
        assert_eq!(accepted.reply.text(), "");
    }
}

#[tokio::test]
async fn a_relay_that_asks_for_ever_is_left() {
    let server = ScriptedServer::with(Features::default().with_login(USER, PASSWORD)).await;
    server.on(Phase::Auth, Behaviour::reply("334 "));
    let error = send(&pool_at(&server, &url(&server), hasty())).await.expect_err("no end");
    assert_eq!(error.phase(), Phase::Auth);
}

#[tokio::test]
async fn check_logs_in_and_sends_nothing() {
    let server = ScriptedServer::with(Features::tls(ServerTls::StartTls).with_login(USER, PASSWORD)).await;
    pool_at(&server, &url(&server), deadlines()).check().await.expect("all is well");
    let said = server.connections()[0].text();
    assert!(said.contains("AUTH PLAIN") && said.ends_with("QUIT\r\n") && !said.contains("MAIL"), "{said}");
    let refused =
        pool_at(&server, &format!("smtp://u:p@127.0.0.1:{}", server.port()), deadlines()).check().await;
    assert_eq!(refused.expect_err("wrong password").phase(), Phase::Auth);
}

#[test]
fn half_a_login_is_found_before_anything_connects() {
    for url in ["smtp://user@localhost", "smtp://:password@localhost"] {
        let settings = Settings::parse(url).expect("valid");
        let started = Pool::start(settings, deadlines(), TrustRoots::System);
        assert_eq!(started.err(), Some(StartError::IncompleteLogin));
    }
}
