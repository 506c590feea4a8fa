//! The one thread that writes. Steps that wait at the same time share a transaction, and so its fsync.
//!
//! Invariant: a step is answered after the commit that holds it, and a failing step is undone alone. Where the
//! transaction itself is gone, every step of the group fails.
//!
//! A group is done plainly first, since steps hardly ever fail and savepoints cost: SQLite keeps a copy of each page that
//! changes under one. Where a step fails all is undone, and done again with a savepoint for each step. So a step may run
//! twice, and must have no effect but on the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use regain_core::{StoreError, fail_point};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Options;
use super::connection::{unusable, while_busy};
use super::error::{OpenError, store_error, unavailable};

/// More steps than this do not share a transaction, so that no answer waits for too much.
const GROUP: usize = 512;

/// Hands steps to the writing thread. Ends it when dropped, after the steps that were handed over.
pub(crate) struct Writer {
    queue: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    record: Arc<Record>,
}

/// How the writing has gone.
#[derive(Default)]
struct Record {
    commits: AtomicU64,
    is_failing: AtomicBool,
}

enum Message {
    Step(Box<dyn Job>),
    Stop,
}

impl Writer {
    /// Starts the thread. At most `options.waiting_steps` steps wait, for `options.busy_timeout` where another process writes.
    pub(crate) fn start(connection: Connection, path: &Path, options: &Options) -> Result<Self, OpenError> {
        let (queue, steps) = sync_channel(options.waiting_steps.max(1));
        let record = Arc::new(Record::default());
        let written = Arc::clone(&record);
        let group = if options.one_transaction_per_step { 1 } else { GROUP };
        let patience = options.busy_timeout;
        // `begin` waits by itself.
        connection.busy_timeout(Duration::ZERO).map_err(unusable(path))?;
        let thread = thread::Builder::new()
            .name("regain-writer".to_owned())
            .spawn(move || work(connection, &steps, group, patience, &written))
            .map_err(OpenError::Thread)?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)), record })
    }

    /// A writer that writes nothing: every step fails as unavailable.
    pub(crate) fn none() -> Self {
        let (queue, _) = sync_channel(1);
        Self { queue, thread: Mutex::default(), record: Arc::default() }
    }

    /// Does one step and answers once it is durable. Does not wait for room in the queue.
    ///
    /// The step is done even where the caller goes away. It may run twice, the first time for nothing.
    pub(crate) async fn run<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { step, outcome: None, reply });
        self.queue.try_send(Message::Step(job)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable("too many steps wait to be written".to_owned()),
            TrySendError::Disconnected(_) => closed(),
        })?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Does what was handed over, then moves the log into the database and ends. Blocks.
    pub(crate) fn stop(&self) {
        // Where nobody listens any more it has stopped already.
        let _ = self.queue.send(Message::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(event = "writer_died", "the thread that writes to the database had died");
        }
    }

    /// How many transactions were committed.
    pub(crate) fn commits(&self) -> u64 {
        self.record.commits.load(Ordering::Relaxed)
    }

    /// Whether the last transaction that meant to change anything was undone.
    pub(crate) fn is_failing(&self) -> bool {
        self.record.is_failing.load(Ordering::Relaxed)
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the database is closed".to_owned())
}

/// A step whose types are forgotten.
trait Job: Send {
    /// Does it, keeping what came of it. An error is that of SQLite, for the caller and for the group.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Replaces what came of it.
    fn fail(&mut self, error: StoreError);
    /// Tells the caller, who may be gone.
    fn answer(self: Box<Self>);
}

struct Pending<T, F> {
    step: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send + 'static,
    F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        (self.step)(connection).map(|value| self.outcome = Some(Ok(value)))
    }

    fn fail(&mut self, error: StoreError) {
        self.outcome = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        // Whoever does not wait any more does not matter.
        let _ = self.reply.send(self.outcome.unwrap_or_else(|| Err(closed())));
    }
}

