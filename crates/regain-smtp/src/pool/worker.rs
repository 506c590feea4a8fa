//! Owns one connection and serves one job after another over it. It must never hold two connections, and it
//! sends a message a second time only while the relay cannot have taken it: its final dot has not left.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::ahead::PATIENCE;
use super::guard::{End, Work};
use super::job::{Job, Message};
use super::lists::Idle;
use super::rate::Start;
use super::room::may_be_for_room;
use super::{Accepted, Shared, closed, not_begun};
use crate::session::{Relay, Reply, Session};
use crate::{Cause, Phase, SendError};

/// Serves `job` and what comes after it, until there is neither work nor a connection.
pub(super) async fn run(shared: Arc<Shared>, work: Work, job: Job) {
    // Not made by the one who spawns this, who holds the lock: a runtime that ends may drop the task there and then.
    let slot = Slot::new(Arc::clone(&shared), work);
    let work = async {
        let mut worker = Worker { slot, session: None };
        let mut next = (!job.is_abandoned()).then_some(job);
        loop {
            next = match next {
                Some(Job::Message(message)) => worker.deliver(message).await.map(Job::Message),
                Some(Job::Check { answer }) => {
                    worker.check(answer).await;
                    None
                }
                None => match worker.slot.next(&mut worker.session).await {
                    Some(job) => Some(job),
                    None => break,
                },
            };
        }
    };
    tokio::select! {
        biased;
        () = shared.killed.cancelled() => {}
        () = work => {}
    }
}

struct Worker {
    slot: Slot,
    session: Option<Session>,
}

