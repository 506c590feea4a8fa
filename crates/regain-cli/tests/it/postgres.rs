//! A database in PostgreSQL: what a command says of one that cannot be used, and what a server says of one that goes away.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use regain_store::testing::{Cluster, programs};

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
        assert!(begun.elapsed() < Duration::from_secs(20), "{command:?}: {:?}", begun.elapsed());
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

/// Somebody else's session, open until it is told to end.
struct Session {
    psql: Child,
    stdin: ChildStdin,
}

impl Session {
    /// Returns once the statement is done.
    fn with(url: &str, sql: &str) -> Self {
        let mut command = Command::new(programs().join("psql"));
        command.args(["-qAtX", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = command.spawn().unwrap();
        let mut stdin = psql.stdin.take().unwrap();
        writeln!(stdin, "{sql};\n\\echo done").unwrap();
        let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "done"), "{sql}");
        Self { psql, stdin }
    }

    fn end(self) {
        let Self { mut psql, stdin } = self;
        drop(stdin);
        psql.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_says_what_it_waits_for() {
    let cluster = Cluster::shared();
    let url = cluster.fresh_database().await;
    let name = url.rsplit('/').next().unwrap();
    let place = place(&url);
    place.run(&["migrate"]).ok();
    // As the version before left it.
    let older = "SET search_path = regain; DELETE FROM migrations WHERE number = 6; DROP INDEX letters_oldest, letters_ended;
        CREATE INDEX letters_oldest ON letters (posted) WHERE ended IS NULL;
        CREATE INDEX letters_ended ON letters (state, ended) WHERE ended IS NOT NULL";
    cluster.run(name, older).await;
    let backup = Session::with(&url, "BEGIN; LOCK TABLE regain.letters IN ACCESS SHARE MODE");
    // The lock of whoever migrates.
    let other = Session::with(&url, "SELECT pg_advisory_lock(x'72656761696e'::bigint)");
    let mut migrating = place.spawn(&["migrate"], &[]);
    let mut told = BufReader::new(migrating.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line.contains("migration_waits") && line.contains("another process")));
    other.end();
    assert!(told.any(|line| line.contains("migration_waits") && line.contains("a backup")));
    backup.end();
    assert!(migrating.wait().unwrap().success());
}
