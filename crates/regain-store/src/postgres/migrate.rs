//! Brings the schema up to date: numbered SQL files, embedded, each applied once and remembered with its SHA-256.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use regain_core::KeyMode;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresOptions;
use super::error::{PostgresError, why_not, words};
use super::pool::SESSION;
use super::pooler::lends_sessions;
use super::servers::Servers;
use super::settings::PostgresSettings;

/// A step of the schema. Its number is its place in [`MIGRATIONS`], counted from 1: the same numbers as on SQLite.
pub(crate) struct Migration {
    /// Its file, without the ending.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) sql: &'static str,
    /// Software that knows the schema of this number, and none behind it, still works once this one is applied: so
    /// versions run side by side while they are replaced one by one.
    pub(crate) works_from: i64,
}

macro_rules! migration {
    ($name:literal, works_from $from:literal) => {
        Migration {
            name: $name,
            sql: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
            works_from: $from,
        }
    };
}

/// All of them, in order. A released one never changes.
pub(crate) const MIGRATIONS: &[Migration] = &[
    migration!("0001_schema", works_from 1),
    migration!("0002_deleted_accounts", works_from 2),
    migration!("0003_crashes", works_from 3),
    migration!("0004_waiting_by_purpose", works_from 3),
    migration!("0005_cheaper_letters", works_from 3),
    migration!("0006_plans_without_statistics", works_from 3),
];

/// The advisory lock that whoever migrates holds: "regain" in ASCII.
pub(crate) const LOCK: i64 = 0x7265_6761_696e;

/// How long a migration waits for a table: less than requests do that wait behind it.
const ALONE: &str = "SET LOCAL lock_timeout = '2s'";
/// How long those go first that have waited behind it.
const REST: Duration = Duration::from_secs(3);

/// What is waited for is told after so long,
const TELL: Duration = Duration::from_secs(3);
/// and as often from then on.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Applies what is missing, all or nothing, and answers how names are compared.
pub(super) async fn migrate(
    settings: &PostgresSettings,
    tls: &MakeRustlsConnect,
    options: &PostgresOptions,
) -> Result<KeyMode, PostgresError> {
    let client = connect(settings, tls, options.is_awaited).await?;
    migrate_to(Use::Serve, client, settings, options.key_mode_if_new).await
}

/// What a database is prepared for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Use {
    /// To serve from it: everything must be there.
    Serve,
    /// To move into it what a file holds.
    #[cfg(feature = "sqlite")]
    MoveInto,
}

/// The same, also where a move into the database has not ended.
pub(crate) async fn migrate_to(
    purpose: Use,
    mut client: Client,
    settings: &PostgresSettings,
    key_mode_if_new: KeyMode,
) -> Result<KeyMode, PostgresError> {
    let database = settings.to_string();
    let mut told: Option<Instant> = None;
    loop {
        if let Some(key_mode) = attempt(purpose, &mut client, &database, key_mode_if_new).await? {
            return Ok(key_mode);
        }
        if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            tracing::warn!(
                event = "migration_waits",
                "others use a table that is to be changed, as a backup does; it is tried again until they have ended"
            );
            told = Some(Instant::now());
        }
        sleep(REST).await;
    }
}

/// Waits for what another process does at the same time, and tells so.
async fn after_others<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ticks = interval_at(Instant::now() + TELL, TELL_AGAIN);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            _ = ticks.tick() => tracing::warn!(
                event = "migration_waits",
                "another process brings the schema up to date; this one goes on when it has ended"
            ),
        }
    }
}

