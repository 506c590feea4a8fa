//! A database in PostgreSQL: what a command says of one that cannot be used, and what a server says of one that goes away.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use regain_store::testing::Cluster;

use crate::harness::{Place, configuration};

/// A place whose database is there.
fn place(url: &str) -> Place {
    let place = Place::new();
    place.write("regain.toml", &format!("database = \"{url}\"\n{}", configuration("smtp://localhost")));
    place
}

#[test]
fn a_command_waits_for_a_silent_server_no_longer_than_somebody_at_a_terminal_would() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let place = place(&format!("postgres://regain:hunter2@127.0.0.1:{port}/regain?connect_timeout=1"));
    place.write("accounts.jsonl", "{\"provider_id\": \"ann@mail.test\"}\n");
    for command in [
        &["users", "list"][..],
        &["users", "import", "accounts.jsonl"],
        &["outbox", "retry", "--state", "dead", "--yes"],
    ] {
        let begun = Instant::now();
        let told = place.run(command).wrong();
        assert!(told.contains("cannot be reached: it does not answer"), "{command:?}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{command:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_under_database_what_a_start_would_refuse() {
    let cluster = Cluster::shared();
    let url = cluster.fresh_database().await;
    let name = url.rsplit('/').next().unwrap();
    cluster.run("postgres", "CREATE ROLE weak LOGIN").await;
    let place = place(&url.replace("postgres@", "weak@"));
    // Also where there is no data path yet.
    let problem = |part: &str| {
        let report = place.run(&["check"]);
        assert_eq!(report.code, Some(1), "{report:?}");
        let of_database = |line: &&str| line.starts_with("problem") && line.contains(" database ");
        let told = report.stdout.lines().find(of_database).unwrap_or_else(|| panic!("{report:?}"));
        assert!(told.contains(part), "{told}");
        assert!(!report.stdout.lines().any(|line| line.starts_with("problem  keys")), "{report:?}");
    };
    problem(&format!("GRANT CREATE ON DATABASE {name} TO weak"));
    assert!(place.run(&["migrate"]).wrong().contains("GRANT CREATE ON DATABASE"));
    cluster.run("postgres", &format!("GRANT CREATE ON DATABASE {name} TO weak")).await;
    place.run(&["migrate"]).ok();
    cluster.run(name, "INSERT INTO regain.meta (key, value) VALUES ('moving', 'x')").await;
    problem("holds a move from SQLite that has not ended");
}
