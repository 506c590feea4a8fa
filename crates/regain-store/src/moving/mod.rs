//! The way from the SQLite file of one machine to a PostgreSQL database for several: every row, once, verified.
//!
//! Rows go table by table in the order of the primary key, in batches of one transaction each. So the rows that are there say
//! how far a move has come, and one that was killed goes on behind the last of them. In the end both sides are read again
//! and compared. Until that is done the database has a mark, with which nobody serves from it.

mod checksum;
mod error;
mod mark;
mod source;
mod tables;
mod target;
mod value;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use regain_core::{Rng, fail_point};

pub use checksum::{Checksum, TableSum};
pub use error::MoveError;
pub use value::Flaw;

use crate::postgres::PostgresSettings;
use source::{Portion, Source};
use tables::{TABLES, Table};
use target::Target;

/// Rows of a batch may be much longer than usual; a batch with so many bytes takes no more of them.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How a move is done.
#[derive(Clone, Copy, Debug)]
pub struct MoveOptions {
    /// Rows in a transaction, at most.
    pub batch: usize,
}

impl Default for MoveOptions {
    fn default() -> Self {
        Self { batch: 5000 }
    }
}

/// How far a move has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done.
    pub phase: Phase,
    /// The table that is at hand.
    pub table: &'static str,
    /// How many of its rows are done.
    pub rows: u64,
    /// How many it has.
    pub of: u64,
}

/// What a move does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Rows go over.
    Copying,
    /// Both sides are read and compared.
    Verifying,
}

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Every table, as it is on both sides.
    pub tables: Vec<TableSum>,
    /// Letters that a process had in hand when it ended, and that wait again.
    pub given_back: u64,
    /// Whether an earlier run had begun it.
    pub was_begun: bool,
}

/// Moves all that the database in `file` holds into an empty one in PostgreSQL, or goes on with that.
///
/// The file is brought up to date, and gets a name of its own in its table `meta`; else it stays as it is. Its directory is
/// locked, so that nobody serves from it meanwhile, and so is the file. `tell` hears how far it has come, and may say stop.
///
/// # Errors
/// See [`MoveError`]. What was moved before an error is kept, and cannot be served.
pub async fn move_to_postgres(
    file: &Path,
    settings: &PostgresSettings,
    rng: &dyn Rng,
    options: MoveOptions,
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Moved, MoveError> {
    let source = Arc::new(Source::open(file, rng)?);
    let mut target = Target::open(settings, source.key_mode).await?;
    let was_begun = target.begin(&source).await?;
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push((table.name, copy(&source, &mut target, table, options, tell).await?));
    }
    let tables = verify(&source, &target, &counts, tell).await?;
    target.check_count_of_open().await?;
    target.analyze().await?;
    target.end(&source).await?;
    let given_back = on_source(&source, Source::count_claimed).await?;
    Ok(Moved { tables, given_back, was_begun })
}

/// Copies what is missing of a table, and answers how many rows it has.
async fn copy(
    source: &Arc<Source>,
    target: &mut Target,
    table: &'static Table,
    options: MoveOptions,
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<u64, MoveError> {
    let portion = Portion { rows: options.batch.max(1), bytes: BATCH_BYTES };
    let (mut rows, last) = target.reached(table).await?;
    let behind = last.clone();
    let (of, batch) = on_source(source, move |source| {
        let of = source.count(table)?;
        let through = behind.as_ref().map_or(Ok(0), |last| source.count_through(table, last))?;
        if through != rows {
            return Ok((of, None));
        }
        Ok((of, Some(source.next(table, behind.as_ref(), portion)?)))
    })
    .await?;
    let Some(mut batch) = batch else {
        return Err(MoveError::Changed { database: target.database.clone(), table: table.name });
    };
    while let Some(last) = batch.last().and_then(|row| row.first()).cloned() {
        // The next rows are read while these are written.
        let next = on_source(source, move |source| source.next(table, Some(&last), portion));
        let ((), next) = tokio::try_join!(target.add(table, &batch), next)?;
        rows += batch.len() as u64;
        batch = next;
        fail_point!("moving.between_batches");
        if tell(Progress { phase: Phase::Copying, table: table.name, rows, of }).is_break() {
            return Err(MoveError::Stopped);
        }
    }
    Ok(of)
}

/// Reads both sides and compares them.
async fn verify(
    source: &Arc<Source>,
    target: &Target,
    counts: &[(&'static str, u64)],
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<TableSum>, MoveError> {
    let mut tell = |table, rows| {
        let of = counts.iter().find(|(name, _)| *name == table).map_or(rows, |(_, of)| *of);
        tell(Progress { phase: Phase::Verifying, table, rows, of })
    };
    let (ours, theirs) = tokio::try_join!(on_source(source, Source::sums), target.sums(&mut tell))?;
    let differences: Vec<_> = ours.iter().copied().zip(theirs).filter(|(one, other)| one != other).collect();
    if differences.is_empty() {
        return Ok(ours);
    }
    Err(MoveError::Differs { database: target.database.clone(), differences })
}

/// Reads the file on a thread that may block.
async fn on_source<T: Send + 'static>(
    source: &Arc<Source>,
    read: impl FnOnce(&Source) -> Result<T, MoveError> + Send + 'static,
) -> Result<T, MoveError> {
    let source = source.clone();
    tokio::task::spawn_blocking(move || read(&source)).await.unwrap_or(Err(MoveError::Ended))
}
