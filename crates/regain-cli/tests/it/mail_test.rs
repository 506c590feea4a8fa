//! `regain mail test`: each step that works, and each way in which one fails, with what to do.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, Features, ScriptedServer, ServerTls};
use serde_json::Value;

use crate::harness::{Place, configuration, until};

const TO: &str = "ada@example.org";

/// Runs the test with `--json`; the exit code, and what is said of the first relay.
fn tested(place: &Place) -> (Option<i32>, Value) {
    let ran = place.run(&["mail", "test", TO, "--json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran.code, report["relays"][0].clone())
}

/// That it fails in this phase, and that the advice has this in it.
#[track_caller]
fn fails(place: &Place, phase: &str, advice: &str) -> Value {
    let (code, relay) = tested(place);
    assert_eq!(
        (code, &relay["accepted"], &relay["failed"]["phase"]),
        (Some(1), &false.into(), &phase.into()),
        "{relay}"
    );
    assert!(relay["failed"]["advice"].as_str().unwrap().contains(advice), "{advice} in {relay}");
    relay
}

fn steps(relay: &Value) -> Vec<&str> {
    relay["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_shown_and_the_mail_arrives_as_all_mails_do() {
    let relay =
        ScriptedServer::with(Features::tls(ServerTls::StartTls).with_login("mailer", "hunter2secret")).await;
    let place = Place::new();
    place.write("ca.pem", relay.certificate_pem());
    let url = format!(
        "smtp://mailer:hunter2secret@127.0.0.1:{}?requireTLS=true&tls.ca={}",
        relay.port(),
        place.path("ca.pem").display()
    );
    place.write("regain.toml", &configuration(&url));
    let ran = place.run(&["mail", "test", "Ada@Example.ORG"]);
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    let told = ran.ok();
    for part in [
        "relay 1: smtp://mailer:***@127.0.0.1",
        "connect   127.0.0.1:",
        "greeting  220 scripted.test",
        "ehlo      PIPELINING",
        "STARTTLS",
        "tls       TLS 1.3, TLS13_",
        "more days",
        "login     235",
        "sender    250 2.1.0 sender ok",
        "recipient 250 2.1.5 recipient ok",
        "message   250 2.0.0 accepted",
        "\naccepted by relay 1; not signed here",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let mail = &relay.messages()[0];
    assert_eq!(
        (mail.to.as_slice(), mail.user.as_deref(), mail.tls),
        (&["Ada@example.org".to_owned()][..], Some("mailer"), true)
    );
    let text = mail.text();
    assert!(
        text.contains("Auto-Submitted: auto-generated") && text.contains("Subject: Test mail from"),
        "{text}"
    );
    assert!(!place.path("data").exists(), "no queue is needed");

    let (code, report) = tested(&place);
    assert_eq!(
        (code, &report["accepted"], &report["failed"]),
        (Some(0), &true.into(), &Value::Null),
        "{report}"
    );
    let all = [
        "lookup",
        "connect",
        "greeting",
        "ehlo",
        "starttls",
        "tls",
        "ehlo",
        "login",
        "sender",
        "recipient",
        "data",
        "message",
    ];
    assert_eq!(steps(&report), all);
    assert_eq!(report["reply"], "250 2.0.0 accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_names_its_phase_and_what_to_do() {
    let relay = ScriptedServer::start().await;
    let place = Place::with_relay(&relay.url());
    for (at, reply, phase, advice) in [
        (Phase::Greeting, "554 5.7.1 go away", "greeting", "blocklist"),
        (Phase::Ehlo, "450 4.7.1 who are you", "ehlo", "name=HOST"),
        (Phase::Mail, "530 5.7.0 Authentication required", "sender", "wants a login"),
        (Phase::Mail, "530 5.7.0 Must issue a STARTTLS command first", "sender", "wants TLS first"),
        (Phase::Mail, "553 5.7.1 sender address rejected: not owned by user", "sender", "`from` must be"),
        (Phase::Mail, "552 5.3.4 message size exceeds", "sender", "larger than"),
        (Phase::Rcpt, "554 5.7.1 <x>: Relay access denied", "recipient", "write a login"),
        (Phase::Rcpt, "550 5.1.1 no such user", "recipient", "is the address right"),
        (Phase::Rcpt, "450 4.7.1 greylisted", "recipient", "Greylisting"),
        (Phase::Rcpt, "454 4.7.1 <x>: Relay access denied", "recipient", "write a login"),
        (Phase::Data, "451 4.3.0 no room", "data", "at the moment"),
        (Phase::Data, "554 5.7.1 no", "data", "have the right to send"),
        (Phase::FinalDot, "550 5.7.26 unauthenticated mail", "message", "SPF, DKIM and DMARC"),
        (Phase::FinalDot, "421 4.7.0 too many", "message", "rateLimit"),
    ] {
        relay.behave();
        relay.on(at, Behaviour::reply(reply));
        let told = fails(&place, phase, advice);
        let codes = reply.split(' ').next().unwrap();
        assert!(told["failed"]["reply"].as_str().unwrap().starts_with(codes), "{told}");
        let consequence = told["failed"]["consequence"].as_str().unwrap();
        let pauses = matches!(at, Phase::Greeting | Phase::Mail | Phase::Data) && reply.starts_with('5');
        let is_too_large = reply.starts_with("552");
        assert_eq!(consequence.starts_with("pause this relay"), pauses && !is_too_large, "{told}");
        assert!(!steps(&told).contains(&phase), "{phase} is not shown as passed: {told}");
    }
    relay.behave();
    relay.on(Phase::Rcpt, Behaviour::reply("550 5.1.1 no \u{1b}[31msuch user"));
    let ran = place.run(&["mail", "test", TO]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("sender    250") && ran.stdout.contains("FAILED    naming the recipient"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("\n  Regain    would give this letter up"), "{ran:?}");
    assert!(ran.stdout.contains("\nnot accepted by relay 1; "), "{ran:?}");
    assert!(ran.stdout.contains("it said   550 5.1.1") && !ran.stdout.contains('\u{1b}'), "{ran:?}");
    let too_small = Features { extensions: vec!["SIZE 100".into()], ..Features::default() };
    let too_small = ScriptedServer::with(too_small).await;
    fails(&Place::with_relay(&too_small.url()), "sender", "(100 bytes)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_and_a_login_that_is_not_offered_are_told_without_it() {
    let relay = ScriptedServer::with(Features::default().with_login("mailer", "right")).await;
    let place = Place::with_relay(&format!("smtp://mailer:hunter2secret@127.0.0.1:{}", relay.port()));
    let told = fails(&place, "login", "app password");
    assert!(
        told["failed"]["reply"].as_str().unwrap().starts_with("535") && !told.to_string().contains("hunter2"),
        "{told}"
    );
    relay.on(Phase::Auth, Behaviour::reply("535 5.7.8 not hunter2secret"));
    assert!(!fails(&place, "login", "app password").to_string().contains("hunter2"));
    relay.on(Phase::Auth, Behaviour::reply("454 4.7.0 later"));
    fails(&place, "login", "at the moment");
    let none = ScriptedServer::start().await;
    fails(&Place::with_relay(&format!("smtp://u:p@127.0.0.1:{}", none.port())), "login", "only with TLS");
    none.on(Phase::Ehlo, Behaviour::reply("502 5.5.1 what?"));
    fails(&Place::with_relay(&format!("smtp://u:p@127.0.0.1:{}", none.port())), "ehlo", "not speak ESMTP");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_in_the_wrong_place_and_certificates_that_do_not_hold_are_told() {
    let clear = ScriptedServer::start().await;
    let port = clear.port();
    fails(&Place::with_relay(&format!("smtps://127.0.0.1:{port}")), "tls", "write smtp: there");
    fails(
        &Place::with_relay(&format!("smtp://127.0.0.1:{port}?requireTLS=true")),
        "starttls",
        "requireTLS=false",
    );
    let tls = ScriptedServer::with(Features::tls(ServerTls::Immediate)).await;
    let (url, port) = (tls.url(), tls.port());
    let short = "greetingTimeout=500";
    fails(&Place::with_relay(&format!("smtp://127.0.0.1:{port}?{short}")), "greeting", "write smtps:");
    fails(&Place::with_relay(&url), "tls", "Add tls.ca=");
    fails(&Place::with_relay(&url), "tls", "not trusted");
    let names = Features {
        certificate_names: vec!["mx.other.test".into(), "mx2.other.test".into()],
        ..Features::tls(ServerTls::Immediate)
    };
    let other = ScriptedServer::with(names).await;
    let place = Place::new();
    place.write("ca.pem", other.certificate_pem());
    let with_ca = |more: &str| {
        let url = format!("{}?tls.ca={}{more}", other.url(), place.path("ca.pem").display());
        place.write("regain.toml", &configuration(&url));
    };
    with_ca("");
    let told = fails(&place, "tls", "tls.servername=NAME");
    assert!(told["failed"]["advice"].as_str().unwrap().contains("mx.other.test, mx2.other.test"), "{told}");
    with_ca("&tls.servername=mx2.other.test");
    assert_eq!(tested(&place).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_told_with_the_other_ports() {
    let gone = { ScriptedServer::start().await.port() };
    fails(&Place::with_relay(&format!("smtp://127.0.0.1:{gone}")), "connect", "Nothing listens on port");
    let unknown = fails(&Place::with_relay("smtp://no-such-host.invalid"), "lookup", "misspelt");
    assert_eq!(
        unknown["failed"]["error"],
        "looking up the relay's name: no such host, or DNS does not answer"
    );
    // Whoever accepts nobody loses what comes once its queue is full, as a firewall does that swallows packets.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let knock = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500));
    let knocked = until("a full queue", || {
        let all: Vec<_> = (0..4).map(|_| knock()).collect();
        all.iter().any(Result::is_err).then_some(all)
    });
    fails(&Place::with_relay(&format!("smtp://{address}?connectionTimeout=500")), "connect", "465 (smtps:)");
    drop((knocked, full));
    let silent = ScriptedServer::start().await;
    silent.on(Phase::Greeting, Behaviour::Silence);
    fails(&Place::with_relay(&format!("{}?greetingTimeout=300", silent.url())), "greeting", "SMTP server");
    silent.behave();
    silent.on(Phase::FinalDot, Behaviour::Close);
    fails(&Place::with_relay(&silent.url()), "message", "log says more");
    silent.on(Phase::Greeting, Behaviour::reply("hello"));
    fails(&Place::with_relay(&silent.url()), "greeting", "SMTP server");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_relay_is_tried_or_the_one_that_is_named() {
    let (first, second) = (ScriptedServer::start().await, ScriptedServer::start().await);
    first.on(Phase::Mail, Behaviour::reply("550 no"));
    let place = Place::new();
    let both = configuration("X").replace("\"X\"", &format!("[\"{}\", \"{}\"]", first.url(), second.url()));
    place.write("regain.toml", &both);
    let ran = place.run(&["mail", "test", TO]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("relay 1: ") && ran.stdout.contains("relay 2: "), "{ran:?}");
    assert_eq!((first.messages().len(), second.messages().len()), (0, 1));
    assert_eq!(place.run(&["mail", "test", TO, "--relay", "2"]).code, Some(0));
    assert_eq!(second.messages().len(), 2);
    assert!(place.run(&["mail", "test", TO, "--relay", "3"]).wrong().contains("takes 1 to 2"));
    assert!(place.run(&["mail", "test", "ada"]).wrong().contains("local@domain"));
    place.write("regain.toml", "port = 0\n[[authProviders]]\ntype = \"password\"\n");
    assert!(place.run(&["mail", "test", TO]).wrong().contains("no emailHandlerConfig"));
}

/// Postfix' own sink, on a port that was free a moment ago; it ends with the test.
struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        // It has ended already where it could not start.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_server_takes_the_mail() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = ["/usr/sbin/smtp-sink", "/usr/bin/smtp-sink"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let mut command = Command::new(program.expect("smtp-sink, from Debian's package postfix"));
    let sink = command
        .args(["-u", "nobody", &format!("127.0.0.1:{port}"), "10"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _sink = Sink(sink);
    until("smtp-sink to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let told = Place::with_relay(&format!("smtp://127.0.0.1:{port}")).run(&["mail", "test", TO]).ok();
    assert!(told.contains("message   250 2."), "{told}");
}
