//! Owns which recipient domains may use how many connections, so that those at which the relay hangs leave one for
//! all others. It must not know of connections or queues, and it takes the time from its caller.
//!
//! Two rules, for pools of at least three connections:
//!
//! 1. **The last connection.** While all others are at work, a message takes the last one only if none of them works
//!    for its domain, or mail to its domain flows: the relay answered a message to it no longer ago than [`FLOW`], or
//!    than that message took, up to [`SLOW_FLOW`]. An answer to *another* domain says nothing: the one connection that
//!    still works would be given to the hanging domain as soon as it had served somebody.
//! 2. **Trouble.** A domain at which a message dragged, for longer than [`DRAG`] from MAIL to its answer or until it
//!    timed out, is in trouble for [`TROUBLE`], or until a message to it is answered within [`SLOW_FLOW`]: after a relay
//!    that hung for everybody all is as before. All domains in trouble together use at most half of the connections.
//!
//! An envelope that goes ahead follows them as if the message before it had ended; to the same domain that message's
//! answer is the flow. Nothing rides behind or ahead to a domain in trouble.
//!
//! Invariant: a message is held back only while others are at work, and each end of one is a reason to look again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::domain::Domain;

/// With fewer connections there is none to spare.
const FEWEST: usize = 3;

const FLOW: Duration = Duration::from_millis(250);

const SLOW_FLOW: Duration = Duration::from_secs(2);

const DRAG: Duration = Duration::from_secs(10);

/// More than [`DRAG`] by this.
const TICK: Duration = Duration::from_millis(1);

const TROUBLE: Duration = Duration::from_secs(600);

/// So many domains in trouble are remembered, those that dragged last.
const MOST_TROUBLED: usize = 256;

/// Domains that nobody works for are forgotten when there are more than this.
const MOST_DOMAINS: usize = 256;

/// Who is at work, and what is known of their domains.
pub(super) struct Guard {
    connections: usize,
    busy: usize,
    domains: HashMap<Domain, AtWork>,
    /// Messages whose MAIL has left, oldest first, but for those that drag.
    begun: BTreeMap<u64, (Instant, Option<Domain>)>,
    /// Messages at work that were seen to drag.
    dragging: usize,
    /// When a message dragged there last.
    troubled: HashMap<Domain, Instant>,
    last_id: u64,
}

#[derive(Default)]
struct AtWork {
    /// Messages at work or with their envelope ahead.
    messages: usize,
    flows_until: Option<Instant>,
}

/// One job from the moment it is taken out of the queue; to be given to [`Guard::end`].
pub(super) struct Work {
    /// A check of the relay has none.
    domain: Option<Domain>,
    begun: Option<u64>,
    is_ahead: bool,
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The relay accepted or refused the message.
    Answered,
    TimedOut,
    /// In a way that says nothing of the recipient's domain.
    Otherwise,
}

/// Who may go, at one moment.
pub(super) struct Gate<'a> {
    guard: &'a Guard,
    now: Instant,
    is_last: bool,
    troubled_may: bool,
    /// Of the message that the envelope would go behind.
    before: Option<&'a Domain>,
    shut: bool,
}

impl Guard {
    pub(super) fn new(connections: usize) -> Self {
        Self {
            connections,
            busy: 0,
            domains: HashMap::new(),
            begun: BTreeMap::new(),
            dragging: 0,
            troubled: HashMap::new(),
            last_id: 0,
        }
    }

    /// So many connections may there be now.
    pub(super) fn set_connections(&mut self, connections: usize) {
        self.connections = connections;
    }

    /// Brings what depends on the time up to date; to be called before a gate is asked for.
    pub(super) fn tick(&mut self, now: Instant) {
        self.troubled.retain(|_, dragged| now < *dragged + TROUBLE);
        while let Some(oldest) = self.begun.first_entry()
            && oldest.get().0 + DRAG < now
        {
            let (_, domain) = oldest.remove();
            self.dragging += 1;
            if let Some(domain) = domain {
                self.drags(domain, now);
            }
        }
    }

    /// Whether all connections that are in use have messages that drag, but for so many of them.
    pub(super) fn all_drag_but(&self, others: usize) -> bool {
        self.dragging > 0 && self.dragging + others >= self.busy
    }

