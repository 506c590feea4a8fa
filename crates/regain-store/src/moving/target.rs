//! The side that is written: one connection to PostgreSQL, on which rows go in by COPY.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use regain_core::KeyMode;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::{Client, Error};

use super::checksum::{Summing, TableSum};
use super::error::MoveError;
use super::source::Values;
use super::tables::{META, TABLES, Table};
use super::value::Value;
use crate::postgres::PostgresSettings;
use crate::postgres::error::words;
use crate::postgres::migrate::{self, Use};
use crate::postgres::tls;

/// Reading the other side may take its time in the middle of a transaction, and PostgreSQL tidies up now and then.
const SESSION: &str =
    "SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '60s'; SET enable_seqscan = on";

/// The database, to which nobody else is connected.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) database: String,
}

impl Target {
    /// Connects, and brings the schema up to date. What is in it is not looked at yet.
    pub(super) async fn open(settings: &PostgresSettings, key_mode: KeyMode) -> Result<Self, MoveError> {
        let tls = tls::connector(settings)?;
        let client = migrate::connect(settings, &tls, true).await?;
        migrate::migrate_to(Use::MoveInto, client, settings, key_mode).await?;
        let client = migrate::connect(settings, &tls, true).await?;
        let target = Self { client, database: settings.to_string() };
        target.client.batch_execute(SESSION).await.map_err(target.failed(META.name))?;
        Ok(target)
    }

    /// How many rows there are, and the last key: rows come in its order, so this is how far they have come.
    pub(super) async fn reached(&self, table: &Table) -> Result<(u64, Option<Value<'static>>), MoveError> {
        let (name, key, kind) = (table.name, table.key(), table.columns[0].kind);
        let sql = format!(
            "SELECT (SELECT count(*) FROM {name}), (SELECT {key} FROM {name} ORDER BY {key} DESC LIMIT 1)"
        );
        let failed = self.failed(table.name);
        let row = self.client.query_one(&sql, &[]).await.map_err(&failed)?;
        let rows: i64 = row.try_get(0).map_err(&failed)?;
        let rows = u64::try_from(rows).unwrap_or_default();
        if rows == 0 {
            return Ok((0, None));
        }
        let last = Value::from_postgres(&row, 1, kind).map_err(&failed)?.into_owned();
        Ok((rows, Some(last)))
    }

    /// Writes rows behind those that are there, all or nothing.
    pub(super) async fn add(&mut self, table: &Table, rows: &[Values]) -> Result<(), MoveError> {
        let failed = failed(&self.database, table.name);
        let step = self.client.transaction().await.map_err(&failed)?;
        let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.name, table.target_list());
        let types: Vec<_> = table.columns.iter().map(|column| column.kind.of_postgres()).collect();
        let sink = step.copy_in(&sql).await.map_err(&failed)?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in rows {
            writer.as_mut().write_raw(row.iter().map(Value::as_postgres)).await.map_err(&failed)?;
        }
        writer.finish().await.map_err(&failed)?;
        step.commit().await.map_err(&failed)
    }

    /// Reads every row, and sums each table up. Tells how many rows of which table it has seen.
    pub(super) async fn sums(
        &self,
        tell: &mut dyn FnMut(&'static str, u64) -> ControlFlow<()>,
    ) -> Result<Vec<TableSum>, MoveError> {
        let mut sums = Vec::new();
        for table in std::iter::once(&META).chain(TABLES) {
            let failed = self.failed(table.name);
            let sql = format!(
                "SELECT {} FROM {} WHERE {} ORDER BY {}",
                table.target_list(),
                table.name,
                table.condition(),
                table.key()
            );
            let none: [&str; 0] = [];
            let mut rows = pin!(self.client.query_raw(&sql, none).await.map_err(&failed)?);
            let mut sum = Summing::of(table.name);
            while let Some(row) = rows.try_next().await.map_err(&failed)? {
                for (at, column) in table.columns.iter().enumerate() {
                    sum.value(&Value::from_postgres(&row, at, column.kind).map_err(&failed)?);
                }
                let seen = sum.end_of_row();
                if seen.is_multiple_of(1000) && tell(table.name, seen).is_break() {
                    return Err(MoveError::Stopped);
                }
            }
            sums.push(sum.end());
        }
        Ok(sums)
    }

    /// Checks that the database's own count of open letters is right.
    pub(super) async fn check_count_of_open(&self) -> Result<(), MoveError> {
        let failed = self.failed("letters");
        let sql = "SELECT (SELECT coalesce(sum(open), 0)::bigint FROM outbox),
                          (SELECT count(*) FROM letters WHERE ended IS NULL)";
        let row = self.client.query_one(sql, &[]).await.map_err(&failed)?;
        let (counted, open) = (row.try_get(0).map_err(&failed)?, row.try_get(1).map_err(&failed)?);
        if counted == open {
            return Ok(());
        }
        Err(MoveError::Miscounted { database: self.database.clone(), counted, open })
    }

    /// Lets PostgreSQL look at what it has, so that it plans well from the first request on.
    pub(super) async fn analyze(&self) -> Result<(), MoveError> {
        for table in TABLES {
            let sql = format!("ANALYZE {}", table.name);
            self.client.batch_execute(&sql).await.map_err(self.failed(table.name))?;
        }
        Ok(())
    }

    /// Whether another process that calls itself as this one does is connected. What has just been killed is waited for.
    pub(super) async fn is_alone(client: &impl tokio_postgres::GenericClient) -> Result<bool, Error> {
        const LOOKS: usize = 250;
        for _ in 0..LOOKS {
            // Inside a transaction PostgreSQL would answer what it did at first.
            client.execute("SELECT pg_stat_clear_snapshot()", &[]).await?;
            let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                          AND pid <> pg_backend_pid() AND application_name = current_setting('application_name')";
            if client.query_one(others, &[]).await?.try_get::<_, i64>(0)? == 0 {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }

    /// An error of PostgreSQL at that table.
    pub(super) fn failed(&self, table: &'static str) -> impl Fn(Error) -> MoveError + use<> {
        failed(&self.database, table)
    }
}

/// An error of PostgreSQL in that database, at that table.
pub(super) fn failed(database: &str, table: &'static str) -> impl Fn(Error) -> MoveError + use<> {
    let database = database.to_owned();
    move |error| MoveError::Failed { database: database.clone(), table, reason: words(&error) }
}