impl Worker {
    async fn check(&mut self, answer: oneshot::Sender<Result<(), SendError>>) {
        if let Some(kept) = self.session.take() {
            kept.quit().await;
        }
        let outcome = match Session::open(&self.slot.shared.relay, None).await {
            Ok(session) => {
                session.quit().await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.slot.end(End::Otherwise);
        drop(answer.send(outcome));
    }

    /// Sends one message and gives back the one that must be next, if its envelope was to go along.
    async fn deliver(&mut self, mut message: Box<Message>) -> Option<Box<Message>> {
        let (mut session, next, along) = loop {
            let mut session = match self.permitted(&mut message).await {
                Ok(session) => session,
                Err(error) => {
                    if may_be_for_room(&error) {
                        message = self.slot.make_room(message)?;
                    }
                    self.answer(*message, Err(error));
                    self.clear_up().await;
                    return None;
                }
            };
            let next = self.take_ahead(&session);
            message.has_left = true;
            let error = match session.hand_over(next.as_ref().map(|next| &next.mail)).await {
                Ok(along) => break (session, next, along),
                Err(error) => error,
            };
            message.has_left = error.phase() == Phase::FinalDot;
            if let Some(next) = next {
                self.slot.give_back(next);
            }
            if session.transactions() > 1 && had_died(&error) {
                tracing::debug!("a kept connection had died; the message goes over a new one");
                continue;
            }
            self.answer(*message, Err(error));
            return None;
        };
        if let Some(next) = next.as_ref().filter(|_| !along) {
            next.unbegin();
        }
        let (outcome, mut next) = match next {
            Some(next) if along => self.verdict_with_patience(&mut session, next).await,
            next => (session.verdict().await, next),
        };
        let announced = session.has_announced();
        self.session = Some(session);
        self.answer(*message, outcome);
        match &mut next {
            Some(_) if announced => return next,
            // The relay may have seen its MAIL.
            Some(next) if along => {
                next.start = None;
                next.unbegin();
            }
            _ => {}
        }
        self.clear_up().await;
        next
    }

    /// Gets a relay to wait for the message, over the kept connection if there is one and it is alive, else over a new
    /// one. A failure on a connection that had served before counts for nothing if it may be the connection's.
    async fn permitted(&mut self, message: &mut Message) -> Result<Session, SendError> {
        let shared = Arc::clone(&self.slot.shared);
        loop {
            if !self.session.as_ref().is_some_and(Session::has_announced) {
                message.unbegin();
            }
            if message.start.is_none() {
                message.start = Some(self.start(message).await?);
            }
            let kept = self.session.take();
            let (is_kept, announced) = (kept.is_some(), kept.as_ref().is_some_and(Session::has_announced));
            let mut session = match kept {
                Some(kept) => kept,
                None if !message.connects() => {
                    message.start.take().into_iter().for_each(Start::unused);
                    return Err(not_begun());
                }
                None => match open(&shared.relay, message).await {
                    Ok(fresh) => {
                        self.slot.has_connected();
                        fresh
                    }
                    Err(error) => {
                        message.start.take().into_iter().for_each(Start::unused);
                        return Err(error);
                    }
                },
            };
            if !message.begin() {
                message.start.take().into_iter().for_each(Start::unused);
                self.session = Some(session);
                return Err(not_begun());
            }
            session.end_by(message.until);
            self.slot.begin();
            let outcome = match announced {
                true => session.permission().await,
                false => match session.announce(&message.mail).await {
                    Ok(()) => session.permission().await,
                    Err(error) => Err(error),
                },
            };
            // The relay has seen MAIL now.
            message.start = None;
            let Err(error) = outcome else {
                if announced {
                    shared.lists().ahead.has_worked();
                }
                return Ok(session);
            };
            if announced && may_be_for_going_ahead(&error, &session) {
                tracing::debug!(%error, "an envelope that went ahead was lost; the message is sent anew");
                if !error.is_farewell() {
                    shared.lists().ahead.has_failed();
                }
                if session.settle().await {
                    self.session = Some(session);
                }
            } else if is_kept && had_died(&error) {
                tracing::debug!("a kept connection had died; the message goes over a new one");
            } else {
                self.session = Some(session);
                return Err(error);
            }
        }
    }

    /// Waits for a place in the rate. A kept connection lives on meanwhile as an idle one does.
    async fn start(&mut self, message: &mut Message) -> Result<Start, SendError> {
        let shared = Arc::clone(&self.slot.shared);
        if let Some(start) = shared.rate.try_start() {
            return Ok(start);
        }
        let until = message.until;
        let end = async move {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let starting = async { shared.rate.start().await };
        tokio::pin!(starting, end);
        loop {
            tokio::select! {
                biased;
                start = &mut starting => return Ok(start),
                () = &mut end => return Err(SendError::new(Phase::Connect, Cause::TimedOut)),
                // Nobody hears this.
                () = message.abandoned() => return Err(closed()),
                () = shared.closing.cancelled() => return Err(closed()),
                usable = idle(&mut self.session, &shared) => {
                    if let Some(session) = self.session.take().filter(|_| usable) {
                        session.quit().await;
                    }
                }
            }
        }
    }

    /// The message to go ahead behind the one that is about to leave, with its place in the rate.
    fn take_ahead(&mut self, session: &Session) -> Option<Box<Message>> {
        let shared = Arc::clone(&self.slot.shared);
        if !session.pipelines() || session.transactions() >= shared.relay.settings.max_messages() {
            return None;
        }
        let start = shared.rate.try_start()?;
        match self.slot.take_ahead() {
            Some(mut next) => {
                next.start = Some(start);
                Some(next)
            }
            None => {
                start.unused();
                None
            }
        }
    }

    /// The outcome of a message with another one behind it; that does not have to wait for it for ever.
    async fn verdict_with_patience(
        &mut self,
        session: &mut Session,
        next: Box<Message>,
    ) -> (Result<Reply, SendError>, Option<Box<Message>>) {
        let patience = Instant::now() + PATIENCE;
        let patience = next.until.map_or(patience, |until| until.min(patience));
        match timeout_at(patience, session.verdict()).await {
            Ok(outcome) => (outcome, Some(next)),
            Err(_) => {
                self.slot.shared.lists().ahead.has_failed();
                self.slot.give_back(next);
                (session.verdict().await, None)
            }
        }
    }

    /// Tells the caller, before anything is cleared away: nobody waits for RSET.
    fn answer(&mut self, message: Message, outcome: Result<Reply, SendError>) {
        if let Err(error) = &outcome {
            tracing::debug!(code = error.code(), %error, "the relay did not take a message");
        }
        self.slot.end(end(&outcome, message.until));
        message.answer(outcome.map(|reply| Accepted { reply }));
    }

    /// Gets the connection ready for the next message, or ends it.
    async fn clear_up(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if !session.settle().await {
            return;
        }
        if session.transactions() >= self.slot.shared.relay.settings.max_messages() {
            session.quit().await;
        } else {
            self.session = Some(session);
        }
    }
}

/// A worker's place among the live ones, given back when it ends, even by a panic.
pub(super) struct Slot {
    shared: Arc<Shared>,
    work: Option<Work>,
    /// Of the message whose envelope goes ahead.
    ahead: Option<Work>,
    released: bool,
    finishing: bool,
}

impl Slot {
    fn new(shared: Arc<Shared>, work: Work) -> Self {
        Self { shared, work: Some(work), ahead: None, released: false, finishing: false }
    }

    /// Notes that MAIL of the message at work leaves now.
    fn begin(&mut self) {
        if let Some(work) = &mut self.work {
            self.shared.lists().guard.begin(work, Instant::now());
        }
    }

    fn has_connected(&self) {
        let mut lists = self.shared.lists();
        lists.room.has_let_in(self.shared.relay.connections());
        self.shared.dispatch(&mut lists);
    }

    fn take_ahead(&mut self) -> Option<Box<Message>> {
        let (message, work) = self.shared.lists().take_ahead(self.work.as_ref()?, Instant::now())?;
        self.ahead = Some(work);
        Some(message)
    }

    /// Puts the message that was taken ahead back to where it came from.
    fn give_back(&mut self, message: Box<Message>) {
        let Some(work) = self.ahead.take() else { return };
        let mut lists = self.shared.lists();
        if lists.closed {
            lists.guard.end(work, End::Otherwise, Instant::now());
            drop(lists);
            return message.answer(Err(closed()));
        }
        lists.put_back((Job::Message(message), work));
        self.shared.dispatch(&mut lists);
    }

    /// Puts a message back whose connection the relay turned away, so that those that it let in serve it. It comes back if
    /// there are none, or they all hang, which makes it a failure of the message.
    fn make_room(&mut self, message: Box<Message>) -> Option<Box<Message>> {
        let mut lists = self.shared.lists();
        lists.tick(Instant::now());
        if lists.idle.is_empty() && lists.guard.all_drag_but(1) {
            return Some(message);
        }
        if !lists.room.has_turned_away(self.shared.relay.connections(), Instant::now()) || lists.closed {
            return Some(message);
        }
        let Some(work) = self.work.take() else { return Some(message) };
        tracing::debug!(
            "the relay has no room for another connection; the message goes over one that is open"
        );
        lists.put_back((Job::Message(message), work));
        self.shared.dispatch(&mut lists);
        None
    }

    /// Notes the end of the job at work. The message whose envelope went ahead is next, or else this worker looks for a
    /// job soon; so this is to be called before the answer, or its caller could send again while nobody seems to be free.
    fn end(&mut self, end: End) {
        let mut lists = self.shared.lists();
        if let Some(work) = self.work.take() {
            lists.guard.end(work, end, Instant::now());
        }
        self.work = self.ahead.take();
        if let Some(next) = &mut self.work {
            lists.guard.follow(next);
        } else if !std::mem::replace(&mut self.finishing, true) {
            lists.finishing += 1;
        }
        self.shared.dispatch(&mut lists);
    }

    /// The next job. While there is none, an open connection is kept for a while; `None`: the worker's place
    /// is given back and it must end.
    async fn next(&mut self, session: &mut Option<Session>) -> Option<Job> {
        loop {
            let (id, mut handed) = {
                let mut lists = self.shared.lists();
                if std::mem::take(&mut self.finishing) {
                    lists.finishing -= 1;
                }
                // A job whose caller went away before it was begun.
                let given_up = self.work.take();
                let gives_up = given_up.is_some();
                if let Some(work) = given_up {
                    lists.guard.end(work, End::Otherwise, Instant::now());
                }
                // The relay has no room for a connection of this worker, and has some for those of others.
                let is_one_too_many = session.is_none() && lists.live > lists.limit(Instant::now());
                if let Some((job, work)) = if is_one_too_many { None } else { lists.take(Instant::now()) } {
                    self.work = Some(work);
                    if gives_up {
                        self.shared.dispatch(&mut lists);
                    }
                    return Some(job);
                }
                if session.is_none() {
                    // Under the same lock as the look at the queue, or a job could come in between and wait
                    // for a worker that is leaving.
                    lists.live -= 1;
                    self.released = true;
                    if gives_up {
                        self.shared.dispatch(&mut lists);
                    }
                    return None;
                }
                lists.last_id += 1;
                let (hand_over, handed) = oneshot::channel();
                let id = lists.last_id;
                lists.idle.push(Idle { id, hand_over });
                (id, handed)
            };
            let usable = tokio::select! {
                biased;
                handed = &mut handed => match self.accept(handed.ok()) {
                    Some(job) => return Some(job),
                    None => continue,
                },
                usable = idle(session, &self.shared) => usable,
                () = self.shared.closing.cancelled() => true,
            };
            let handed_over_meanwhile = {
                let mut lists = self.shared.lists();
                let before = lists.idle.len();
                lists.idle.retain(|idle| idle.id != id);
                lists.idle.len() == before
            };
            let ended = session.take();
            if handed_over_meanwhile {
                *session = ended.filter(|_| usable);
                match self.accept(handed.await.ok()) {
                    Some(job) => return Some(job),
                    None => continue,
                }
            }
            if let Some(session) = ended.filter(|_| usable) {
                session.quit().await;
            }
        }
    }

    /// Takes over what was handed to this worker. A job whose caller has gone is not begun.
    fn accept(&mut self, handed: Option<(Job, Work)>) -> Option<Job> {
        let (job, work) = handed?;
        self.work = Some(work);
        (!job.is_abandoned()).then_some(job)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let mut lists = self.shared.lists();
        lists.live -= 1;
        lists.finishing -= usize::from(self.finishing);
        for work in self.work.take().into_iter().chain(self.ahead.take()) {
            lists.guard.end(work, End::Otherwise, Instant::now());
        }
        // There may be no runtime to start a worker in. Those that are not idle look for themselves.
        self.shared.use_idle(&mut lists);
        if lists.live == 0 {
            // Nobody is left to serve these; their callers are told as they are dropped.
            let orphans = std::mem::take(&mut lists.waiting);
            drop(lists);
            drop(orphans);
        }
    }
}

/// Opens a connection for a message. If its caller takes it back meanwhile, somebody else may have its place in the rate,
/// and the connection is there for the next one.
async fn open(relay: &Relay, message: &mut Message) -> Result<Session, SendError> {
    let opening = Session::open(relay, message.until);
    tokio::pin!(opening);
    tokio::select! {
        biased;
        opened = &mut opening => return opened,
        () = message.abandoned() => {}
    }
    if message.is_withdrawn() {
        message.start.take().into_iter().for_each(Start::unused);
    }
    opening.await
}

/// Waits until the connection has been without use for as long as one is kept, or is of no more use: `false`. Without
/// a connection it never ends. Safe to drop at any time.
async fn idle(session: &mut Option<Session>, shared: &Shared) -> bool {
    match session {
        Some(session) => tokio::select! {
            biased;
            () = session.disturbed() => false,
            () = sleep(shared.relay.deadlines.idle) => true,
        },
        None => std::future::pending().await,
    }
}

/// What an outcome says of the recipient's domain.
fn end(outcome: &Result<Reply, SendError>, until: Option<Instant>) -> End {
    let Err(error) = outcome else { return End::Answered };
    let own_deadline = until.is_some_and(|until| until <= Instant::now());
    match error.cause() {
        _ if error.phase() < Phase::Mail => End::Otherwise,
        _ if error.reply().is_some() => End::Answered,
        Cause::TimedOut if !own_deadline => End::TimedOut,
        _ => End::Otherwise,
    }
}

/// Whether a kept connection failed in a way that says nothing about the message: the relay had closed it, or
/// says goodbye now, and the final dot has not left.
fn had_died(error: &SendError) -> bool {
    let gone = matches!(error.cause(), Cause::Closed | Cause::Io(_)) || error.is_farewell();
    gone && error.phase() < Phase::FinalDot
}

/// Whether a message whose envelope went ahead may have failed for that alone: no answer, one that is no SMTP, a
/// command that came at the wrong time (503) or not whole, or a refusal of MAIL that ended the session.
fn may_be_for_going_ahead(error: &SendError, session: &Session) -> bool {
    let Some(reply) = error.reply() else { return true };
    match reply.code() {
        421 | 503 => true,
        500..503 => error.phase() == Phase::Mail,
        _ => error.phase() == Phase::Mail && session.is_broken(),
    }
}
