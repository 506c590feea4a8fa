//! Owns who waits for whom. It must not start anything.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Pool;
use super::ahead::Ahead;
use super::domain::Domain;
use super::guard::{End, Guard, Work};
use super::job::{Job, Message};
use super::room::Room;

/// So many of the jobs that wait are looked at for one that may go.
const LOOK: usize = 256;

pub(super) struct Lists {
    pub(super) waiting: VecDeque<Job>,
    /// Workers with an open connection and nothing to do; the one used last is used next, so that those too
    /// many become idle.
    pub(super) idle: Vec<Idle>,
    /// Workers that exist: the number of connections is never higher.
    pub(super) live: usize,
    pub(super) room: Room,
    /// Workers that have answered and will look at `waiting` next, after a RSET perhaps.
    pub(super) finishing: usize,
    pub(super) guard: Guard,
    /// When somebody looks again whatever happens.
    pub(super) look_at: Option<Instant>,
    pub(super) ahead: Ahead,
    pub(super) closed: bool,
    pub(super) last_id: u64,
}

pub(super) struct Idle {
    pub(super) id: u64,
    pub(super) hand_over: oneshot::Sender<(Job, Work)>,
}

impl Lists {
    pub(super) fn new(connections: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            idle: Vec::new(),
            live: 0,
            room: Room::new(connections),
            finishing: 0,
            guard: Guard::new(connections),
            look_at: None,
            ahead: Ahead::default(),
            closed: false,
            last_id: 0,
        }
    }

    /// The first job that may go and whose caller still wants it.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Job, Work)> {
        if self.waiting.is_empty() {
            return None;
        }
        self.tick(now);
        let gate = self.guard.gate(now);
        let mut at = 0;
        while at < LOOK {
            let job = self.waiting.get(at)?;
            if !job.is_abandoned() && !gate.admits(job.domain()) {
                at += 1;
                continue;
            }
            let job = self.waiting.remove(at)?;
            if job.claim() {
                let work = self.guard.take(job.domain());
                return Some((job, work));
            }
        }
        None
    }

    /// The next message to send its envelope ahead behind the one of `before`, if there are more that may go than the
    /// workers that are about to be free take.
    pub(super) fn take_ahead(&mut self, before: &Work, now: Instant) -> Option<(Box<Message>, Work)> {
        if self.waiting.len() <= self.finishing || !self.ahead.is_allowed() {
            return None;
        }
        self.tick(now);
        let (gate, behind) = (self.guard.gate(now), self.guard.gate_behind(before, now));
        let (mut found, mut for_others, mut at) = (None, 0, 0);
        while at < LOOK && (found.is_none() || for_others < self.finishing) {
            // A check wants a connection of its own, and is not to be passed.
            let Job::Message(message) = self.waiting.get(at)? else { return None };
            if message.is_abandoned() {
                self.waiting.remove(at);
                continue;
            }
            if found.is_none() && behind.admits(Some(message.domain())) {
                found = Some(at);
            } else if gate.admits(Some(message.domain())) {
                for_others += 1;
            }
            at += 1;
        }
        let found = found.filter(|_| for_others >= self.finishing)?;
        let job = self.waiting.remove(found)?;
        match job {
            // Its MAIL is written at once.
            Job::Message(message) if message.claim() && message.begin() => {
                let work = self.guard.take_ahead(message.domain());
                Some((message, work))
            }
            _ => None,
        }
    }

    /// Undoes [`Lists::take`] and [`Lists::take_ahead`]: the job is the next one again.
    pub(super) fn put_back(&mut self, (mut job, work): (Job, Work)) {
        self.guard.end(work, End::Otherwise, Instant::now());
        job.unclaim();
        self.waiting.push_front(job);
    }

    /// Brings what depends on the time up to date.
    pub(super) fn tick(&mut self, now: Instant) {
        self.guard.set_connections(self.room.limit(now));
        self.guard.tick(now);
    }

    /// Whether a message to this domain would wait for one that drags to end.
    pub(super) fn holds_back(&mut self, domain: &Domain, now: Instant) -> bool {
        self.tick(now);
        self.guard.holds_back(domain)
    }

    /// So many connections may there be. A relay with less room than the URL allows may have more of it by now, which is
    /// asked for where nothing else can help.
    pub(super) fn limit(&self, now: Instant) -> usize {
        if self.guard.all_drag_but(0) { self.room.one_more(now) } else { self.room.limit(now) }
    }

    pub(super) fn is_full(&mut self) -> bool {
        if self.waiting.len() >= Pool::LONGEST_QUEUE {
            self.waiting.retain(|job| !job.is_abandoned());
        }
        self.waiting.len() >= Pool::LONGEST_QUEUE
    }
}
