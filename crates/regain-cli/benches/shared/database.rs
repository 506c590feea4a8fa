//! Databases of the cluster, and SQL in them by way of `psql`.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use regain_store::testing::{Cluster, programs};
use regain_store::{PostgresOptions, PostgresStore};

use crate::common::load;

/// Where names of the schema are looked up, as Regain itself sets it.
const SESSION: &str = "-c search_path=regain,pg_temp";
/// Who asks, in every letter.
const IP: &str = "192.0.2.1";
const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0, Win64, x64, rv:145.0) Gecko/20100101 Firefox/145.0";
const DAY_MS: u64 = 24 * 3600 * 1000;

/// A database of the cluster with Regain's schema.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) name: String,
    port: u16,
}

impl Database {
    /// An empty one.
    pub(crate) fn fresh(cluster: &Cluster) -> Result<Self> {
        let database = Self::create(cluster, "template0")?;
        let settings = database.url.parse()?;
        runtime()?.block_on(async {
            let store = PostgresStore::open(&settings, PostgresOptions::default()).await?;
            store.close().await;
            anyhow::Ok(())
        })?;
        database.settle()?;
        Ok(database)
    }

    /// The same again.
    pub(crate) fn copy(&self, cluster: &Cluster) -> Result<Self> {
        let copy = Self::create(cluster, &self.name)?;
        copy.settle()?;
        Ok(copy)
    }

    fn create(cluster: &Cluster, template: &str) -> Result<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bench_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let postgres = Self { url: String::new(), name: "postgres".to_owned(), port: cluster.port() };
        postgres.sql(&format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(Self { url: cluster.url(&name), name, port: cluster.port() })
    }

    /// Away with it.
    pub(crate) fn remove(self) -> Result<()> {
        let postgres = Self { url: String::new(), name: "postgres".to_owned(), port: self.port };
        postgres.sql(&format!("DROP DATABASE {} WITH (FORCE)", self.name))?;
        Ok(())
    }

    /// Writes down what earlier runs have left to be written, so that the next one does not pay for it.
    pub(crate) fn settle(&self) -> Result<()> {
        self.sql("CHECKPOINT")?;
        Ok(())
    }

    /// Each statement in a transaction of its own; the last row, as text. A semicolon always ends a statement.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        let mut command = self.program("psql");
        command.args(["-XqAt", "-v", "ON_ERROR_STOP=1"]);
        for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
            command.args(["-c", statement]);
        }
        let output = command.arg(&self.name).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "psql ended with {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    /// A number that SQL comes to.
    pub(crate) fn number(&self, sql: &str) -> Result<f64> {
        self.sql(sql)?.parse().with_context(|| format!("no number: {sql}"))
    }

    /// How many bytes the cluster has ever written to its log.
    pub(crate) fn logged(&self) -> Result<f64> {
        self.number("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
    }

    /// A program of PostgreSQL, towards the cluster.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGOPTIONS", SESSION);
        command
    }

    /// Adds accounts number 0 to `count`, all with one hash. Their indexes are made afterwards, which is faster.
    pub(crate) fn add_accounts(&self, count: u64, hash: &str) -> Result<()> {
        let name = name_in_sql();
        self.sql(&format!(
            "ALTER TABLE accounts DROP CONSTRAINT accounts_pkey, DROP CONSTRAINT accounts_name_key_key;
             INSERT INTO accounts (id, name, name_key, address, password, created)
                 SELECT md5(i::text), {name}, {name}, {name}, '{hash}', (extract(epoch FROM now()) * 1000)::bigint
                 FROM generate_series(0::bigint, {count} - 1) i;
             ALTER TABLE accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (id),
                 ADD CONSTRAINT accounts_name_key_key UNIQUE (name_key)"
        ))?;
        Ok(())
    }

    /// Posts a letter to each of the first `count` accounts, as a request for a reset does, a millisecond apart and the last
    /// one now.
    pub(crate) fn add_letters(&self, count: u64) -> Result<()> {
        let name = name_in_sql();
        self.sql(&format!(
            "INSERT INTO letters (id, purpose, name_key, ip, agent, posted, deadline, due)
             SELECT {}, 'reset', {name}, '{IP}', '{AGENT}', at, at + {DAY_MS}, at
             FROM (SELECT i, (extract(epoch FROM now()) * 1000)::bigint - {count} + i AS at
                   FROM generate_series(0::bigint, {count} - 1) i) numbers",
            id_in_sql("at")
        ))?;
        Ok(())
    }

    /// Takes all letters and tokens away.
    pub(crate) fn clear_letters(&self) -> Result<()> {
        self.sql(
            "TRUNCATE letters, tokens; UPDATE outbox SET open = 0, resets = 0, confirms = 0; VACUUM ANALYZE outbox; CHECKPOINT",
        )?;
        Ok(())
    }
}

/// The identity of a letter that is posted at this time: the time and what is random.
pub(crate) fn id_in_sql(at: &str) -> String {
    format!("substr(int8send({at}), 3) || substr(uuid_send(gen_random_uuid()), 1, 10)")
}

/// What [`load::name`] makes of the number `i`.
fn name_in_sql() -> String {
    let zero = load::name(0);
    let (before, behind) = zero.split_once("0000000000000000").unwrap_or_default();
    format!("'{before}' || lpad(to_hex(i), 16, '0') || '{behind}'")
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
