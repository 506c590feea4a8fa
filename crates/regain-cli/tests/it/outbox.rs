//! `regain outbox` beside a running server.

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, ScriptedServer};
use serde_json::Value;

use crate::harness::{Place, until};

fn letters(place: &Place, more: &[&str]) -> Vec<Value> {
    let arguments = [&["outbox", "list", "--json"], more].concat();
    serde_json::from_str(&place.run(&arguments).ok()).unwrap()
}

/// Waits for a letter in that state, and returns it.
fn letter(place: &Place, state: &str) -> Value {
    until(&format!("a {state} letter"), || letters(place, &["--state", state]).pop())
}

fn id(letter: &Value) -> &str {
    letter["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_shown_and_sent_again() {
    let relay = ScriptedServer::start().await;
    relay.on(Phase::Rcpt, Behaviour::reply("550 5.1.1 no such user"));
    let place = Place::with_relay(&relay.url());
    let server = place.start(&["serve"], &[]);
    server.register("ann@mail.test");
    let dead = letter(&place, "dead");
    assert_eq!(dead["to"], "a…@mail.test");
    assert_eq!(
        (&dead["purpose"], &dead["attempts"], &dead["due"]),
        (&"confirm".into(), &1.into(), &Value::Null)
    );
    assert!(dead["lastError"].as_str().unwrap().contains("550"), "{dead}");
    let keys: Vec<&String> = dead.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "purpose",
            "state",
            "to",
            "posted",
            "deadline",
            "due",
            "attempts",
            "repeats",
            "ended",
            "lastError",
            "relayReply",
            "replaces"
        ]
    );
    let shown = place.run(&["outbox", "show", id(&dead)]).ok();
    assert!(shown.contains("550") && shown.contains("a…@mail.test") && !shown.contains("ann@"), "{shown}");
    assert!(place.run(&["outbox", "show", id(&dead), "--reveal"]).ok().contains("ann@mail.test"));
    assert!(place.run(&["outbox", "list"]).ok().contains(id(&dead)));

    relay.behave();
    let told = place.run(&["outbox", "retry", id(&dead)]).ok();
    assert!(told.contains("in place of"), "{told}");
    relay.wait_for_messages(1).await;
    let sent = letter(&place, "sent");
    assert_eq!(sent["replaces"], dead["id"]);
    assert_eq!(letters(&place, &["--before", id(&sent)]), [dead]);
    assert_eq!(letters(&place, &["--purpose", "reset"]), Vec::<Value>::new());
    assert_eq!(letters(&place, &["--limit", "1"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_waits_is_hastened_or_dropped_and_a_closed_one_cannot_be_dropped() {
    let relay = ScriptedServer::start().await;
    relay.on(Phase::Rcpt, Behaviour::reply("450 4.2.1 later"));
    let place = Place::with_relay(&relay.url());
    let server = place.start(&["serve"], &[]);
    server.register("ann@mail.test");
    let put_off =
        || letters(&place, &["--state", "waiting"]).into_iter().find(|letter| letter["attempts"] == 1);
    let waiting = until("a letter that is put off", put_off);
    assert!(waiting["due"].is_string(), "{waiting}");

    assert!(place.run(&["outbox", "retry", id(&waiting)]).ok().contains("tried now"));
    // After a 450 the next attempt would be a minute away: that it comes is the retry's doing.
    relay.wait_for_phase(Phase::Rcpt, 2).await;
    let twice =
        || letters(&place, &["--state", "waiting"]).into_iter().find(|letter| letter["attempts"] == 2);
    until("a letter that is put off again", twice);

    assert!(place.run(&["outbox", "drop", id(&waiting)]).ok().contains("dropped"));
    assert_eq!(id(&letter(&place, "dropped")), id(&waiting));
    let told = place.run(&["outbox", "drop", id(&waiting)]).wrong();
    assert!(told.contains("it is dropped"), "{told}");
}

#[test]
fn what_is_not_there_is_told_and_not_made() {
    let place = Place::with_relay("smtp://localhost");
    let told = place.run(&["outbox", "list"]).wrong();
    assert!(told.contains("there is no database"), "{told}");
    assert!(!place.path("data").exists());
    let server = place.start(&["serve"], &[]);
    assert_eq!(place.run(&["outbox", "list"]).ok(), "no letters\n");
    assert_eq!(place.run(&["outbox", "list", "--json"]).ok(), "[]\n");
    for command in ["show", "retry", "drop"] {
        let told = place.run(&["outbox", command, "01890000-0000-7000-8000-000000000000"]).wrong();
        assert!(told.contains("there is no letter"), "{told}");
    }
    drop(server);
}