/// The same, or `None` where others have been using a table for long. Whoever waits for one alone keeps all who come later
/// from it, so that is not done for as long as a backup may take.
async fn attempt(
    purpose: Use,
    client: &mut Client,
    database: &str,
    key_mode_if_new: KeyMode,
) -> Result<Option<KeyMode>, PostgresError> {
    let failed = unusable(database);
    // Others may take minutes for theirs.
    client.batch_execute("SET lock_timeout = 0").await.map_err(&failed)?;
    let step = client.transaction().await.map_err(&failed)?;
    let alone = step.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]);
    after_others(alone).await.map_err(&failed)?;
    if !has_table(&step, "migrations").await.map_err(&failed)? {
        if !is_empty(&step).await.map_err(&failed)? {
            return Err(PostgresError::Foreign(database.to_owned()));
        }
        refuse_without_right(&step, database).await?;
        make_schema(&step).await.map_err(&failed)?;
    }
    check_not_newer(&step, database).await?;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if is_applied(&step, database, number, migration).await? {
            continue;
        }
        step.batch_execute(ALONE).await.map_err(&failed)?;
        match step.batch_execute(migration.sql).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(None),
            outcome => outcome.map_err(&failed)?,
        }
        step.batch_execute("SET LOCAL lock_timeout = 0").await.map_err(&failed)?;
        step.execute(
            "INSERT INTO migrations (number, name, sha256, works_from) VALUES ($1, $2, $3, $4)",
            &[&number, &migration.name, &sha256(migration.sql), &migration.works_from],
        )
        .await
        .map_err(&failed)?;
    }
    step.execute(
        "INSERT INTO meta (key, value) VALUES ('key_mode', $1) ON CONFLICT (key) DO NOTHING",
        &[&key_mode_word(key_mode_if_new)],
    )
    .await
    .map_err(&failed)?;
    if purpose == Use::Serve {
        refuse_unfinished(&step, database).await?;
    }
    let key_mode = key_mode_of(&step, database).await?;
    step.commit().await.map_err(&failed)?;
    Ok(Some(key_mode))
}

/// Checks that nothing is missing, and answers how names are compared.
pub(super) async fn check(
    settings: &PostgresSettings,
    tls: &MakeRustlsConnect,
    options: &PostgresOptions,
) -> Result<KeyMode, PostgresError> {
    let database = settings.to_string();
    let mut client = connect(settings, tls, options.is_awaited).await?;
    let look = async {
        let step = client.transaction().await.map_err(unusable(&database))?;
        match count_pending(&step, &database).await? {
            0 => {
                refuse_unfinished(&step, &database).await?;
                key_mode_of(&step, &database).await
            }
            _ => Err(PostgresError::Older(database.clone())),
        }
    };
    in_time(settings, options.is_awaited, look).await
}

/// Gives up what takes no longer than reaching the server does, where it works.
async fn in_time<T>(
    settings: &PostgresSettings,
    is_awaited: bool,
    work: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    timeout(settings.time_to_connect(is_awaited), work).await.unwrap_or_else(|_| {
        Err(PostgresError::Unreachable {
            database: settings.to_string(),
            reason: "it does not answer".to_owned(),
        })
    })
}

