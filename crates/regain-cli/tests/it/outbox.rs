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
    let told = place.run(&["outbox", "retry", id(&dead)]).wrong();
    assert!(told.contains(&format!("already replaced by {}, which is sent", id(&sent))), "{told}");
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

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_counted_and_sent_again_together_and_nobody_twice() {
    let relay = ScriptedServer::start().await;
    relay.on(Phase::Rcpt, Behaviour::reply("550 5.1.1 no such user"));
    let place = Place::with_relay(&relay.url());
    let server = place.start(&["serve"], &[]);
    for name in ["ann@mail.test", "bob@mail.test", "cat@mail.test"] {
        server.register(name);
    }
    until("three dead letters", || Some(()).filter(|()| letters(&place, &["--state", "dead"]).len() == 3));

    let found = |more: &[&str]| letters(&place, more).len();
    assert_eq!(
        (found(&["--code", "550"]), found(&["--code", "5.1.1"]), found(&["--code", "552"])),
        (3, 3, 0)
    );
    assert_eq!(
        (found(&["--since", "1h"]), found(&["--until", "1h"]), found(&["--since", "2026-01-01"])),
        (3, 0, 3)
    );
    assert_eq!((found(&["--name", "ANN@mail.test"]), found(&["--name", "dan@mail.test"])), (1, 0));
    let accounts = place.run(&["users", "list", "--json"]).ok();
    let accounts: Vec<Value> = serde_json::from_str(&accounts).unwrap();
    assert_eq!(found(&["--account", accounts[1]["id"].as_str().unwrap()]), 1);
    let told = place.run(&["outbox", "list", "--account", "9f83"]).wrong();
    assert!(told.contains("no account of this id"), "{told}");
    let cut = place.run(&["outbox", "list", "--limit", "1"]);
    assert!(cut.stderr.contains("there are 2 more: go on with --before"), "{cut:?}");
    assert_eq!(place.run(&["outbox", "list", "--limit", "3"]).stderr, "");
    for (option, value) in
        [("--code", "5505"), ("--since", "yesterday"), ("--account", "x"), ("--name", "a\tb")]
    {
        assert_ne!(place.run(&["outbox", "list", option, value]).code, Some(0), "{option} {value}");
    }

    let stats: Value = serde_json::from_str(&place.run(&["outbox", "stats", "--json"]).ok()).unwrap();
    assert_eq!((&stats["states"]["dead"]["confirm"], &stats["open"]), (&3.into(), &0.into()), "{stats}");
    assert_eq!((&stats["deadByCode"]["550"], &stats["oldest"]), (&3.into(), &Value::Null), "{stats}");
    assert_eq!((&stats["budget"], &stats["budgetUsed"]), (&Value::Null, &Value::Null), "{stats}");
    let with_budget =
        place.run_with(&["outbox", "stats"], &[("REGAIN_LIMITS__MAIL_PER_HOUR", "1000")], "").ok();
    assert!(with_budget.contains("mail budget of this hour  0 of 1,000"), "{with_budget}");
    let shown = place.run(&["outbox", "stats"]).ok();
    assert!(shown.contains("dead with 550") && !shown.contains('@'), "{shown}");

    let all = ["outbox", "retry", "--state", "dead", "--code", "550"];
    let asked = place.run(&all).wrong();
    assert!(asked.contains("Send 3 letters again") && asked.contains("--yes"), "{asked}");
    assert_eq!(found(&[]), 3, "nothing is done unasked");
    relay.behave();
    let told = place.run(&[&all[..], &["--yes"]].concat()).ok();
    assert_eq!(told, "3 replaced by a new letter\n");
    relay.wait_for_messages(3).await;
    until("three sent letters", || Some(()).filter(|()| found(&["--state", "sent"]) == 3));
    let told = place.run(&[&all[..], &["--yes"]].concat()).ok();
    assert!(told.starts_with("3 left alone: a newer letter"), "{told}");
    assert_eq!(found(&[]), 6);
    assert_eq!(relay.messages().len(), 3);
    let audited = rusqlite::Connection::open(place.path("data/regain.db")).unwrap();
    let count = |event: &str| -> i64 {
        let sql = "SELECT count(DISTINCT letter) FROM audit WHERE event = ?1";
        audited.query_row(sql, [event], |row| row.get(0)).unwrap()
    };
    assert_eq!(count("letter_replaced"), 3);

    relay.on(Phase::Rcpt, Behaviour::reply("450 4.2.1 later"));
    for name in ["dan@mail.test", "eve@mail.test"] {
        server.register(name);
    }
    let put_off = || found(&["--state", "waiting", "--code", "4.2.1"]);
    until("two letters that are put off", || Some(()).filter(|()| put_off() == 2));
    let stats: Value = serde_json::from_str(&place.run(&["outbox", "stats", "--json"]).ok()).unwrap();
    assert_eq!((&stats["putOff"], &stats["sentLastHour"]), (&2.into(), &3.into()), "{stats}");
    assert!(stats["oldestSeconds"].is_u64() && stats["oldest"].is_string(), "{stats}");
    let told = place.run(&["outbox", "drop", "--state", "waiting", "--since", "1h", "--yes"]).ok();
    assert_eq!(told, "2 dropped\n");
    assert_eq!(place.run(&["outbox", "drop", "--state", "waiting", "--yes"]).ok(), "no letters\n");
    assert_eq!(count("letter_dropped"), 2);
    for wrong in
        [&["drop", "--state", "dead"][..], &["retry", "--state", "sent"], &["retry", "--state", "superseded"]]
    {
        let told = place.run(&[&["outbox"][..], wrong, &["--yes"]].concat()).wrong();
        assert!(told.contains("several letters at once must be"), "{told}");
    }
    for wrong in [&["outbox", "retry"][..], &["outbox", "drop", "--name", "a@mail.test"]] {
        let ran = place.run(wrong);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.starts_with("error: name one letter by its id, or several by --state STATE"),
            "{ran:?}"
        );
    }
}

#[test]
fn commands_that_look_leave_a_database_of_an_older_version_as_it_is() {
    let place = Place::with_relay("smtp://localhost");
    drop(place.start(&["serve"], &[]));
    let path = place.path("data/regain.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    let newest: i64 = old.query_row("SELECT max(number) FROM migrations", (), |row| row.get(0)).unwrap();
    old.execute("DELETE FROM migrations WHERE number = ?1", [newest]).unwrap();
    let count = || -> i64 { old.query_row("SELECT count(*) FROM migrations", (), |row| row.get(0)).unwrap() };
    let id = "01890000-0000-7000-8000-000000000000";
    for command in [
        &["outbox", "list"][..],
        &["outbox", "stats"],
        &["outbox", "show", id],
        &["outbox", "retry", id],
        &["outbox", "drop", id],
        &["users", "list"],
        &["users", "export", "-"],
    ] {
        let told = place.run(command).wrong();
        assert!(told.contains("has the schema of an older version"), "{command:?}: {told}");
        assert_eq!(count(), newest - 1, "{command:?}");
    }
}
