//! The relays in order, and which of them the next letters go to: the first that works. One that is at fault rests, is
//! probed with one letter at a time, and gets back what it takes step by step.
//!
//! A letter has its place at a relay, a route, before it is claimed; so no more is claimed than can go out.

mod pace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::mailer::Mailer;
use crate::outbox::breaker::{Admission, Breaker};
use crate::rng::{NoRandomness, Rng};
use crate::store::Outcome;
use pace::Pace;

/// After an outage a relay gets so many letters at once, and one more with each that it accepts (RFC 5321, 4.5.4.1: not
/// the whole queue at the moment that a host comes back).
const FIRST_AFTER_OUTAGE: usize = 2;

/// One way out, and how much it takes.
#[derive(Clone)]
pub struct Relay {
    mailer: Arc<dyn Mailer>,
    at_once: usize,
    queue: usize,
    called: &'static str,
}

impl Relay {
    /// `mailer`, which works on up to `at_once` letters at the same time.
    pub fn new(mailer: Arc<dyn Mailer>, at_once: usize) -> Self {
        Self { mailer, at_once: at_once.max(1), queue: 0, called: "relay" }
    }

    /// Lets up to `queue` more letters wait inside the mailer, as many as it delivers in a quarter of a second: one that
    /// sends several over a connection is faster if it knows the next one.
    pub fn with_queue(self, queue: usize) -> Self {
        Self { queue, ..self }
    }

    /// What it is in the log, where it is not a relay.
    pub fn called(self, called: &'static str) -> Self {
        Self { called, ..self }
    }
}

/// How a relay does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayStatus {
    /// Whether it gets letters.
    pub state: RelayState,
    /// What its last fault was; `None` while it works.
    pub fault: Option<String>,
    /// Letters that it has at this moment.
    pub under_way: usize,
    /// Letters that it has accepted since the start.
    pub accepted: u64,
    /// Faults of it since the start.
    pub faults: u64,
}

/// Whether a relay gets letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// All that it takes.
    Open,
    /// More and more, after an outage.
    Recovering,
    /// None, but for one from time to time that shows whether it works again.
    Resting,
    /// As `Resting`, after a fault that only an operator can mend: a refused login, for example.
    Paused,
}

struct Standing {
    breaker: Breaker,
    /// Letters that have a route to it.
    under_way: usize,
    is_probed: bool,
    /// How many it may have at once while it recovers.
    recovering: Option<usize>,
    pace: Pace,
    is_paused: bool,
    accepted: u64,
    faults: u64,
}

/// All relays. Clones share them.
#[derive(Clone)]
pub(crate) struct Relays {
    shared: Arc<Shared>,
}

struct Shared {
    relays: Vec<Relay>,
    standings: Mutex<Vec<Standing>>,
}

/// What the relays take at this moment.
pub(crate) enum Places {
    /// Letters may go these ways; those that are probes come first.
    Routes(Vec<Route>),
    /// Those that work have as many as they take: some delivery must end first, or some relay's rest, then.
    Full(Option<Timestamp>),
    /// None takes anything before then.
    Rest(Timestamp),
}

/// The place of one letter at a relay. Dropping it gives it back.
pub(crate) struct Route {
    relays: Relays,
    index: usize,
    is_probe: bool,
}

impl Relays {
    pub(crate) fn new(relays: Vec<Relay>) -> Self {
        let standings = relays.iter().map(|relay| Standing::new(relay.at_once)).collect();
        Self { shared: Arc::new(Shared { relays, standings: Mutex::new(standings) }) }
    }

