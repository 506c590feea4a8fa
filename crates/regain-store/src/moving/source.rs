//! The side that is read: the SQLite file, kept from everybody who would write to it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use regain_core::{KeyMode, Rng, rng};
use rusqlite::{Connection, Row};

use super::checksum::{Summing, TableSum};
use super::error::MoveError;
use super::tables::{META, TABLES, Table};
use super::value::Value;
use crate::data_lock::DataLock;
use crate::sqlite::OpenError;
use crate::sqlite::connection::{self, unusable};
use crate::sqlite::migrate;

/// How long another process may be at its own step.
const PATIENCE: Duration = Duration::from_secs(5);

/// A row, in the order of its table's columns.
pub(super) type Values = Vec<Value<'static>>;

/// The file, which nobody serves and nobody writes to for as long as this lives.
pub(super) struct Source {
    path: PathBuf,
    /// How names are compared in it.
    pub(super) key_mode: KeyMode,
    /// What tells it from other files.
    pub(super) id: String,
    reader: Mutex<Connection>,
    /// In a transaction that keeps other writers out.
    _holder: Mutex<Connection>,
    _lock: DataLock,
}

/// How much is read at once.
#[derive(Clone, Copy)]
pub(super) struct Portion {
    /// Rows at most.
    pub(super) rows: usize,
    /// After so many bytes no other row is read.
    pub(super) bytes: usize,
}

impl Source {
    /// Opens the file and brings its schema up to date. Gives it a name of its own where it has none: the one thing that is
    /// written to it. Blocks for some milliseconds.
    pub(super) fn open(path: &Path, rng: &dyn Rng) -> Result<Self, MoveError> {
        let is_there = path.try_exists().map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        if !is_there {
            return Err(MoveError::NoSource(path.to_owned()));
        }
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let lock = DataLock::acquire(directory.unwrap_or(Path::new(".")))?;
        let mut holder = connection::writer(path, PATIENCE)?;
        let key_mode = migrate::migrate(&mut holder, path, KeyMode::default())?;
        let failed = unusable(path);
        let id: String = rng::bytes::<16>(rng)?.iter().map(|byte| format!("{byte:02x}")).collect();
        holder
            .execute(
                "INSERT INTO meta (key, value) VALUES ('move_id', ?1) ON CONFLICT (key) DO NOTHING",
                [id],
            )
            .map_err(&failed)?;
        holder.execute_batch("BEGIN IMMEDIATE").map_err(&failed)?;
        let id = holder
            .query_row("SELECT value FROM meta WHERE key = 'move_id'", (), |row| row.get(0))
            .map_err(&failed)?;
        let reader = connection::reader(path, PATIENCE)?;
        Ok(Self {
            path: path.to_owned(),
            key_mode,
            id,
            reader: Mutex::new(reader),
            _holder: Mutex::new(holder),
            _lock: lock,
        })
    }

    /// What it says about itself, but for what stays with it.
    pub(super) fn meta(&self) -> Result<Vec<Values>, MoveError> {
        let sql = format!("SELECT key, value FROM meta WHERE {} ORDER BY key", META.condition());
        self.rows(&META, &sql, &[], Portion { rows: usize::MAX, bytes: usize::MAX })
    }

    /// The next rows behind that key, in its order. None are left where none come.
    pub(super) fn next(
        &self,
        table: &Table,
        after: Option<&Value<'_>>,
        portion: Portion,
    ) -> Result<Vec<Values>, MoveError> {
        let (list, name, key) = (table.source_list(), table.name, table.key());
        match after {
            None => self.rows(table, &format!("SELECT {list} FROM {name} ORDER BY {key}"), &[], portion),
            Some(after) => {
                let sql = format!("SELECT {list} FROM {name} WHERE {key} > ?1 ORDER BY {key}");
                self.rows(table, &sql, &[after], portion)
            }
        }
    }

    /// How many rows there are.
    pub(super) fn count(&self, table: &Table) -> Result<u64, MoveError> {
        self.number(&format!("SELECT count(*) FROM {}", table.name), &[])
    }

    /// How many rows there are up to that key.
    pub(super) fn count_through(&self, table: &Table, last: &Value<'_>) -> Result<u64, MoveError> {
        self.number(&format!("SELECT count(*) FROM {} WHERE {} <= ?1", table.name, table.key()), &[last])
    }

    /// How many letters are claimed, by processes that have ended.
    pub(super) fn count_claimed(&self) -> Result<u64, MoveError> {
        self.number("SELECT count(*) FROM letters WHERE state = 'claimed'", &[])
    }

    /// Reads every row, and sums each table up.
    pub(super) fn sums(&self) -> Result<Vec<TableSum>, MoveError> {
        std::iter::once(&META).chain(TABLES).map(|table| self.sum(table)).collect()
    }

    fn sum(&self, table: &Table) -> Result<TableSum, MoveError> {
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {}",
            table.source_list(),
            table.name,
            table.condition(),
            table.key()
        );
        let mut sum = Summing::of(table.name);
        self.each(&sql, &[], |row| {
            for at in 0..table.columns.len() {
                sum.value(&value(table, row, at)?);
            }
            sum.end_of_row();
            Ok(true)
        })?;
        Ok(sum.end())
    }

    fn rows(
        &self,
        table: &Table,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
        portion: Portion,
    ) -> Result<Vec<Values>, MoveError> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        self.each(sql, parameters, |row| {
            let values = (0..table.columns.len()).map(|at| Ok(value(table, row, at)?.into_owned()));
            let values: Values = values.collect::<Result<_, MoveError>>()?;
            bytes += values.iter().map(Value::size).sum::<usize>();
            rows.push(values);
            Ok(rows.len() < portion.rows && bytes < portion.bytes)
        })?;
        Ok(rows)
    }

    /// Shows rows for as long as more are wanted.
    fn each(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
        mut show: impl FnMut(&Row<'_>) -> Result<bool, MoveError>,
    ) -> Result<(), MoveError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = unusable(&self.path);
        let mut statement = reader.prepare_cached(sql).map_err(&failed)?;
        let mut rows = statement.query(parameters).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            if !show(row)? {
                break;
            }
        }
        Ok(())
    }

    fn number(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<u64, MoveError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let number: i64 =
            reader.query_row(sql, parameters, |row| row.get(0)).map_err(unusable(&self.path))?;
        Ok(u64::try_from(number).unwrap_or_default())
    }
}

fn value<'r>(table: &Table, row: &'r Row<'_>, at: usize) -> Result<Value<'r>, MoveError> {
    let column = &table.columns[at];
    // The list that was selected is that of the columns.
    let value = row.get_ref(at).unwrap_or(rusqlite::types::ValueRef::Null);
    Value::from_sqlite(value, column.kind).map_err(|flaw| MoveError::Unstorable {
        table: table.name,
        column: column.name,
        key: table.key(),
        flaw,
    })
}
