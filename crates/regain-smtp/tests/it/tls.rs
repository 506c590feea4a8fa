//! TLS where it is required, and nothing in clear where it cannot be had.

use regain_smtp::testing::{Behaviour, ServerTls};
use regain_smtp::{Cause, Phase, StartError};

use super::*;

async fn server(tls: ServerTls) -> ScriptedServer {
    ScriptedServer::with(Features::tls(tls).with_login("u", "s3cr3t")).await
}

/// The server by its address, with a login, and with `options`.
fn url(server: &ScriptedServer, scheme: &str, options: &str) -> String {
    format!("{scheme}://u:s3cr3t@127.0.0.1:{}?{options}", server.port())
}

fn nothing_was_given_away(server: &ScriptedServer) {
    for connection in server.connections() {
        let clear = String::from_utf8_lossy(&connection.clear).into_owned();
        assert!(!clear.contains("AUTH") && !clear.contains("MAIL"), "{clear}");
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn smtps_and_starttls_deliver_under_tls() {
    let one = server(ServerTls::Immediate).await;
    send(&pool_at(&one, &url(&one, "smtps", ""), deadlines())).await.expect("accepted");
    assert!(one.messages()[0].tls && one.connections()[0].clear.is_empty());

    for options in ["requireTLS=true", "requireTLS=false", ""] {
        let one = server(ServerTls::StartTls).await;
        send(&pool_at(&one, &url(&one, "smtp", options), deadlines())).await.expect("accepted");
        assert!(one.messages()[0].tls);
        let connection = &one.connections()[0];
        assert!(connection.clear.ends_with(b"STARTTLS\r\n") && connection.encrypted.starts_with(b"EHLO "));
    }
}

#[tokio::test]
async fn ignore_tls_stays_in_clear_text_as_the_url_says() {
    let one = server(ServerTls::StartTls).await;
    send(&pool_at(&one, &url(&one, "smtp", "ignoreTLS=true"), deadlines())).await.expect("accepted");
    assert!(!one.messages()[0].tls);
}

#[tokio::test]
async fn without_starttls_nothing_is_said_where_it_is_required() {
    let one = server(ServerTls::None).await;
    let error =
        send(&pool_at(&one, &url(&one, "smtp", "requireTLS=true"), deadlines())).await.expect_err("no TLS");
    assert_eq!((error.cause(), error.code()), (&Cause::TlsUnavailable, "ETLS"));
    nothing_was_given_away(&one);
}

#[tokio::test]
async fn a_refused_starttls_is_never_followed_by_clear_text() {
    for (options, reply) in [("requireTLS=true", "454 4.7.0 not now"), ("", "502 no")] {
        let one = server(ServerTls::StartTls).await;
        one.on(Phase::StartTls, Behaviour::reply(reply));
        let error =
            send(&pool_at(&one, &url(&one, "smtp", options), deadlines())).await.expect_err("refused");
        assert_eq!((error.phase(), error.code()), (Phase::StartTls, "ETLS"));
        nothing_was_given_away(&one);
    }
}

#[tokio::test]
async fn bytes_behind_the_starttls_reply_end_the_session() {
    let one = server(ServerTls::StartTls).await;
    one.on(Phase::StartTls, Behaviour::reply("220 go\r\n250-evil\r\n250 AUTH PLAIN"));
    let error = send(&pool_at(&one, &url(&one, "smtp", ""), deadlines())).await.expect_err("injected");
    assert_eq!(error.phase(), Phase::StartTls);
    assert!(matches!(error.cause(), Cause::Protocol(_)), "{error:?}");
    nothing_was_given_away(&one);
}

#[tokio::test]
async fn what_was_offered_before_tls_counts_for_nothing() {
    let one = server(ServerTls::StartTls).await;
    one.on_next(1, Phase::Ehlo, Behaviour::reply("250-scripted.test\r\n250-STARTTLS\r\n250 AUTH LOGIN"));
    send(&pool_at(&one, &url(&one, "smtp", ""), deadlines())).await.expect("accepted");
    assert!(one.connections()[0].text().contains("AUTH PLAIN"), "LOGIN was offered in clear text only");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_names_another_host_ends_the_session() {
    let features =
        Features { certificate_names: vec!["other.example".into()], ..Features::tls(ServerTls::StartTls) };
    let other = ScriptedServer::with(features.clone().with_login("u", "s3cr3t")).await;
    let url_of = |options: &str| url(&other, "smtp", options);
    let error = send(&pool_at(&other, &url_of(""), deadlines())).await.expect_err("another name");
    assert!(matches!((error.phase(), error.cause()), (Phase::Tls, Cause::Tls(_))), "{error:?}");

    let stranger = ScriptedServer::start().await;
    let settings = Settings::parse(&url_of("tls.servername=other.example")).expect("valid");
    let roots = TrustRoots::Pem(stranger.certificate_pem().into());
    let untrusting = Pool::start(settings, deadlines(), roots).expect("usable");
    assert_eq!(send(&untrusting).await.expect_err("not trusted").code(), "ESOCKET");
    nothing_was_given_away(&other);

    send(&pool_at(&other, &url_of("tls.servername=other.example"), deadlines()))
        .await
        .expect("the name fits");
    send(&pool_at(&other, &url_of("tls.rejectUnauthorized=false"), deadlines())).await.expect("not checked");
    assert_eq!(other.messages().len(), 2);
}

#[tokio::test]
async fn a_relay_that_falls_silent_in_the_handshake_is_given_up() {
    for (tls, scheme) in [(ServerTls::Immediate, "smtps"), (ServerTls::StartTls, "smtp")] {
        let one = server(tls).await;
        one.on(Phase::Tls, Behaviour::Silence);
        let error = send(&pool_at(&one, &url(&one, scheme, ""), hasty())).await.expect_err("silence");
        assert_eq!((error.phase(), error.code()), (Phase::Tls, "ETIMEDOUT"));
    }
}

#[test]
fn roots_that_are_no_certificates_are_found_at_the_start() {
    let settings = Settings::parse("smtps://smtp.example.com").expect("valid");
    let started = Pool::start(settings, deadlines(), TrustRoots::Pem(b"no PEM".to_vec()));
    assert_eq!(started.err(), Some(StartError::InvalidRoots));
}