    /// Who may take a free connection.
    pub(super) fn gate(&self, now: Instant) -> Gate<'_> {
        let is_last = self.is_on() && self.busy + 1 >= self.connections;
        Gate { guard: self, now, is_last, troubled_may: self.troubled_may(), before: None, shut: false }
    }

    /// Whether a message to this domain waits for one to a domain in trouble to end.
    pub(super) fn holds_back(&self, domain: &Domain) -> bool {
        self.troubled.contains_key(domain) && !self.troubled_may()
    }

    /// Who may go ahead behind the final dot of this message.
    pub(super) fn gate_behind<'a>(&'a self, work: &'a Work, now: Instant) -> Gate<'a> {
        let is_last = self.is_on() && self.busy >= self.connections;
        let before = work.domain.as_ref();
        let shut = before.is_some_and(|domain| self.troubled.contains_key(domain));
        Gate { guard: self, now, is_last, troubled_may: false, before, shut }
    }

    /// Notes that a job has taken a connection.
    pub(super) fn take(&mut self, domain: Option<&Domain>) -> Work {
        self.busy += 1;
        self.note(domain, false)
    }

    /// Notes that a message has its place behind another one; [`Guard::follow`] gives it the connection.
    pub(super) fn take_ahead(&mut self, domain: &Domain) -> Work {
        self.note(Some(domain), true)
    }

    /// Notes that the message before this one has ended, and this one goes on over the connection.
    pub(super) fn follow(&mut self, work: &mut Work) {
        if std::mem::take(&mut work.is_ahead) {
            self.busy += 1;
        }
    }

    /// Notes that MAIL leaves now, perhaps once more.
    pub(super) fn begin(&mut self, work: &mut Work, now: Instant) {
        self.begun_at(work);
        self.last_id += 1;
        self.begun.insert(self.last_id, (now, work.domain.clone()));
        work.begun = Some(self.last_id);
    }

    pub(super) fn end(&mut self, mut work: Work, end: End, now: Instant) {
        if !work.is_ahead {
            self.busy -= 1;
        }
        let took = self.begun_at(&mut work).map(|at| at.map_or(DRAG * 2, |at| now - at));
        let Some(domain) = work.domain else { return };
        if let Some(at_work) = self.domains.get_mut(&domain) {
            at_work.messages -= 1;
            if end == End::Answered {
                let flow = took.map_or(FLOW, |took| took.clamp(FLOW, SLOW_FLOW));
                at_work.flows_until = Some(now + flow);
            }
        }
        if self.domains.len() > MOST_DOMAINS {
            self.domains.retain(|_, at_work| at_work.messages > 0);
        }
        if end == End::TimedOut || took.is_some_and(|took| took > DRAG) {
            self.drags(domain, now);
        } else if end == End::Answered && took.is_some_and(|took| took <= SLOW_FLOW) {
            self.troubled.remove(&domain);
        }
    }

    /// When fewer domains are in trouble than now, or more messages drag, if nothing happens.
    pub(super) fn next_change(&self) -> Option<Instant> {
        let relief = self.troubled.values().min().map(|&dragged| dragged + TROUBLE);
        let dragging = self.begun.first_key_value().map(|(_, (at, _))| *at + DRAG + TICK);
        relief.into_iter().chain(dragging).min()
    }

    /// Connections and messages at work, for tests: nothing may be left when all is done.
    #[cfg(test)]
    #[cfg(feature = "testing")]
    pub(super) fn at_work(&self) -> (usize, usize) {
        (
            self.busy,
            self.domains.values().map(|at_work| at_work.messages).sum::<usize>()
                + self.begun.len()
                + self.dragging,
        )
    }

    /// When the MAIL of this message left, if it did, which then is forgotten; `None` within where it drags.
    fn begun_at(&mut self, work: &mut Work) -> Option<Option<Instant>> {
        let begun = self.begun.remove(&work.begun.take()?);
        // What is not there any more was seen to drag.
        self.dragging -= usize::from(begun.is_none());
        Some(begun.map(|(at, _)| at))
    }

    fn troubled_may(&self) -> bool {
        let at_work = |domain| self.domains.get(domain).map_or(0, |at_work: &AtWork| at_work.messages);
        !self.is_on() || self.troubled.keys().map(at_work).sum::<usize>() < self.connections / 2
    }

    fn is_on(&self) -> bool {
        self.connections >= FEWEST
    }

    fn note(&mut self, domain: Option<&Domain>, is_ahead: bool) -> Work {
        let domain = domain.filter(|_| self.is_on()).cloned();
        if let Some(domain) = &domain {
            self.domains.entry(domain.clone()).or_default().messages += 1;
        }
        Work { domain, begun: None, is_ahead }
    }

    fn drags(&mut self, domain: Domain, now: Instant) {
        if self.troubled.insert(domain, now).is_none() {
            tracing::info!(
                "mail to a domain takes long or times out: it uses half of the connections at most"
            );
        }
        if self.troubled.len() > MOST_TROUBLED {
            let oldest = self.troubled.iter().min_by_key(|(_, dragged)| **dragged);
            if let Some(domain) = oldest.map(|(domain, _)| domain.clone()) {
                self.troubled.remove(&domain);
            }
        }
    }
}

impl Gate<'_> {
    /// Whether a message to this domain may go. A check of the relay, which has none, always may.
    pub(super) fn admits(&self, domain: Option<&Domain>) -> bool {
        let Some(domain) = domain else { return true };
        if self.shut || (!self.troubled_may && self.guard.troubled.contains_key(domain)) {
            return false;
        }
        if !self.is_last || self.before == Some(domain) {
            return true;
        }
        let Some(at_work) = self.guard.domains.get(domain) else { return true };
        at_work.messages == 0 || at_work.flows_until.is_some_and(|until| self.now <= until)
    }
}
