//! TLS where it is required, and nothing in clear where it cannot be had.

use regain_smtp::testing::{Behaviour, ServerTls};
use regain_smtp::{Cause, Phase, StartError, TlsVersion};

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
async fn an_expired_certificate_ends_the_session() {
    for (tls, scheme) in [(ServerTls::Immediate, "smtps"), (ServerTls::StartTls, "smtp")] {
        let features = Features { certificate_expired: true, ..Features::tls(tls).with_login("u", "s3cr3t") };
        let expired = ScriptedServer::with(features).await;
        let error =
            send(&pool_at(&expired, &url(&expired, scheme, ""), deadlines())).await.expect_err("expired");
        assert_eq!((error.phase(), error.code(), error.permanent()), (Phase::Tls, "ESOCKET", false));
        assert!(error.to_string().contains("expired"), "{error}");
        nothing_was_given_away(&expired);
        let careless = url(&expired, scheme, "tls.rejectUnauthorized=false");
        send(&pool_at(&expired, &careless, deadlines())).await.expect("not checked");
    }
}

#[tokio::test]
async fn tls_minversion_is_the_oldest_that_is_spoken() {
    let features = Features { newest_tls: TlsVersion::Tls12, ..Features::tls(ServerTls::Immediate) };
    let old = ScriptedServer::with(features.with_login("u", "s3cr3t")).await;
    for options in ["", "tls.minVersion=TLSv1.2"] {
        send(&pool_at(&old, &url(&old, "smtps", options), deadlines())).await.expect("accepted");
    }
    let newer = url(&old, "smtps", "tls.minVersion=TLSv1.3");
    let error = send(&pool_at(&old, &newer, deadlines())).await.expect_err("too old");
    assert!(matches!((error.phase(), error.cause()), (Phase::Tls, Cause::Tls(_))), "{error:?}");
    assert_eq!(old.messages().len(), 2);
}

/// OpenSSL with a TLS that nobody should speak any more; it ends when it is dropped.
struct Outdated(std::process::Child);

impl Drop for Outdated {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[tokio::test]
async fn a_relay_that_speaks_only_tls_1_1_is_refused() {
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("openssl")
        .current_dir(folder.path())
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-subj", "/CN=localhost", "-days", "2"])
        .stderr(Stdio::null())
        .status()
        .expect("openssl");
    assert!(made.success());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let _outdated = Outdated(
        Command::new("openssl")
            .current_dir(folder.path())
            .args(["s_server", "-quiet", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
            .args(["-key", "key.pem", "-cert", "cert.pem", "-accept", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl"),
    );
    let url = format!("smtps://127.0.0.1:{port}?tls.rejectUnauthorized=false");
    let pool = Pool::start(Settings::parse(&url).expect("valid"), deadlines(), TrustRoots::System);
    let pool = pool.expect("usable");
    let error = loop {
        let error = send(&pool).await.expect_err("too old");
        if error.phase() != Phase::Connect {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((error.phase(), error.code()), (Phase::Tls, "ESOCKET"), "{error:?}");
}

#[tokio::test]
async fn tls_ca_is_trusted_and_nothing_else() {
    let one = server(ServerTls::Immediate).await;
    let another = server(ServerTls::Immediate).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, one.certificate_pem()).expect("written");
    let text = one.certificate_pem().replace('+', "%2B").replace('\n', "%0A");
    for ca in [text.as_str(), file.to_str().expect("UTF-8")] {
        // The roots that are given besides are those of the other server.
        let trusting =
            |to: &ScriptedServer| pool_at(&another, &url(to, "smtps", &format!("tls.ca={ca}")), deadlines());
        send(&trusting(&one)).await.expect("trusted");
        assert_eq!(send(&trusting(&another)).await.expect_err("not trusted").phase(), Phase::Tls);
    }
    let settings = |path: &str| Settings::parse(&format!("smtps://localhost?tls.ca={path}")).expect("valid");
    let started = |path: &str| Pool::start(settings(path), deadlines(), TrustRoots::System).err();
    let missing = started(&format!("{}/none.pem", folder.path().display()));
    assert_eq!(missing, Some(StartError::UnreadableRoots(std::io::ErrorKind::NotFound)));
    std::fs::write(&file, "not PEM").expect("written");
    assert_eq!(started(file.to_str().expect("UTF-8")), Some(StartError::InvalidRoots));
}

#[tokio::test]
async fn opportunistic_tls_goes_on_after_a_refusal_but_not_with_a_login() {
    let plain = |one: &ScriptedServer, login: &str| {
        format!("smtp://{login}127.0.0.1:{}?opportunisticTLS=true", one.port())
    };
    for (reply, goes_on) in [("454 4.7.0 not now", true), ("502 no", true), ("421 4.3.2 closing", false)] {
        let one = ScriptedServer::with(Features::tls(ServerTls::StartTls)).await;
        one.on(Phase::StartTls, Behaviour::reply(reply));
        let outcome = send(&pool_at(&one, &plain(&one, ""), deadlines())).await;
        assert_eq!(outcome.is_ok(), goes_on, "{outcome:?}");
        assert!(one.messages().iter().all(|message| !message.tls));
        let error = send(&pool_at(&one, &plain(&one, "u:s3cr3t@"), deadlines())).await.expect_err("a login");
        assert_eq!((error.phase(), error.code()), (Phase::StartTls, "ETLS"));
        assert!(!one.connections()[1].text().contains("AUTH"));
    }
    // A handshake that fails is a failure, and where all is well TLS is used.
    let one = server(ServerTls::StartTls).await;
    let stranger = ScriptedServer::start().await;
    let error =
        send(&pool_at(&stranger, &plain(&one, "u:s3cr3t@"), deadlines())).await.expect_err("not trusted");
    assert_eq!(error.phase(), Phase::Tls);
    nothing_was_given_away(&one);
    send(&pool_at(&one, &plain(&one, "u:s3cr3t@"), deadlines())).await.expect("accepted");
    assert!(one.messages()[0].tls);
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