/// What a move into the database has begun and not ended is not served.
async fn refuse_unfinished(step: &Transaction<'_>, database: &str) -> Result<(), PostgresError> {
    let is_moving: bool = step
        .query_one("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'moving')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(unusable(database))?;
    if is_moving { Err(PostgresError::Unfinished(database.to_owned())) } else { Ok(()) }
}

/// Who may not make the schema is told so, and what gives the right; also by who only looks.
async fn refuse_without_right(step: &Transaction<'_>, database: &str) -> Result<(), PostgresError> {
    // The right to a schema that is not there is NULL.
    let sql = "SELECT CASE
            WHEN has_schema_privilege(to_regnamespace('regain')::oid, 'CREATE') IS FALSE
                THEN format('GRANT USAGE, CREATE ON SCHEMA regain TO %I', current_user)
            WHEN to_regnamespace('regain') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
                THEN format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
        END";
    let grant: Option<String> =
        step.query_one(sql, &[]).await.and_then(|row| row.try_get(0)).map_err(unusable(database))?;
    match grant {
        Some(grant) => Err(PostgresError::NoRight { database: database.to_owned(), grant }),
        None => Ok(()),
    }
}

/// Who may not use all tables is told so at once, and not by the first step that needs the right. The table of migrations is for
/// reading alone, but to whoever applies them.
async fn refuse_without_tables(step: &Transaction<'_>, database: &str) -> Result<(), PostgresError> {
    let sql = "SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regain TO %I', current_user)
        FROM pg_class
        WHERE relnamespace = to_regnamespace('regain')::oid AND relkind IN ('r', 'p') AND relname <> 'migrations'
            AND NOT (has_table_privilege(pg_class.oid, 'SELECT') AND has_table_privilege(pg_class.oid, 'INSERT')
                AND has_table_privilege(pg_class.oid, 'UPDATE') AND has_table_privilege(pg_class.oid, 'DELETE'))
        LIMIT 1";
    let row = step.query_opt(sql, &[]).await.map_err(unusable(database))?;
    match row.map(|row| row.try_get(0)).transpose().map_err(unusable(database))? {
        Some(grant) => Err(PostgresError::NoTableRight { database: database.to_owned(), grant }),
        None => Ok(()),
    }
}

/// How many migrations are missing, or `None` where there are no tables at all; changes nothing. What a start would refuse for
/// its own sake is refused here too.
pub(super) async fn pending(
    settings: &PostgresSettings,
    tls: &MakeRustlsConnect,
) -> Result<Option<usize>, PostgresError> {
    let database = settings.to_string();
    let mut client = connect(settings, tls, true).await?;
    let look = async {
        let step = client.transaction().await.map_err(unusable(&database))?;
        let pending = count_pending(&step, &database).await?;
        if pending == MIGRATIONS.len() {
            refuse_without_right(&step, &database).await?;
            return Ok(None);
        }
        refuse_without_tables(&step, &database).await?;
        refuse_unfinished(&step, &database).await?;
        Ok(Some(pending))
    };
    in_time(settings, true, look).await
}

/// A connection outside the pool, which ends when it is dropped. It is given up sooner where somebody waits for it, and
/// refused where its session would not stay its own.
pub(crate) async fn connect(
    settings: &PostgresSettings,
    tls: &MakeRustlsConnect,
    is_awaited: bool,
) -> Result<Client, PostgresError> {
    let servers = Servers::of(settings, tls.clone());
    let client = in_time(settings, is_awaited, begin(&servers, settings)).await?;
    let other = in_time(settings, is_awaited, begin(&servers, settings)).await?;
    in_time(settings, is_awaited, greet(&client, other, &settings.to_string())).await?;
    Ok(client)
}

/// Sets a session up, where it stays its own and keeps text as it is.
async fn greet(client: &Client, other: Client, database: &str) -> Result<(), PostgresError> {
    let failed = unusable(database);
    if lends_sessions(client, &other).await.map_err(&failed)? {
        return Err(PostgresError::Lent(database.to_owned()));
    }
    drop(other);
    client.batch_execute(SESSION).await.map_err(&failed)?;
    let encoding: String = client
        .query_one("SELECT current_setting('server_encoding')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(&failed)?;
    if encoding != "UTF8" {
        return Err(PostgresError::Encoding { database: database.to_owned(), encoding });
    }
    Ok(())
}

async fn begin(servers: &Servers, settings: &PostgresSettings) -> Result<Client, PostgresError> {
    let (client, connection) = servers.connect().await.map_err(|error| PostgresError::Unreachable {
        database: settings.to_string(),
        reason: why_not(&error),
    })?;
    tokio::spawn(async move {
        // Whoever waits for an answer gets the error too.
        let _ = connection.await;
    });
    Ok(client)
}

async fn make_schema(step: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    // Looked for first: who may not make schemas can still use one that was made for them.
    let is_there = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'regain')";
    if !step.query_one(is_there, &[]).await?.try_get::<_, bool>(0)? {
        step.batch_execute("CREATE SCHEMA regain").await?;
    }
    step.batch_execute(
        "CREATE TABLE migrations (
            number     BIGINT PRIMARY KEY,
            name       TEXT NOT NULL,
            sha256     BYTEA NOT NULL,
            works_from BIGINT NOT NULL,
            applied    TIMESTAMPTZ NOT NULL DEFAULT now()
        )",
    )
    .await
}

async fn count_pending(step: &Transaction<'_>, database: &str) -> Result<usize, PostgresError> {
    let failed = unusable(database);
    if !has_table(step, "migrations").await.map_err(&failed)? {
        return if is_empty(step).await.map_err(&failed)? {
            Ok(MIGRATIONS.len())
        } else {
            Err(PostgresError::Foreign(database.to_owned()))
        };
    }
    check_not_newer(step, database).await?;
    let mut pending = 0;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        pending += usize::from(!is_applied(step, database, number, migration).await?);
    }
    Ok(pending)
}

