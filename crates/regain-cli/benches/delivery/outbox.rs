//! A data path with letters that wait, and the program that delivers them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use regain_core::{AccountId, Clock, LetterId, OsRng, SystemClock, Timestamp};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::load;
use crate::common::process::Serving;
use crate::common::program::{self, memory_kib};
use crate::effort::Effort;
use crate::message::{AGENT, IP};

/// A relay that is not there.
const NO_RELAY: &str = "smtp://127.0.0.1:1";
/// How long a run, or an end of the program, may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often the outbox is looked at; rates come from the letters themselves.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Rows of one transaction.
const BATCH: u64 = 50_000;
const LIFETIME_MS: i64 = 24 * 3600 * 1000;

/// A directory to run the program in.
pub(crate) struct Outbox {
    directory: TempDir,
}

/// What came of a run.
pub(crate) struct Run {
    /// When letters were settled, in milliseconds, in order.
    settled: Vec<i64>,
    /// The most memory that the program had, in KiB.
    pub(crate) peak_kib: u64,
    /// Processor time from ready to the last letter.
    pub(crate) effort: Effort,
}

impl Run {
    /// Letters a second, from the first that was settled to the last.
    pub(crate) fn rate(&self) -> f64 {
        self.rate_of(self.settled.len())
    }

    /// The same for the first so many.
    pub(crate) fn rate_of(&self, letters: usize) -> f64 {
        let times = &self.settled[..letters.min(self.settled.len())];
        let took = times.last().zip(times.first()).map_or(0, |(last, first)| last - first);
        (times.len() as f64 - 1.0) / took.max(1) as f64 * 1e3
    }

    pub(crate) fn letters(&self) -> usize {
        self.settled.len()
    }
}

impl Outbox {
    /// A data path as the first start makes it, with accounts number 0 to `accounts`, whose passwords nobody knows.
    pub(crate) fn with_accounts(accounts: u64) -> Result<Self> {
        let outbox = Self { directory: tempfile::tempdir()? };
        stop(outbox.start(NO_RELAY)?)?;
        outbox.insert(0..accounts, |transaction, numbers| {
            let mut insert = transaction.prepare(
                "INSERT INTO accounts (id, name, name_key, address, created) VALUES (?1, ?2, ?2, ?2, ?3)",
            )?;
            let now = now().as_millis();
            for number in numbers {
                insert.execute((AccountId::random(&OsRng)?.as_str(), load::name(number), now))?;
            }
            Ok(())
        })?;
        Ok(outbox)
    }

    /// The same again.
    pub(crate) fn copy(&self) -> Result<Self> {
        let copy = Self { directory: tempfile::tempdir()? };
        let status = Command::new("cp").arg("-a").arg(self.path().join("data")).arg(copy.path()).status()?;
        ensure!(status.success(), "cp ended with {status}");
        // Or the disk would be busy with it while the program waits for its own.
        std::fs::File::open(copy.database())?.sync_all()?;
        Ok(copy)
    }

    /// Posts a letter to each of these accounts, as a request for a reset does, a millisecond apart and the last one now.
    pub(crate) fn post(&self, numbers: Range<u64>) -> Result<()> {
        let end = i64::try_from(numbers.end)?;
        self.insert(numbers, |transaction, numbers| {
            let mut insert = transaction.prepare(
                "INSERT INTO letters (id, purpose, name_key, ip, agent, posted, deadline, due)
                 VALUES (?1, 'reset', ?2, ?3, ?4, ?5, ?6, ?5)",
            )?;
            let now = now().as_millis();
            for number in numbers {
                let posted = now - end + i64::try_from(number)?;
                let id = LetterId::new(Timestamp::from_millis(posted), &OsRng)?;
                let name = load::name(number);
                insert.execute((id.as_bytes(), name, IP, AGENT, posted, posted + LIFETIME_MS))?;
            }
            Ok(())
        })
    }