fn work(
    connection: Connection,
    steps: &Receiver<Message>,
    group: usize,
    patience: Duration,
    record: &Record,
) {
    let mut is_stopping = false;
    while !is_stopping {
        let Ok(Message::Step(first)) = steps.recv() else { break };
        let mut jobs = vec![first];
        while jobs.len() < group {
            match steps.try_recv() {
                Ok(Message::Step(job)) => jobs.push(job),
                Ok(Message::Stop) => {
                    is_stopping = true;
                    break;
                }
                Err(_) => break,
            }
        }
        match run_group(&connection, patience, &mut jobs) {
            Ok(Done { all_went, has_changed }) => {
                record.commits.fetch_add(1, Ordering::Relaxed);
                // A transaction that only looked tells nothing of a full disk.
                if !all_went || has_changed {
                    fail_point!("store.after_commit");
                    record.is_failing.store(!all_went, Ordering::Relaxed);
                }
            }
            Err(error) => {
                record.is_failing.store(true, Ordering::Relaxed);
                undo(&connection);
                tracing::warn!(event = "steps_undone", count = jobs.len(), %error, "a group of steps was undone");
                jobs.iter_mut().for_each(|job| job.fail(error.clone()));
            }
        }
        jobs.into_iter().for_each(Job::answer);
    }
    // Only tidies up: what is in the log is durable, and the next start finds it there.
    let emptied = connection
        .busy_timeout(patience)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())));
    if let Err(error) = emptied {
        tracing::warn!(event = "checkpoint_failed", error = %unavailable(&error), "the log was not emptied");
    }
}

/// What came of a group that was committed.
struct Done {
    /// `false` where a step could not be written.
    all_went: bool,
    /// `false` where all steps only looked.
    has_changed: bool,
}

/// Does all jobs in one transaction. An error means that none of them was done.
fn run_group(
    connection: &Connection,
    patience: Duration,
    jobs: &mut [Box<dyn Job>],
) -> Result<Done, StoreError> {
    let changes = connection.total_changes();
    begin(connection, patience)?;
    let all_went = run_plainly(connection, jobs)? || {
        begin(connection, patience)?;
        run_apart(connection, jobs)?
    };
    let has_changed = connection.total_changes() != changes;
    if has_changed {
        fail_point!("store.before_commit", return Err(StoreError::Unavailable("a fail point".to_owned())));
    }
    execute(connection, "COMMIT").map_err(|e| unavailable(&e))?;
    Ok(Done { all_went, has_changed })
}

/// Begins a transaction that writes, waiting for another process that does.
fn begin(connection: &Connection, patience: Duration) -> Result<(), StoreError> {
    while_busy(patience, || execute(connection, "BEGIN IMMEDIATE")).map_err(|e| unavailable(&e))
}

/// Does all jobs. `false`: one failed, and the transaction was undone.
fn run_plainly(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
    for job in jobs.iter_mut() {
        let Err(error) = run_job(connection, job)? else { continue };
        // Some errors (disk full, I/O) make SQLite roll the whole transaction back.
        if connection.is_autocommit() {
            return Err(unavailable(&error));
        }
        execute(connection, "ROLLBACK").map_err(|e| unavailable(&e))?;
        return Ok(false);
    }
    Ok(true)
}

/// Does all jobs, each undone alone where it fails. `false`: one could not be written.
fn run_apart(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
    let mut all_went = true;
    for job in jobs.iter_mut() {
        execute(connection, "SAVEPOINT step").map_err(|e| unavailable(&e))?;
        if let Err(error) = run_job(connection, job)? {
            if connection.is_autocommit() {
                return Err(unavailable(&error));
            }
            let error = store_error(&error);
            all_went &= !matches!(error, StoreError::Unavailable(_));
            job.fail(error);
            execute(connection, "ROLLBACK TO step").map_err(|e| unavailable(&e))?;
        }
        execute(connection, "RELEASE step").map_err(|e| unavailable(&e))?;
    }
    Ok(all_went)
}

/// Does one job. The outer error is a panic, after which nothing of the transaction is to be trusted.
fn run_job(connection: &Connection, job: &mut Box<dyn Job>) -> Result<rusqlite::Result<()>, StoreError> {
    catch_unwind(AssertUnwindSafe(|| job.run(connection))).map_err(|_| {
        tracing::error!(event = "step_panicked", "a step panicked; its group is undone");
        StoreError::Unavailable("a step of the same transaction panicked".to_owned())
    })
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(()).map(drop)
}

fn undo(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = execute(connection, "ROLLBACK") {
        tracing::error!(event = "rollback_failed", error = %unavailable(&error), "a transaction could not be undone");
    }
}