/// A database that later software has migrated is fine, as long as that software says so.
async fn check_not_newer(step: &Transaction<'_>, database: &str) -> Result<(), PostgresError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let row = step
        .query_one("SELECT coalesce(max(number), 0), coalesce(max(works_from), 0) FROM migrations", &[])
        .await
        .map_err(unusable(database))?;
    let (found, works_from): (i64, i64) = (row.get(0), row.get(1));
    if works_from > known {
        return Err(PostgresError::Newer { database: database.to_owned(), found, known });
    }
    if found > known {
        tracing::info!(
            found,
            known,
            "the database has the schema of a newer version, which this one can work with"
        );
    }
    Ok(())
}

/// Whether a migration was applied, with the text that it has here.
async fn is_applied(
    step: &Transaction<'_>,
    database: &str,
    number: i64,
    migration: &Migration,
) -> Result<bool, PostgresError> {
    let applied = step
        .query_opt("SELECT sha256 FROM migrations WHERE number = $1", &[&number])
        .await
        .map_err(unusable(database))?;
    match applied.map(|row| row.get::<_, Vec<u8>>(0)) {
        None => Ok(false),
        Some(applied) if applied == sha256(migration.sql) => Ok(true),
        Some(_) => Err(PostgresError::Altered { database: database.to_owned(), number }),
    }
}

async fn key_mode_of(step: &Transaction<'_>, database: &str) -> Result<KeyMode, PostgresError> {
    let word: String = step
        .query_one("SELECT value FROM meta WHERE key = 'key_mode'", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(unusable(database))?;
    [KeyMode::Folded, KeyMode::Exact].into_iter().find(|mode| key_mode_word(*mode) == word).ok_or_else(|| {
        PostgresError::Unusable {
            database: database.to_owned(),
            reason: "it does not say how names are compared".to_owned(),
        }
    })
}

fn key_mode_word(mode: KeyMode) -> &'static str {
    match mode {
        KeyMode::Folded => "folded",
        KeyMode::Exact => "exact",
    }
}

async fn has_table(step: &Transaction<'_>, name: &str) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = 'regain' AND tablename = $1)";
    step.query_one(sql, &[&name]).await?.try_get(0)
}

async fn is_empty(step: &Transaction<'_>) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('regain'))";
    step.query_one(sql, &[]).await?.try_get(0)
}

/// SHA-256 of a migration's text.
pub(crate) fn sha256(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

fn unusable(database: &str) -> impl Fn(tokio_postgres::Error) -> PostgresError {
    move |error| PostgresError::Unusable { database: database.to_owned(), reason: words(&error) }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    /// Released migrations, by the SHA-256 of their text. A line is added with each; none ever changes.
    const RELEASED: &[(&str, &str)] = &[
        ("0001_schema", "62bad4a167c8699446477c3f59ef37c870e083306f324d7d2c9bb0c2b909bbab"),
        ("0002_deleted_accounts", "b1aae067cd0c126a2c57fc80dcf3223c20209019555b434167e3c7f676d3757f"),
        ("0003_crashes", "e2bfb47138e62b3adbd8e0881fb8e84d8416b987483b0a0950a495c4d1c02fe6"),
        ("0004_waiting_by_purpose", "0e73b300f624d823b0d93182eadeaa540e3ca96bffa612fadc7a7d055ab53400"),
        ("0005_cheaper_letters", "ae36bd70be3363c57f7fd14dcb590eda65dea85213dba39873fec82b0ce1f62c"),
        ("0006_plans_without_statistics", "5d12130d4da61c7bba7734f5ad0bc35cc0e704cd08eb364da032e2cd3fa58367"),
    ];

    #[test]
    fn a_released_migration_never_changes() {
        let hash = |sql| sha256(sql).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let known: Vec<_> =
            MIGRATIONS.iter().map(|migration| (migration.name, hash(migration.sql))).collect();
        let released: Vec<_> = RELEASED.iter().map(|(name, hash)| (*name, (*hash).to_owned())).collect();
        assert_eq!(known, released);
    }

    #[test]
    fn migrations_have_the_same_numbers_as_on_sqlite() {
        let ours = MIGRATIONS.iter().map(|migration| migration.name);
        let theirs = crate::sqlite::MIGRATIONS.iter().map(|migration| migration.name);
        assert!(ours.eq(theirs));
    }

    #[test]
    fn no_migration_leaves_more_versions_behind_than_it_says() {
        let works_from: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.works_from).collect();
        assert!(works_from.is_sorted());
        assert!((1..).zip(&works_from).all(|(number, from)| (1..=number).contains(from)));
    }
}
