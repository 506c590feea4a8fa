//! How a database in PostgreSQL is opened, beside others and under faults.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use regain_core::{Clock, KeyMode, Store};
use regain_store::testing::Cluster;
use regain_store::{PostgresError, PostgresOptions, PostgresSettings, PostgresStore};
use tokio::time::timeout;

async fn fresh() -> (PostgresSettings, String) {
    let url = Cluster::shared().fresh_database().await;
    let name = url.rsplit('/').next().unwrap().to_owned();
    (url.parse().unwrap(), name)
}

async fn open(settings: &PostgresSettings) -> Result<PostgresStore, PostgresError> {
    PostgresStore::open(settings, PostgresOptions::default()).await
}

/// The error of an opening that must fail.
async fn refused(settings: &PostgresSettings) -> PostgresError {
    open(settings).await.err().expect("this was opened")
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_that_start_at_once_all_come_up() {
    let (settings, _) = fresh().await;
    let opened = join_all((0..50).map(|_| open(&settings))).await;
    for store in opened {
        assert_eq!(store.unwrap().outbox_status().await.unwrap().open, 0);
    }
    assert_eq!(PostgresStore::pending_migrations(&settings).await.unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_made_by_looking() {
    let (settings, _) = fresh().await;
    assert_eq!(PostgresStore::pending_migrations(&settings).await.unwrap(), None);
    let opened = PostgresStore::open_as_it_is(&settings, PostgresOptions::default()).await;
    assert!(matches!(opened.err().unwrap(), PostgresError::Older(_)));
    assert_eq!(PostgresStore::pending_migrations(&settings).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_compared_as_the_database_was_made() {
    let (settings, _) = fresh().await;
    let exact = PostgresOptions { key_mode_if_new: KeyMode::Exact, ..PostgresOptions::default() };
    PostgresStore::open(&settings, exact).await.unwrap();
    assert_eq!(open(&settings).await.unwrap().key_mode(), KeyMode::Exact);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_something_else_is_left_alone() {
    let (settings, name) = fresh().await;
    Cluster::shared().run(&name, "CREATE SCHEMA regain; CREATE TABLE regain.theirs (a INT)").await;
    assert!(matches!(refused(&settings).await, PostgresError::Foreign(_)));
    Cluster::shared().run(&name, "SELECT a FROM regain.theirs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_says_who_may_still_work_with_its_schema() {
    let (settings, name) = fresh().await;
    open(&settings).await.unwrap().close().await;
    let later = |works_from: &str| {
        format!(
            "INSERT INTO regain.migrations (number, name, sha256, works_from)
             SELECT max(number) + 1, 'later', '\\x00', {works_from} FROM regain.migrations"
        )
    };
    Cluster::shared().run(&name, &later("max(number)")).await;
    let store = open(&settings).await.unwrap();
    assert_eq!(store.outbox_status().await.unwrap().open, 0);
    Cluster::shared().run(&name, &later("max(number) + 1")).await;
    assert!(matches!(refused(&settings).await, PostgresError::Newer { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_with_another_text_is_refused() {
    let (settings, name) = fresh().await;
    open(&settings).await.unwrap();
    Cluster::shared().run(&name, "UPDATE regain.migrations SET sha256 = '\\x00' WHERE number = 2").await;
    assert!(matches!(refused(&settings).await, PostgresError::Altered { number: 2, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_encoding_is_refused() {
    let cluster = Cluster::shared();
    cluster.run("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").await;
    let error = refused(&cluster.settings("latin")).await;
    assert!(matches!(&error, PostgresError::Encoding { encoding, .. } if encoding == "LATIN1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_or_a_database_has_set_does_not_matter() {
    let (settings, name) = fresh().await;
    let cluster = Cluster::shared();
    cluster
        .run(
            &name,
            &format!(
                "ALTER DATABASE {name} SET search_path = public;
                 ALTER DATABASE {name} SET default_transaction_isolation = 'serializable';
                 ALTER DATABASE {name} SET default_transaction_read_only = on;
                 ALTER DATABASE {name} SET synchronous_commit = off"
            ),
        )
        .await;
    // A session that begins read-only is taken for a standby's.
    let error = refused(&settings).await;
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error}");
    cluster.run("postgres", &format!("ALTER DATABASE {name} SET default_transaction_read_only = off")).await;
    assert_eq!(open(&settings).await.unwrap().outbox_status().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_make_schemas_uses_one_that_was_made() {
    let (_, name) = fresh().await;
    let cluster = Cluster::shared();
    cluster.run("postgres", "CREATE ROLE narrow LOGIN PASSWORD 'hunter2'").await;
    let settings: PostgresSettings =
        format!("postgres://narrow:hunter2@127.0.0.1:{}/{name}", cluster.port()).parse().unwrap();
    // What only looks says the same.
    let looked = PostgresStore::pending_migrations(&settings).await.unwrap_err();
    for told in [refused(&settings).await.to_string(), looked.to_string()] {
        for part in ["42501", "owner", &format!("GRANT CREATE ON DATABASE {name} TO narrow")] {
            assert!(told.contains(part) && !told.contains("hunter2"), "{part} in {told}");
        }
    }
    cluster.run(&name, "CREATE SCHEMA regain").await;
    let told = refused(&settings).await.to_string();
    assert!(told.contains("GRANT USAGE, CREATE ON SCHEMA regain TO narrow"), "{told}");
    cluster.run(&name, "GRANT USAGE, CREATE ON SCHEMA regain TO narrow").await;
    assert_eq!(PostgresStore::pending_migrations(&settings).await.unwrap(), None);
    assert_eq!(open(&settings).await.unwrap().outbox_status().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_is_told_which_right_to_tables_is_missing() {
    let (owners, name) = fresh().await;
    open(&owners).await.unwrap();
    let cluster = Cluster::shared();
    let run = async |sql: &str| cluster.run(&name, sql).await;
    run("CREATE ROLE \"No owner\" LOGIN; GRANT USAGE ON SCHEMA regain TO \"No owner\"; GRANT SELECT ON ALL TABLES IN SCHEMA regain TO \"No owner\"").await;
    let settings: PostgresSettings =
        format!("postgres://No%20owner@127.0.0.1:{}/{name}", cluster.port()).parse().unwrap();
    let Err(PostgresError::NoTableRight { grant, .. }) = PostgresStore::pending_migrations(&settings).await
    else {
        panic!("it may write everything")
    };
    run(&format!("{grant}; REVOKE INSERT, UPDATE, DELETE ON regain.migrations FROM \"No owner\"")).await;
    assert_eq!(PostgresStore::pending_migrations(&settings).await.unwrap(), Some(0));
    assert_eq!(open(&settings).await.unwrap().outbox_status().await.unwrap().open, 0);
    for right in ["INSERT", "UPDATE", "DELETE"] {
        run(&format!("REVOKE {right} ON regain.tokens FROM \"No owner\"")).await;
        let looked = PostgresStore::pending_migrations(&settings).await;
        assert!(matches!(looked, Err(PostgresError::NoTableRight { .. })), "{right}");
        run(&format!("GRANT {right} ON regain.tokens TO \"No owner\"")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_make_schemas_is_what_the_grant_gives() {
    let (_, name) = fresh().await;
    let cluster = Cluster::shared();
    cluster.run("postgres", "CREATE ROLE \"Other one\" LOGIN").await;
    let settings: PostgresSettings =
        format!("postgres://Other%20one@127.0.0.1:{}/{name}", cluster.port()).parse().unwrap();
    let PostgresError::NoRight { grant, .. } = refused(&settings).await else { panic!("another refusal") };
    cluster.run(&name, &grant).await;
    assert_eq!(open(&settings).await.unwrap().outbox_status().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_in_time() {
    let begun = Instant::now();
    let nowhere: PostgresSettings = "postgres://u:hunter2@127.0.0.1:1/a".parse().unwrap();
    let error = refused(&nowhere).await;
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(matches!(error, PostgresError::Unreachable { .. }));
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_the_first_that_answers_is_taken() {
    let (_, name) = fresh().await;
    let port = Cluster::shared().port();
    let settings: PostgresSettings =
        format!("postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/{name}").parse().unwrap();
    assert_eq!(open(&settings).await.unwrap().outbox_status().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_the_databases() {
    let (settings, _) = fresh().await;
    let store = open(&settings).await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(&settings.to_string(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let before = store.clock().now().as_millis();
    let ask = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let theirs: i64 = client.query_one(ask, &[]).await.unwrap().get(0);
    let after = store.clock().now().as_millis();
    // Whole milliseconds, and half of what the first answer took.
    assert!(before - 2000 <= theirs && theirs <= after + 2000, "{before} {theirs} {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_against_the_servers_name() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    // The server runs as another user, and wants its key for itself.
    let shell = format!(
        "chmod 711 {0} && chmod 600 {0}/key.pem && if [ \"$(id -u)\" = 0 ]; then chown postgres {0}/key.pem; fi",
        folder.path().display()
    );
    assert!(Command::new("sh").args(["-c", &shell]).status().unwrap().success());
    let file = |name: &str, path: &std::path::Path| format!("{name}='{}'", path.display());
    let cluster =
        Cluster::start(&["fsync=off", "ssl=on", &file("ssl_cert_file", &cert), &file("ssl_key_file", &key)]);
    let url = |host: &str, options: &str| -> PostgresSettings {
        format!("postgres://postgres@{host}:{}/postgres?{options}", cluster.port()).parse().unwrap()
    };
    let trusted = format!("sslrootcert={}", cert.display());
    let is_encrypted = |settings: PostgresSettings| async move {
        open(&settings).await.map(|_| ()).map_err(|error| error.to_string())
    };
    is_encrypted(url("localhost", &format!("sslmode=verify-full&{trusted}"))).await.unwrap();
    is_encrypted(url("localhost", &format!("sslmode=require&{trusted}"))).await.unwrap();
    let other_name =
        is_encrypted(url("127.0.0.1", &format!("sslmode=verify-full&{trusted}"))).await.unwrap_err();
    assert!(other_name.contains("certificate"), "{other_name}");
    let not_trusted = is_encrypted(url("localhost", "sslmode=verify-full")).await.unwrap_err();
    assert!(not_trusted.contains("certificate"), "{not_trusted}");
    let no_file =
        is_encrypted(url("localhost", "sslmode=require&sslrootcert=/nowhere.pem")).await.unwrap_err();
    assert!(no_file.contains("/nowhere.pem"), "{no_file}");
    // Without TLS on the server, whoever requires it gets no further.
    let (plain, name) = (Cluster::shared().port(), fresh().await.1);
    let plain = format!("postgres://postgres@localhost:{plain}/{name}?sslmode=require&{trusted}");
    let no_tls = is_encrypted(plain.parse().unwrap()).await.unwrap_err();
    assert!(no_tls.contains("does not support TLS") && no_tls.contains("sslmode=disable"), "{no_tls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_missing_is_told_with_the_ways_to_give_one() {
    let cluster = Cluster::start(&["fsync=off"]);
    cluster.run("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'hunter2'").await;
    std::fs::write(cluster.data().join("pg_hba.conf"), "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    cluster.run("postgres", "SELECT pg_reload_conf()").await;
    let url = |who: &str| format!("postgres://{who}@127.0.0.1:{}/postgres", cluster.port()).parse().unwrap();
    // The server reads its file again in its own time.
    let reread = async {
        loop {
            let told = refused(&url("guarded")).await.to_string();
            if !told.contains("42501") {
                break told;
            }
        }
    };
    let told = timeout(Duration::from_secs(120), reread).await.unwrap();
    for part in ["databasePasswordFile", "databasePassword ", "REGAIN_DATABASE_PASSWORD", "USER:PASSWORD@"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = refused(&url("guarded:wrong")).await.to_string();
    assert!(told.contains("28P01") && !told.contains("wrong"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_waits_for_a_backup_keeps_nobody_else_waiting() {
    let (settings, name) = fresh().await;
    let store = open(&settings).await.unwrap();
    let cluster = Cluster::shared();
    // As the version before left it.
    let older = "SET search_path = regain; DELETE FROM migrations WHERE number = 6; DROP INDEX letters_oldest, letters_ended;
        CREATE INDEX letters_oldest ON letters (posted) WHERE ended IS NULL;
        CREATE INDEX letters_ended ON letters (state, ended) WHERE ended IS NOT NULL";
    cluster.run(&name, older).await;
    let (client, connection) =
        tokio_postgres::connect(&cluster.url(&name), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE regain.letters IN ACCESS SHARE MODE").await.unwrap();
    let migrating = tokio::spawn({
        let settings = settings.clone();
        async move { open(&settings).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'";
    while client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    // It is in front of this one, and lets go.
    assert_eq!(store.outbox_status().await.unwrap().open, 0);
    assert!(!migrating.is_finished());
    client.batch_execute("COMMIT").await.unwrap();
    timeout(Duration::from_secs(120), migrating).await.unwrap().unwrap().unwrap();
    assert_eq!(PostgresStore::pending_migrations(&settings).await.unwrap(), Some(0));
}