    /// Reserves places, at most `most`. Unless `eager`, none where only a few are free: claiming by ones and twos costs
    /// more than it gains.
    pub(crate) fn reserve(&self, most: usize, eager: bool, now: Timestamp) -> Places {
        let mut standings = self.standings();
        let mut routes = Vec::new();
        let mut rest: Option<Timestamp> = None;
        let mut is_full = false;
        for (index, (relay, standing)) in self.shared.relays.iter().zip(standings.iter_mut()).enumerate() {
            if routes.len() >= most {
                break;
            }
            match standing.breaker.admission(now) {
                Admission::Rest(until) => rest = Some(rest.map_or(until, |earliest| earliest.min(until))),
                Admission::Probe if standing.is_probed || standing.under_way > 0 => is_full = true,
                Admission::Probe => {
                    standing.is_probed = true;
                    standing.under_way += 1;
                    routes.push(self.route(index, true));
                }
                Admission::Open => {
                    let allowance = standing.allowance(relay);
                    let free = allowance.saturating_sub(standing.under_way);
                    let is_worth_it = eager || !routes.is_empty() || free * 4 >= allowance;
                    let taken = if is_worth_it { free.min(most - routes.len()) } else { 0 };
                    standing.under_way += taken;
                    routes.extend((0..taken).map(|_| self.route(index, false)));
                    is_full |= taken == 0;
                    // The relays behind are for when this one does not work, not for when it is busy.
                    break;
                }
            }
        }
        match rest {
            _ if !routes.is_empty() => Places::Routes(routes),
            Some(until) if !is_full => Places::Rest(until),
            rest => Places::Full(rest),
        }
    }

    pub(crate) fn statuses(&self, now: Timestamp) -> Vec<RelayStatus> {
        self.standings().iter().map(|standing| standing.status(now)).collect()
    }

    fn route(&self, index: usize, is_probe: bool) -> Route {
        Route { relays: self.clone(), index, is_probe }
    }

    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.shared.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with one standing. Each route's index is that of a relay.
    fn with<T>(&self, index: usize, act: impl FnOnce(&mut Standing, &Relay) -> T) -> Option<T> {
        let mut standings = self.standings();
        let standing = standings.get_mut(index)?;
        Some(act(standing, self.shared.relays.get(index)?))
    }
}

impl Route {
    /// What delivers.
    pub(crate) fn mailer(&self) -> Option<Arc<dyn Mailer>> {
        self.relays.shared.relays.get(self.index).map(|relay| relay.mailer.clone())
    }

    /// Which relay it leads to, from 0.
    pub(crate) fn relay(&self) -> usize {
        self.index
    }

