//! Requests for mail that come at the same time share a transaction, and so its round trip and its wait for the disk.
//!
//! A group waits until the one before it has ended, and grows meanwhile: more of them at once share less. It does not wait for
//! one that is slow, which may have met something that hangs.
//!
//! Invariant: a request is answered after the commit that holds it. Where a group fails because of one of its members, or
//! because it met another group, each is done again alone; where it is unknown whether it was committed, all fail.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use regain_core::letter::NewLetter;
use regain_core::outbox::repeats::Repeats;
use regain_core::store::Posted;
use regain_core::{NameKey, Purpose, StoreError, Timestamp, fail_point};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::StepError;
use super::listen::Bell;
use super::pool::Connections;
use super::steps::post::{Request, post};

/// More requests than this do not share a transaction: each holds a lock of its own, of which a server has some thousands.
const GROUP: usize = 128;
/// So many groups are under way at once, at most.
const WORKERS: usize = 4;
/// A group that has been under way for so long is not waited for.
const SLOW: Duration = Duration::from_millis(20);
/// A request that meets others is done so often alone before it is given up.
const ATTEMPTS: usize = 8;

/// Hands requests to the tasks that post them.
pub(super) struct PostGroup {
    queue: Sender<Job>,
    stopping: CancellationToken,
    workers: Mutex<Vec<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
    patience: Duration,
}

struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Posted, StoreError>>,
}

impl PostGroup {
    /// Starts the tasks. At most `waiting` requests wait; with `one_by_one` each gets a transaction of its own.
    pub(super) fn start(connections: Arc<Connections>, bell: Bell, waiting: usize, one_by_one: bool) -> Self {
        let (queue, jobs) = channel(waiting.max(1));
        let line = Arc::new(Mutex::new(Line { jobs, last: None }));
        let commits = Arc::new(AtomicU64::new(0));
        let stopping = CancellationToken::new();
        let worker = || Worker {
            connections: connections.clone(),
            bell: bell.clone(),
            line: line.clone(),
            group: if one_by_one { 1 } else { GROUP },
            stopping: stopping.clone(),
            commits: commits.clone(),
        };
        let workers = (0..WORKERS).map(|_| tokio::spawn(worker().work())).collect();
        let patience = connections.patience();
        Self { queue, stopping, workers: Mutex::new(workers), commits, patience }
    }

    /// Posts one request and answers once it is durable. Does not wait for room in the queue, nor for an answer beyond the
    /// usual patience: who asks again then may find it posted.
    ///
    /// Where the caller goes away before its turn, it is not done.
    pub(super) async fn post(
        &self,
        letter: NewLetter,
        repeats: Repeats,
        now: Timestamp,
    ) -> Result<Posted, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { request: Request { letter, repeats, now }, reply };
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                StoreError::Unavailable("too many requests wait to be posted".to_owned())
            }
            TrySendError::Closed(_) => closed(),
        })?;
        match timeout(self.patience, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(closed())),
            Err(_) => Err(StepError::TooLate.into()),
        }
    }

    /// How many transactions were committed.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Does what was handed over, and ends.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        for worker in self.workers.lock().await.drain(..) {
            if worker.await.is_err() {
                tracing::error!(event = "poster_died", "a task that posts letters had died");
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the database is closed".to_owned())
}

struct Worker {
    connections: Arc<Connections>,
    bell: Bell,
    line: Arc<Mutex<Line>>,
    group: usize,
    stopping: CancellationToken,
    commits: Arc<AtomicU64>,
}

/// What waits, of which one worker at a time takes a group.
struct Line {
    jobs: Receiver<Job>,
    last: Option<UnderWay>,
}

/// A group that was taken.
struct UnderWay {
    began: Instant,
    ended: CancellationToken,
}

impl Worker {
    async fn work(self) {
        while let Some((mut jobs, _under_way)) = self.next_group().await {
            while !jobs.is_empty() {
                let (group, repeated) = apart(jobs);
                self.do_group(group).await;
                jobs = repeated;
            }
        }
    }

    /// What waits, at least one, and what says that it is under way; `None` when nothing comes any more.
    async fn next_group(&self) -> Option<(Vec<Job>, DropGuard)> {
        let Line { jobs, last } = &mut *self.line.lock().await;
        let first = tokio::select! {
            biased;
            job = jobs.recv() => job?,
            () = self.stopping.cancelled() => {
                // What was handed over before is done; what comes now is refused.
                jobs.close();
                jobs.try_recv().ok()?
            }
        };
        let mut group = vec![first];
        if let Some(last) = last.take() {
            let over = timeout_at(last.began + SLOW, last.ended.cancelled());
            tokio::pin!(over);
            while group.len() < self.group {
                tokio::select! {
                    biased;
                    _ = &mut over => break,
                    Some(job) = jobs.recv() => group.push(job),
                    else => break,
                }
            }
        }
        while group.len() < self.group
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        // Nobody waits for these any more, and nothing was promised.
        group.retain(|job| !job.reply.is_closed());
        let ended = CancellationToken::new();
        *last = Some(UnderWay { began: Instant::now(), ended: ended.clone() });
        Some((group, ended.drop_guard()))
    }

    async fn do_group(&self, group: Vec<Job>) {
        let (requests, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.request, job.reply)).unzip();
        let outcomes = match self.try_group(&requests).await {
            Ok(posted) => posted.into_iter().map(Ok).collect(),
            Err(error) if requests.len() > 1 && error.is_of_one() => {
                join_all(requests.iter().map(|request| self.alone(request))).await
            }
            Err(error) if error.is_conflict() => {
                join_all(requests.iter().map(|request| self.alone(request))).await
            }
            Err(error) => {
                let error = StoreError::from(error);
                tracing::warn!(event = "posts_undone", count = requests.len(), %error, "a group of requests was not posted");
                vec![Err(error); requests.len()]
            }
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Whoever does not wait any more does not matter.
            let _ = reply.send(outcome);
        }
    }

    async fn alone(&self, request: &Request) -> Result<Posted, StoreError> {
        let mut attempt = 1;
        loop {
            match self.try_group(slice::from_ref(request)).await {
                Ok(posted) => return posted.first().copied().ok_or_else(closed),
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Posts all of them in one transaction.
    async fn try_group(&self, requests: &[Request]) -> Result<Vec<Posted>, StepError> {
        let client = self.connections.get().await?;
        // All of it is sent at once, its commit included: between the two there is no moment to stop at.
        fail_point!("store.before_commit", return Err(StepError::TooLate));
        let outcome = self.connections.in_time(post(&client, requests)).await;
        self.connections.give_back(client, &outcome);
        let posted = outcome?;
        fail_point!("store.after_commit");
        self.commits.fetch_add(1, Ordering::Relaxed);
        if posted.contains(&Posted::Posted) {
            self.bell.ring();
        }
        Ok(posted)
    }
}

/// The first request of each purpose and name, and those that must see what came of these.
fn apart(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let mut seen: HashSet<(Purpose, NameKey)> = HashSet::new();
    jobs.into_iter()
        .partition(|job| seen.insert((job.request.letter.purpose, job.request.letter.name_key.clone())))
}
