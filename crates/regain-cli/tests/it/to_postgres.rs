//! `regain migrate --to-postgres`: from the file that was served to a database that is.

use regain_store::testing::Cluster;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Place, Running, configuration, until};

/// A place whose configuration says no more than before but where the database is.
async fn name_database(place: &Place) -> String {
    let url = Cluster::shared().fresh_database().await;
    place.write("regain.toml", &format!("database = \"{url}\"\n{}", configuration("smtp://localhost")));
    url
}

fn sign_in(server: &Running, name: &str) -> u16 {
    let user = json!({"password": "a long password", "register": false});
    let json = json!({"provider": "password", "data": name, "user_info": user});
    server.request("POST", "/auth", &json.to_string()).0
}

fn stop(mut server: Running) {
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code(), Some(0));
}

fn import(place: &Place, accounts: usize) {
    let lines = (0..accounts).map(|i| format!("{{\"provider_id\": \"user{i}@example.org\"}}\n"));
    place.write("accounts.jsonl", &lines.collect::<String>());
    place.run(&["users", "import", "accounts.jsonl"]).ok();
}

fn export(place: &Place) -> String {
    place.run(&["users", "export"]).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_from_the_file_is_served_from_the_database() {
    let place = Place::with_relay("smtp://localhost");
    let server = place.start(&["serve"], &[]);
    server.register("ann@mail.test");
    let url = name_database(&place).await;
    let told = place.run(&["migrate", "--to-postgres"]).wrong();
    assert!(told.contains("another process is running on the data path"), "{told}");
    stop(server);

    let letters = letters_in_file(&place);
    let told = place.run(&["migrate", "--to-postgres"]).ok();
    let row = |table: &str| {
        let line = told.lines().find(|line| line.split(' ').next() == Some(table)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((row("accounts")[1].as_str(), row("letters")[1].as_str()), ("1", "1"), "{told}");
    assert!(row("accounts")[2].len() == 12 && row("accounts")[2] != row("letters")[2], "{told}");
    for part in ["both sides were read again, and are the same", "keys/ stays in use", &url] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(letters_in_file(&place), letters);

    let server = place.start(&["serve"], &[]);
    assert_eq!((sign_in(&server, "ann@mail.test"), sign_in(&server, "bob@mail.test")), (200, 401));
    let waiting: Value =
        serde_json::from_str(&place.run(&["outbox", "list", "--json"]).ok()).unwrap_or_default();
    assert!(waiting.to_string().contains("confirm"), "{waiting}");
    stop(server);
    let told = place.run(&["migrate", "--to-postgres"]).wrong();
    assert!(told.contains("everything was moved from this file"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_and_no_server_starts_before_it_has_ended() {
    let place = Place::with_relay("smtp://localhost");
    import(&place, 6_000);
    let accounts = export(&place);
    assert_eq!(accounts.lines().count(), 6_000);
    name_database(&place).await;

    place.write("moving.between_batches", "pause");
    let points = place.path("");
    let points = points.to_str().unwrap();
    let mut child = place.spawn(&["migrate", "--to-postgres"], &[("REGAIN_FAIL_POINTS", points)]);
    let reached = place.path("moving.between_batches.reached");
    until("the first batch", || reached.exists().then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();

    for command in [&["serve"][..], &["users", "list"], &["migrate"]] {
        let told = place.run(command).wrong();
        assert!(told.contains("holds a move from SQLite that has not ended"), "{command:?}: {told}");
    }
    let told = place.run(&["migrate", "--to-postgres"]).ok();
    assert!(told.contains("going on with an earlier run"), "{told}");
    assert!(told.lines().any(|line| line.starts_with("accounts") && line.contains(" 6,000 ")), "{told}");
    assert_eq!(export(&place), accounts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_before_the_move_is_in_the_way_and_the_way_out_is_told() {
    let place = Place::with_relay("smtp://localhost");
    import(&place, 3);
    let accounts = export(&place);
    let url = name_database(&place).await;
    stop(place.start(&["serve"], &[]));
    let told = place.run(&["migrate", "--to-postgres"]).wrong();
    assert!(
        told.contains("no account and no letter") && told.contains("run DROP SCHEMA regain CASCADE there"),
        "{told}"
    );
    Cluster::shared().run(url.rsplit('/').next().unwrap(), "DROP SCHEMA regain CASCADE").await;
    place.run(&["migrate", "--to-postgres"]).ok();
    assert_eq!(export(&place), accounts);
    stop(place.start(&["serve"], &[]));
}

#[test]
fn without_a_database_to_move_to_it_says_what_to_write() {
    let place = Place::with_relay("smtp://localhost");
    import(&place, 1);
    let told = place.run(&["migrate", "--to-postgres"]).misconfigured();
    assert!(told.contains("write database = \"postgres://"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_nothing_is_made() {
    let place = Place::with_relay("smtp://localhost");
    name_database(&place).await;
    let told = place.run(&["migrate", "--to-postgres"]).wrong();
    assert!(told.contains("there is no database at data/regain.db"), "{told}");
    assert!(!place.path("data").exists());
}

fn letters_in_file(place: &Place) -> Vec<(Vec<u8>, String, i64)> {
    let file = rusqlite::Connection::open(place.path("data/regain.db")).unwrap();
    let mut statement = file.prepare("SELECT id, state, due FROM letters").unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
