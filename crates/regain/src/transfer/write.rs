//! The second reading of an import: adds what is not there yet, a batch a step.
//!
//! What was added stays, whenever this ends; begun anew it finds those accounts there and goes on.

use std::io::BufRead;
use std::time::Duration;

use futures_util::future::join;
use regain_core::store::Added;
use regain_core::{AccountId, AccountRecord, Clock, KeyMode, Rng, Store};

use super::check::Checked;
use super::lines::Lines;
use super::record::{self, Mistake, Parsed};
use super::{ImportError, ImportFile, Mistakes, Progress};

/// So many accounts are added in one step, and so with one fsync. A running server waits for no more than that: there is
/// a rest after each.
const BATCH: usize = 1_000;
/// How long the database is left alone between two steps. With SQLite one process writes at a time, and whoever waits for
/// that looks every few milliseconds; without a rest a server's steps would wait for the end of a long import.
const REST: Duration = Duration::from_millis(10);

/// What came of an import.
#[derive(Debug, Default)]
pub struct Written {
    /// Accounts that were added.
    pub added: u64,
    /// Accounts that were there, and were left as they were.
    pub already_there: u64,
    /// Lines that met an account which came into the store after they were checked.
    pub conflicts: Mistakes,
}

/// Adds the accounts of a checked file. Blocks on the file.
///
/// # Errors
/// See [`ImportError`]. What was added before stays.
pub async fn write(
    file: &ImportFile,
    checked: &Checked,
    store: &dyn Store,
    clock: &dyn Clock,
    rng: &dyn Rng,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, ImportError> {
    let mut written = Written::default();
    let mut lines = file.lines()?;
    let mut batch = Batch::read(&mut lines, checked.mode, rng)?;
    let mut accounts = 0;
    while !batch.records.is_empty() {
        file.check_unchanged()?;
        accounts += batch.records.len() as u64;
        let Batch { sources, records } = batch;
        for (source, added) in sources.into_iter().zip(store.add_accounts(records, clock.now()).await?) {
            written.count(source, added);
        }
        // The next batch is read in the meantime.
        let next = async { Batch::read(&mut lines, checked.mode, rng) };
        batch = join(tokio::time::sleep(REST), next).await.1?;
        progress(file.progress(&lines));
    }
    file.check_unchanged()?;
    if accounts != checked.accounts {
        return Err(ImportError::Changed);
    }
    Ok(written)
}

impl Written {
    fn count(&mut self, source: Source, added: Added) {
        match added {
            Added::Added => self.added += 1,
            Added::AlreadyThere => self.already_there += 1,
            // It could have had any identity, and so it has the one that is there.
            Added::NameTaken if !source.has_id => self.already_there += 1,
            Added::NameTaken => self.conflicts.add(source.line, Mistake::NameTaken),
            Added::IdTaken => self.conflicts.add(source.line, Mistake::IdTaken),
        }
    }
}

/// Accounts for one step.
struct Batch {
    sources: Vec<Source>,
    records: Vec<AccountRecord>,
}

/// Where an account comes from.
struct Source {
    line: u64,
    has_id: bool,
}

impl Batch {
    /// Reads the next accounts; none at the end.
    fn read<R: BufRead>(lines: &mut Lines<R>, mode: KeyMode, rng: &dyn Rng) -> Result<Self, ImportError> {
        let mut batch = Self { sources: Vec::with_capacity(BATCH), records: Vec::with_capacity(BATCH) };
        while batch.records.len() < BATCH {
            let Some(line) = lines.next()? else { break };
            let number = line.number;
            // It was right when it was checked.
            let parsed = line.text.and_then(|text| record::parse(text, mode));
            let Parsed::Account(entry) = parsed.map_err(|_| ImportError::Changed)? else { continue };
            batch.sources.push(Source { line: number, has_id: entry.id.is_some() });
            batch.records.push(entry.into_record(|| AccountId::random(rng))?);
        }
        Ok(batch)
    }
}