    /// What it is in the log.
    pub(crate) fn called(&self) -> &'static str {
        self.relays.shared.relays.get(self.index).map_or("relay", |relay| relay.called)
    }

    /// The same outcome, which says in its words which relay it comes of, where there are several.
    pub(crate) fn named(&self, outcome: Outcome) -> Outcome {
        if self.relays.shared.relays.len() < 2 {
            return outcome;
        }
        let relay = self.index + 1;
        // Operators and the search for codes read a reply from its beginning.
        match outcome {
            Outcome::Sent { reply } => Outcome::Sent { reply: format!("{reply} (relay {relay})") },
            Outcome::Later { due, error, reply } => {
                Outcome::Later { due, error: format!("relay {relay}: {error}"), reply }
            }
            Outcome::Released { error } => {
                Outcome::Released { error: error.map(|error| format!("relay {relay}: {error}")) }
            }
            Outcome::Dead { error, reply: Some(reply) } => {
                Outcome::Dead { error: format!("relay {relay}: {error}"), reply: Some(reply) }
            }
            // No relay had a part in it.
            Outcome::Dead { reply: None, .. } | Outcome::Held { .. } => outcome,
        }
    }

    /// Whether the letter shows if the relay works again.
    pub(crate) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// The relay accepted the letter.
    pub(crate) fn accepted(&self, now: Timestamp) {
        self.relays.with(self.index, |standing, relay| {
            standing.works_again(self.index, relay);
            standing.breaker.accepted();
            standing.accepted += 1;
            standing.pace.finished(now, relay.at_once, relay.queue);
        });
    }

    /// The relay answered for the letter's sake.
    pub(crate) fn answered(&self) {
        self.relays.with(self.index, |standing, relay| {
            standing.works_again(self.index, relay);
            standing.breaker.answered();
        });
    }

    /// A probe that ended with no answer shows that the relay does not work yet: it rests on.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn rest_after_probe(
        &self,
        reason: &str,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<(), NoRandomness> {
        let rest = |breaker: &mut Breaker| match breaker.admission(now) {
            Admission::Probe => breaker.failed(reason, false, now, rng),
            Admission::Open | Admission::Rest(_) => Ok(()),
        };
        if self.is_probe { self.breaker(None, rest).unwrap_or(Ok(())) } else { Ok(()) }
    }

    /// Asks or tells the relay's breaker something that is no acceptance; `is_fault` where it is a fault of the relay.
    pub(crate) fn breaker<T>(
        &self,
        is_fault: Option<FaultKind>,
        act: impl FnOnce(&mut Breaker) -> T,
    ) -> Option<T> {
        self.relays.with(self.index, |standing, _| {
            if let Some(kind) = is_fault {
                standing.faults += 1;
                standing.is_paused = kind == FaultKind::Permanent;
            }
            act(&mut standing.breaker)
        })
    }

    /// This way, if its relay still takes letters, or another one.
    pub(crate) fn if_open(self, now: Timestamp) -> Option<Route> {
        let admission = self.breaker(None, |breaker| breaker.admission(now));
        match admission {
            Some(Admission::Open) => Some(self),
            Some(Admission::Probe) if self.is_probe => Some(self),
            _ => self.onward(now),
        }
    }

    /// The way to the next relay that takes the letter now; `None` where there is none.
    pub(crate) fn onward(self, now: Timestamp) -> Option<Route> {
        let relays = self.relays.clone();
        let behind = self.index + 1;
        drop(self);
        let mut standings = relays.standings();
        for (index, (relay, standing)) in
            relays.shared.relays.iter().zip(standings.iter_mut()).enumerate().skip(behind)
        {
            let is_probe = match standing.breaker.admission(now) {
                Admission::Rest(_) => continue,
                Admission::Probe if standing.is_probed || standing.under_way > 0 => continue,
                Admission::Probe => true,
                Admission::Open if standing.under_way >= standing.allowance(relay) => continue,
                Admission::Open => false,
            };
            standing.is_probed |= is_probe;
            standing.under_way += 1;
            return Some(relays.route(index, is_probe));
        }
        None
    }
}

/// Whether a relay's fault will pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Passing,
    Permanent,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.relays.with(self.index, |standing, _| {
            standing.under_way = standing.under_way.saturating_sub(1);
            if self.is_probe {
                standing.is_probed = false;
            }
        });
    }
}

impl Standing {
    fn new(at_once: usize) -> Self {
        Self {
            breaker: Breaker::new(),
            under_way: 0,
            is_probed: false,
            recovering: None,
            pace: Pace::new(at_once),
            is_paused: false,
            accepted: 0,
            faults: 0,
        }
    }

    /// How many letters it may have at once.
    fn allowance(&self, relay: &Relay) -> usize {
        match self.recovering {
            Some(step) => step.min(relay.at_once),
            None => self.pace.allowance(relay.at_once, relay.queue),
        }
    }

    /// It has taken a letter, or answered for one.
    fn works_again(&mut self, index: usize, relay: &Relay) {
        if self.breaker.fault().is_some() {
            tracing::info!(event = "relay_recovered", relay = index + 1, "the {} works again", relay.called);
            self.is_paused = false;
            self.recovering = Some(FIRST_AFTER_OUTAGE);
            self.pace = Pace::new(relay.at_once);
        } else if let Some(step) = self.recovering {
            self.recovering = (step < relay.at_once).then_some(step + 1);
        }
    }

    fn status(&self, now: Timestamp) -> RelayStatus {
        let state = match (self.breaker.fault(), self.recovering) {
            (Some(_), _) if self.is_paused => RelayState::Paused,
            (Some(_), _) => RelayState::Resting,
            (None, _) if self.breaker.admission(now) != Admission::Open => RelayState::Resting,
            (None, Some(_)) => RelayState::Recovering,
            (None, None) => RelayState::Open,
        };
        let fault = self.breaker.fault().map(str::to_owned);
        RelayStatus { state, fault, under_way: self.under_way, accepted: self.accepted, faults: self.faults }
    }
}

#[cfg(test)]
mod tests;
