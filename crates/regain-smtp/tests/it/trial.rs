//! A delivery that is watched.

use std::cell::RefCell;
use std::rc::Rc;

use regain_smtp::testing::{Behaviour, Features, ScriptedServer, ServerTls};
use regain_smtp::{Accepted, Deadlines, Envelope, Phase, SendError, Settings, Step, TrustRoots, trial};

async fn watch(
    server: &ScriptedServer,
    url: &str,
    with_mail: bool,
) -> (Vec<Step>, Result<Option<Accepted>, SendError>) {
    let steps = Rc::new(RefCell::new(Vec::new()));
    let envelope = Envelope { from: "noreply@example.org".into(), to: "ada@example.org".into() };
    let mail = with_mail.then(|| (envelope, b"Subject: hello\r\n\r\nDear Ada\r\n".as_slice().into()));
    let roots = TrustRoots::Pem(server.certificate_pem().into());
    let seen = Rc::clone(&steps);
    let outcome =
        trial(&Settings::parse(url).expect("a URL"), Deadlines::default(), &roots, mail, move |step| {
            seen.borrow_mut().push(step.clone());
        })
        .await
        .expect("settings that can work");
    (steps.take(), outcome)
}

fn phases(steps: &[Step]) -> Vec<Phase> {
    let phase = |step: &Step| match step {
        Step::Found(_) => Phase::Resolve,
        Step::Connected(_) => Phase::Connect,
        Step::Encrypted { .. } => Phase::Tls,
        Step::Replied { phase, .. } => *phase,
    };
    steps.iter().map(phase).collect()
}

#[tokio::test]
async fn every_step_of_a_delivery_is_told_and_never_the_login() {
    let server =
        ScriptedServer::with(Features::tls(ServerTls::StartTls).with_login("mailer", "hunter2secret")).await;
    server.on(Phase::Auth, Behaviour::reply("235 2.7.0 hello mailer hunter2secret"));
    server.on(Phase::Mail, Behaviour::reply("250-2.1.0 sender ok for hunter2secret\r\n250 2.1.0 ok"));
    server.on(Phase::Rcpt, Behaviour::reply("250 2.1.5 AUTH PLAIN AG1haWxlcgBodW50ZXIyc2VjcmV0"));
    let url = format!("smtp://mailer:hunter2secret@127.0.0.1:{}?requireTLS=true", server.port());
    let (steps, outcome) = watch(&server, &url, true).await;
    assert!(outcome.unwrap().is_some());
    use Phase::*;
    let all = [Resolve, Connect, Greeting, Ehlo, StartTls, Tls, Ehlo, Auth, Mail, Rcpt, Data, FinalDot];
    assert_eq!(phases(&steps), all);
    let Step::Encrypted { version, cipher, certificate } = &steps[5] else { panic!("{steps:?}") };
    assert!(
        version == "TLSv1_3" && cipher.starts_with("TLS13_") && certificate.is_some(),
        "{version} {cipher}"
    );
    let Step::Replied { code: 250, lines, .. } = &steps[3] else { panic!("{steps:?}") };
    assert!(lines.contains(&"STARTTLS".to_owned()), "{lines:?}");
    let told = format!("{steps:?}");
    assert!(!told.contains("hunter2") && !told.contains("AG1haWxlcgBod"), "{told}");
    assert_eq!(server.messages().len(), 1);
    server.wait_until_idle().await;
}

#[tokio::test]
async fn a_trial_without_a_mail_ends_behind_the_login() {
    let server = ScriptedServer::start().await;
    let (steps, outcome) = watch(&server, &server.url(), false).await;
    assert_eq!(outcome, Ok(None));
    assert_eq!(phases(&steps).last(), Some(&Phase::Ehlo));
    server.wait_until_idle().await;
    assert!(server.connections()[0].text().ends_with("QUIT\r\n"));
}

#[tokio::test]
async fn the_steps_end_where_it_fails() {
    let server = ScriptedServer::start().await;
    server.on(Phase::Rcpt, Behaviour::reply("550 5.7.1 relaying denied"));
    let (steps, outcome) = watch(&server, &server.url(), true).await;
    assert_eq!(outcome.unwrap_err().phase(), Phase::Rcpt);
    assert!(phases(&steps).contains(&Phase::Mail) && server.messages().is_empty());
}
