//! Relays that show a certificate of `tls.ca` itself, as openssl makes it.

use std::path::Path;
use std::process::Command;

use regain_smtp::testing::ServerTls;
use regain_smtp::{Cause, Phase, TlsVersion};

use super::*;

const ALWAYS: (&str, &str) = ("20000101000000Z", "20991231235959Z");
const PAST: (&str, &str) = ("20000101000000Z", "20000102000000Z");
const FUTURE: (&str, &str) = ("20980101000000Z", "20991231235959Z");

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn openssl(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A certificate and its key, as text.
fn pair(folder: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("made by openssl");
    read("cert.pem") + &read("key.pem")
}

/// What people make: it signs itself and calls itself an authority.
fn plain(alternative_names: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let names = format!("subjectAltName={alternative_names}");
    let arguments = ["req", "-x509", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=relay"];
    openssl(folder.path(), &[&arguments[..], &KEY, &["-addext", &names]].concat());
    pair(folder.path())
}

/// The same with dates, or with other constraints, or signed by somebody else.
fn signed((start, end): (&str, &str), constraints: &str, by_itself: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let config = format!(
        "[ca]\ndefault_ca = a\n[a]\ndatabase = index\nserial = serial\nnew_certs_dir = .\npolicy = p\ndefault_md = \
         sha256\nx509_extensions = v3\n[p]\ncommonName = supplied\n[v3]\nbasicConstraints = \
         {constraints}\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n[req]\ndistinguished_name = n\n[n]\n"
    );
    write("config", &config);
    write("index", "");
    write("serial", "01\n");
    let request = ["req", "-config", "config", "-new", "-keyout", "key.pem", "-out", "request"];
    openssl(folder.path(), &[&request[..], &KEY, &["-subj", "/CN=relay"]].concat());
    let authority =
        ["req", "-x509", "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=somebody"];
    openssl(folder.path(), &[&authority[..], &KEY].concat());
    let signer: &[&str] = if by_itself {
        &["-selfsign", "-keyfile", "key.pem"]
    } else {
        &["-keyfile", "authority.key", "-cert", "authority.pem"]
    };
    let sign = ["ca", "-config", "config", "-batch", "-notext", "-in", "request", "-out", "cert.pem"];
    openssl(folder.path(), &[&sign[..], signer, &["-startdate", start, "-enddate", end]].concat());
    pair(folder.path())
}

fn certificate(pair: &str) -> &str {
    parts(pair).0
}

fn parts(pair: &str) -> (&str, &str) {
    pair.split_at(pair.find("-----BEGIN PRIVATE KEY").expect("a key behind it"))
}

/// What becomes of a mail to a relay with `shown`, where `given` is trusted: by `tls.ca`, and by the roots of the pool.
async fn outcome(shown: &str, given: &str) -> Result<(), SendError> {
    outcome_with(shown, given, TlsVersion::Tls13).await
}

async fn outcome_with(shown: &str, given: &str, newest_tls: TlsVersion) -> Result<(), SendError> {
    let certificate_with_key = Some(shown.to_owned());
    let features = Features { certificate_with_key, newest_tls, ..Features::tls(ServerTls::Immediate) };
    let relay = ScriptedServer::with(features).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, given).expect("written");
    let url = format!("smtps://localhost:{}", relay.port());
    let by_url = Settings::parse(&format!("{url}?tls.ca={}", file.display())).expect("valid");
    let by_url = send(&Pool::start(by_url, deadlines(), TrustRoots::System).expect("usable")).await;
    let by_roots = TrustRoots::Pem(given.as_bytes().to_vec());
    let by_roots = Pool::start(Settings::parse(&url).expect("valid"), deadlines(), by_roots);
    let by_roots = send(&by_roots.expect("usable")).await;
    let (by_url, by_roots) = (by_url.map(|_| ()), by_roots.map(|_| ()));
    // The words about dates tell the second.
    assert_eq!(by_url.is_ok(), by_roots.is_ok(), "{by_url:?}, {by_roots:?}");
    assert_eq!(relay.messages().len(), if by_url.is_ok() { 2 } else { 0 });
    by_url
}

fn refusal(outcome: Result<(), SendError>) -> String {
    let error = outcome.expect_err("refused");
    assert!(matches!((error.phase(), error.cause()), (Phase::Tls, Cause::Tls(_))), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_certificate_by_plain_openssl_is_its_own_authority() {
    let relay = plain("DNS:localhost,IP:127.0.0.1");
    outcome(&relay, certificate(&relay)).await.expect("accepted");
    let another = plain("DNS:localhost");
    outcome(&relay, &(certificate(&another).to_owned() + certificate(&relay))).await.expect("one of several");
    // The same names, but not the same certificate.
    assert!(refusal(outcome(&relay, certificate(&another)).await).contains("CaUsedAsEndEntity"));
}

#[tokio::test]
async fn a_given_certificate_must_name_the_relay() {
    let other = plain("DNS:other.example");
    assert!(refusal(outcome(&other, certificate(&other)).await).contains("not valid for name"));
}

#[tokio::test]
async fn a_given_certificate_must_be_within_its_dates() {
    for (dates, told) in [(PAST, "expired"), (FUTURE, "not valid yet")] {
        for (constraints, by_itself) in [("CA:TRUE", true), ("CA:FALSE", true), ("CA:FALSE", false)] {
            let relay = signed(dates, constraints, by_itself);
            let refusal = refusal(outcome(&relay, certificate(&relay)).await);
            assert!(refusal.contains(told), "{constraints}: {refusal}");
        }
    }
}

#[tokio::test]
async fn a_given_certificate_needs_no_issuer() {
    for (constraints, by_itself) in
        [("CA:TRUE", true), ("CA:FALSE", true), ("CA:FALSE", false), ("CA:TRUE", false)]
    {
        let relay = signed(ALWAYS, constraints, by_itself);
        outcome(&relay, certificate(&relay)).await.expect("accepted");
        let another = plain("DNS:localhost");
        refusal(outcome(&relay, certificate(&another)).await);
    }
}

#[tokio::test]
async fn whoever_shows_a_given_certificate_must_hold_its_key() {
    let (relay, another) = (plain("DNS:localhost"), plain("DNS:localhost"));
    let thief = certificate(&relay).to_owned() + parts(&another).1;
    for newest_tls in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let refusal = refusal(outcome_with(&thief, certificate(&relay), newest_tls).await);
        assert!(refusal.contains("BadSignature"), "{refusal}");
        outcome_with(&relay, certificate(&relay), newest_tls).await.expect("accepted");
    }
}

/// A certificate for `localhost` that the holder of another one's key has signed with it.
fn signed_by(signer: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let (certificate, key) = parts(signer);
    write("signer.pem", certificate);
    write("signer.key", key);
    write("extensions", "basicConstraints = CA:FALSE\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n");
    let request = ["req", "-new", "-keyout", "key.pem", "-out", "request", "-subj", "/CN=forged"];
    openssl(folder.path(), &[&request[..], &KEY].concat());
    let sign = ["x509", "-req", "-in", "request", "-CA", "signer.pem", "-CAkey", "signer.key"];
    let out = ["-CAcreateserial", "-extfile", "extensions", "-out", "cert.pem", "-days", "2"];
    openssl(folder.path(), &[&sign[..], &out].concat());
    pair(folder.path())
}

#[tokio::test]
async fn a_given_certificate_that_is_no_authority_vouches_for_itself_alone() {
    for by_itself in [true, false] {
        let relay = signed(ALWAYS, "CA:FALSE", by_itself);
        let forged = signed_by(&relay);
        assert!(refusal(outcome(&forged, certificate(&relay)).await).contains("UnknownIssuer"));
        let chain = certificate(&forged).to_owned() + certificate(&relay) + parts(&forged).1;
        refusal(outcome(&chain, certificate(&relay)).await);
        outcome(&relay, certificate(&relay)).await.expect("accepted");
    }
    let authority = signed(ALWAYS, "CA:TRUE", true);
    outcome(&signed_by(&authority), certificate(&authority)).await.expect("accepted");
}

#[tokio::test]
async fn an_authority_vouches_within_its_dates() {
    for dates in [PAST, FUTURE] {
        let authority = signed(dates, "CA:TRUE", true);
        refusal(outcome(&signed_by(&authority), certificate(&authority)).await);
    }
}