    /// Posts as many as are missing until so many wait.
    pub(crate) fn fill_up(&self, letters: u64) -> Result<()> {
        let waiting = open_letters(&self.look()?)?;
        self.post(0..letters.saturating_sub(waiting))
    }

    /// Starts the program and lets it deliver so many letters.
    pub(crate) fn deliver(&self, relay: &str, letters: u64) -> Result<Run> {
        let look = self.look()?;
        let waiting = open_letters(&look)?;
        let target = waiting.checked_sub(letters).context("too few letters")?;
        let began = now().as_millis();
        let program = self.start(relay)?;
        let before = Effort::of(program.id())?;
        let patience = Instant::now() + PATIENCE;
        while open_letters(&look)? > target {
            ensure!(Instant::now() < patience, "{} letters are left", open_letters(&look)?);
            std::thread::sleep(LOOK_EVERY);
        }
        let effort = Effort::of(program.id())? - before;
        let peak_kib = memory_kib(program.id(), "VmHWM")?;
        stop(program)?;
        let settled = settled(&look, began, letters)?;
        Ok(Run { settled, peak_kib, effort })
    }

    /// The program, delivering, without limits.
    pub(crate) fn start(&self, relay: &str) -> Result<Serving> {
        let mut command = program::command(["serve"], self.path(), relay);
        command
            .env("REGAIN_LOG", "warn")
            .env("REGAIN_LIMITS__PER_CLIENT", "false")
            .env("REGAIN_LIMITS__WAITING_LETTERS", "false");
        Serving::start(&mut command)
    }

    fn look(&self) -> Result<Connection> {
        Ok(Connection::open_with_flags(self.database(), OpenFlags::SQLITE_OPEN_READ_WRITE)?)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("data/regain.db")
    }

    /// Inserts rows, while the program is not running.
    fn insert(
        &self,
        numbers: Range<u64>,
        insert: impl Fn(&Connection, Range<u64>) -> Result<()>,
    ) -> Result<()> {
        let mut connection = Connection::open(self.database())?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -256 * 1024)?;
        for first in numbers.clone().step_by(usize::try_from(BATCH)?) {
            let transaction = connection.transaction()?;
            insert(&transaction, first..numbers.end.min(first + BATCH))?;
            transaction.commit()?;
        }
        connection.close().map_err(|(_, error)| error)?;
        Ok(std::fs::File::open(self.database())?.sync_all()?)
    }
}

/// Asks the program to end and waits for that, so that no letter is left under a lease.
fn stop(program: Serving) -> Result<()> {
    let process = i32::try_from(program.id())?;
    kill_process(Pid::from_raw(process).context("a process")?, Signal::TERM)?;
    let patience = Instant::now() + PATIENCE;
    // It is a zombie until `program` is dropped, which reaps it.
    while !std::fs::read_to_string(format!("/proc/{process}/stat"))?.contains(") Z ") {
        if Instant::now() > patience {
            bail!("the program does not end");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn open_letters(look: &Connection) -> Result<u64> {
    let open: i64 = look.query_row("SELECT open FROM outbox", (), |row| row.get(0))?;
    Ok(u64::try_from(open)?)
}

/// When the first so many letters were settled since then. Each must have gone out, at its first attempt.
fn settled(look: &Connection, since: i64, letters: u64) -> Result<Vec<i64>> {
    let mut statement = look.prepare(
        "SELECT ended, attempts = 1 AND crashes = 0 FROM letters
         WHERE state = 'sent' AND ended >= ?1 ORDER BY ended LIMIT ?2",
    )?;
    let rows = statement
        .query_map((since, i64::try_from(letters)?), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    ensure!(rows.len() as u64 == letters, "{} of {letters} letters were sent", rows.len());
    ensure!(rows.iter().all(|row| row.1), "a letter was not sent at its first attempt");
    Ok(rows.into_iter().map(|row| row.0).collect())
}

fn now() -> Timestamp {
    SystemClock::start().now()
}
