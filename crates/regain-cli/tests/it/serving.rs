//! `regain serve` and `regain dev`: starting, ending, and what must not start.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, ScriptedServer};
use rustix::process::Signal;

use crate::harness::Place;

#[test]
fn a_signal_ends_it_gracefully() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::with_relay("smtp://localhost");
        let mut server = place.start(&["serve"], &[]);
        assert_eq!(server.request("GET", "/health", "").0, 200);
        server.signal(signal);
        assert_eq!(server.ended().code(), Some(0), "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_the_mail_goes_out_at_the_next_start() {
    let relay = ScriptedServer::start().await;
    relay.on(Phase::FinalDot, Behaviour::Silence);
    let place = Place::with_relay(&relay.url());
    let mut server = place.start(&["serve"], &[]);
    server.register("ann@mail.test");
    relay.wait_for_phase(Phase::FinalDot, 1).await;
    server.signal(Signal::TERM);
    server.logs("stopping");
    let begun = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code(), Some(128 + 15));
    assert!(begun.elapsed() < Duration::from_secs(15), "it waited for the delivery");

    relay.behave();
    let _server = place.start(&["serve"], &[]);
    relay.wait_for_messages(1).await;
}

#[test]
fn a_second_process_on_the_data_path_is_refused() {
    let place = Place::with_relay("smtp://localhost");
    let server = place.start(&["serve"], &[]);
    let told = place.run(&["serve"]).wrong();
    assert!(told.contains("another process is running on the data path"), "{told}");
    assert_eq!(server.request("GET", "/health", "").0, 200);
}

#[test]
fn what_no_other_try_mends_has_an_exit_code_of_its_own() {
    let place = Place::with_relay("smtp://localhost");
    place.write("file", "");
    let refused = |arguments: &[&str], variables: &[(&str, &str)], part: &str| {
        let told = place.run_with(arguments, variables, "").misconfigured();
        assert!(told.contains(part), "{told}");
    };
    refused(&["serve"], &[("REGAIN_PORT", "many")], "1 mistake");
    refused(&["serve", "--config", "none.toml"], &[], "no such file");
    refused(&["serve", "--no-courier"], &[], "several processes");
    refused(&["courier"], &[], "several processes");
    refused(&["serve"], &[("REGAIN_DATA_PATH", "file")], "cannot lock");
    drop(place.start(&["serve"], &[]));
    let database = rusqlite::Connection::open(place.path("data/regain.db")).unwrap();
    database.execute("INSERT INTO migrations VALUES (1000000, 'later', x'00', 0)", ()).unwrap();
    refused(&["serve"], &[], "run a newer version");
}

#[test]
fn serve_has_nothing_of_dev() {
    let place = Place::with_relay("smtp://localhost");
    let server = place.start(&["serve"], &[]);
    for path in ["/", "/dev", "/dev/mailbox", "/dev/mailbox/messages"] {
        assert_eq!(server.request("GET", path, "").0, 404, "{path}");
    }
}

#[test]
fn dev_runs_on_nothing_and_shows_the_mail() {
    let place = Place::new();
    // Neither is read: a real installation's file, and its relay.
    place.write("regain.toml", "port = \"not a port\"");
    let server = place.start(&["dev"], &[("REGAIN_PORT", "0")]);
    let url = format!("http://127.0.0.1:{}", server.port);
    assert!(server.says("Mailbox").ends_with(&format!("{url}/dev/mailbox")));
    let curl = server.says("  curl ");
    let (_, body) = curl.split_once("-d '").unwrap();
    let body = body.trim_end_matches('\'');
    let (status, answer) = server.request("POST", "/auth", body);
    assert_eq!(status, 200, "{answer}");
    for path in ["/", "/dev/mailbox", "/dev/mailbox/messages", "/reset-password"] {
        assert_eq!(server.request("GET", path, "").0, 200, "{path}");
    }
    assert!(place.path("regain-data/regain.db").exists());
}

#[test]
fn dev_leaves_the_data_of_an_installation_alone() {
    let place = Place::with_relay("smtp://localhost");
    let _server = place.start(&["dev", "--config", "regain.toml"], &[]);
    assert!(place.path("regain-data/regain.db").exists());
    assert!(!place.path("data").exists());
}

#[test]
fn dev_listens_on_this_machine_alone() {
    let told = Place::new().run_with(&["dev"], &[("REGAIN_ADDRESS", "0.0.0.0")], "").misconfigured();
    assert!(told.contains("this machine alone"), "{told}");
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = Place::new().run_with(&["dev"], &[("REGAIN_PORT", &port)], "").wrong();
    assert!(told.contains(&port) && told.contains("REGAIN_PORT="), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}
