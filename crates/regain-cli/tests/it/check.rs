//! `regain init` and `regain check`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, Features, ScriptedServer, ServerTls};

use crate::harness::{Place, Ran, configuration};

/// The line of a report that is about this.
#[track_caller]
fn line<'r>(report: &'r Ran, subject: &str) -> &'r str {
    let found = report.stdout.lines().find(|line| line.split_whitespace().nth(1) == Some(subject));
    found.unwrap_or_else(|| panic!("{subject} in {report:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_passes_once_the_relay_is_filled_in() {
    let relay = ScriptedServer::with(Features::default().with_login("mailer", "hunter2secret")).await;
    let place = Place::new();
    let told = place.run(&["init", "site"]).ok();
    assert!(told.contains("site/regain.toml") && told.contains("regain check"), "{told}");
    assert!(fs::read_to_string(place.path("site/.gitignore")).unwrap().contains("data/"));

    let example = place.run(&["check", "--config", "site/regain.toml"]);
    assert_eq!(example.code, Some(1));
    assert!(line(&example, "relay").starts_with("problem"), "{example:?}");
    assert!(
        line(&example, "relay").contains("1, smtp://")
            && line(&example, "relay").contains("kept for examples (RFC 2606): write your relay")
    );
    assert!(line(&example, "sender").contains("SPF, DKIM and DMARC are looked for then"), "{example:?}");

    let file = place.path("site/regain.toml");
    let url = format!("smtp://mailer:hunter2secret@127.0.0.1:{}", relay.port());
    let filled = fs::read_to_string(&file)
        .unwrap()
        .replace("smtp://smtp_username:smtp_password@smtp.example.com", &url);
    fs::write(&file, filled).unwrap();
    let report = place.run(&["check", "--config", "site/regain.toml"]);
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(line(&report, "relay").contains("the login works"), "{report:?}");
    assert!(!format!("{report:?}").contains("hunter2secret"), "{report:?}");
    assert!(relay.received().is_empty(), "no mail is sent");
    assert!(!place.path("site/data").exists(), "looking makes nothing");

    let again = place.run(&["init", "site"]).wrong();
    assert!(again.contains("nothing was written"), "{again}");
}

#[test]
fn a_sender_or_links_at_a_domain_of_documentation_are_noted_with_their_domain() {
    let place = Place::new();
    let own = configuration("smtp://localhost");
    let foreign = own
        .replace("regain.test", "mail.example.org")
        .replace("http://localhost:9080", "https://Example.NET/a");
    place.write("regain.toml", &foreign);
    let report = place.run(&["check", "--offline"]);
    let (sender, links) = (line(&report, "sender"), line(&report, "links"));
    assert!(
        sender.starts_with("note") && sender.contains("from is at mail.example.org, a domain that is kept"),
        "{report:?}"
    );
    assert!(
        links.starts_with("note") && links.contains("write your own into publicUrl or baseUrl"),
        "{report:?}"
    );
    place.write("regain.toml", &own);
    let report = place.run(&["check", "--offline"]);
    assert!(line(&report, "links").starts_with("ok") && !report.stdout.contains("RFC 2606"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_fails_is_told_with_its_phase_and_the_likely_cause() {
    let relay = ScriptedServer::with(Features::default().with_login("mailer", "right")).await;
    let url = format!("smtp://mailer:hunter2secret@127.0.0.1:{}", relay.port());
    let report = Place::with_relay(&url).run(&["check"]);
    assert_eq!(report.code, Some(1));
    for part in ["problem", "logging in (AUTH)", "535", "password is wrong"] {
        assert!(line(&report, "relay").contains(part), "{part} in {report:?}");
    }
    assert!(!format!("{report:?}").contains("hunter2secret"));

    relay.on(Phase::Greeting, Behaviour::reply("554 5.7.1 go away"));
    let report = Place::with_relay(&url).run(&["check"]);
    assert!(
        line(&report, "relay").contains("greeting") && line(&report, "relay").contains("554"),
        "{report:?}"
    );

    let clear = ScriptedServer::start().await;
    let report = Place::with_relay(&format!("{}?requireTLS=true", clear.url())).run(&["check"]);
    assert!(line(&report, "relay").contains("STARTTLS is required"), "{report:?}");

    let stranger = ScriptedServer::with(Features::tls(ServerTls::Immediate)).await;
    let report = Place::with_relay(&stranger.url()).run(&["check"]);
    assert!(line(&report, "relay").contains("certificate is not trusted"), "{report:?}");

    let gone = { ScriptedServer::start().await.port() };
    let report = Place::with_relay(&format!("smtp://127.0.0.1:{gone}")).run(&["check"]);
    assert!(line(&report, "relay").contains("connecting"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_told_at_once() {
    let relay = ScriptedServer::start().await;
    relay.on(Phase::Ehlo, Behaviour::reply_and_close("421 busy"));
    let place = Place::with_relay(&relay.url());
    fs::create_dir_all(place.path("data/keys")).unwrap();
    place.write("data/keys/auth.key", "no key");
    place.write("data/keys/token.key", "no key either");
    place.write(
        "data/regain.db",
        "this is no database, and it is longer than the header of one would be, by some bytes",
    );
    let report = place.run(&["check"]);
    assert_eq!(report.code, Some(1));
    assert!(line(&report, "database").starts_with("problem"), "{report:?}");
    assert!(line(&report, "keys").starts_with("problem"), "{report:?}");
    assert!(line(&report, "relay").starts_with("problem"), "{report:?}");
    assert!(report.stderr.ends_with("regain: 3 problems\n"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_works_beside_a_running_server() {
    let relay = ScriptedServer::start().await;
    let place = Place::with_relay(&relay.url());
    let server = place.start(&["serve"], &[]);
    let report = place.run(&["check"]);
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(line(&report, "database").contains("regain.db"), "{report:?}");
    assert_eq!(server.request("GET", "/health", "").0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_everybody_can_read_is_noted() {
    let relay = ScriptedServer::with(Features::default().with_login("mailer", "hunter2secret")).await;
    let place = Place::with_relay(&format!("smtp://mailer:hunter2secret@127.0.0.1:{}", relay.port()));
    let set =
        |mode| fs::set_permissions(place.path("regain.toml"), fs::Permissions::from_mode(mode)).unwrap();
    set(0o644);
    assert!(place.run(&["check"]).ok().contains("everybody on this machine may read regain.toml"));
    set(0o600);
    assert!(!place.run(&["check"]).ok().contains("everybody"));
}
