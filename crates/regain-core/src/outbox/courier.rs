//! The courier: claims letters, arms their tokens, has them delivered and writes down what came of it.
//!
//! This is one step at a time, without a loop, a clock tick or a task of its own; the `regain` crate runs it.
//!
//! Invariant: what an attempt sends depends on the letter and its account alone, so a copy is byte-identical.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::flows::Trouble;
use crate::letter::{ClaimId, ClaimedLetter, Letter, LetterId, Purpose};
use crate::mailer::{DeliveryError, LaterKind, Parcel, Receipt};
use crate::name::Address;
use crate::outbox::backoff;
use crate::outbox::breaker::Breaker;
use crate::outbox::budget::{MailBudget, Notice};
use crate::outbox::held;
use crate::outbox::relays::{FaultKind, Places, Relay, RelayStatus, Relays, Route};
use crate::outbox::tally::{Counts, Tally};
use crate::rng::NoRandomness;
use crate::service::Service;
use crate::store::{Arm, Armed, ClaimOrder, Closed, Outcome, Settlement, StoreError};
use crate::token::Token;

/// How long a claim holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(30);
/// The letters that a probe is chosen from.
const PROBES: usize = 32;
/// Letters claimed in one step, at most.
const MOST: usize = 512;
/// A letter that was armed longer ago than this is armed again before another relay gets it: its account may have changed
/// since, or another courier may have taken it over.
const FRESH: Duration = Duration::from_secs(5);
/// How often a claim is renewed while a delivery goes on.
pub const RENEW_EVERY: Duration = Duration::from_secs(10);

/// Claims, delivers, settles.
pub struct Courier {
    service: Arc<Service>,
    relays: Relays,
    tally: Tally,
    budget_notice: Notice,
    /// Which end of the queue a single letter is taken from next.
    takes_newest: AtomicBool,
}

/// What a claim brought.
pub enum Claimed {
    /// Letters to be attempted, each once.
    Letters(ClaimId, Vec<Assigned>),
    /// Nothing is due.
    Nothing,
    /// What was due was closed or put off; there may be more behind it.
    Passed,
    /// The relays have as many letters as they take, until then at least, or until a delivery ends.
    Full(Option<Timestamp>),
    /// All relays rest until then.
    Resting(Timestamp),
}

/// Letters that are armed, and what came of others without an attempt.
#[derive(Default)]
pub struct Prepared {
    /// To be attempted, each once.
    pub ready: Vec<Ready>,
    /// To be written down.
    pub settlements: Vec<Settlement>,
}

/// A letter that is armed, with its mail's parts and its place at a relay.
pub struct Ready {
    /// The letter and its account.
    pub claimed: ClaimedLetter,
    parcel: Parcel,
    route: Route,
    armed: Timestamp,
}

/// A claimed letter with its place at a relay.
pub struct Assigned {
    /// The letter and its account.
    pub claimed: ClaimedLetter,
    route: Route,
}

impl Assigned {
    /// What is written down where nothing was attempted.
    pub fn given_back(&self) -> Settlement {
        let Self { claimed, .. } = self;
        let outcome = Outcome::Released { error: None };
        Settlement { letter: claimed.letter.id, claim: claimed.claim, outcome }
    }
}

#[cfg(test)]
impl Assigned {
    /// Lets its relay be at fault, as another letter would.
    pub(crate) fn fail_its_relay(&self, now: Timestamp) {
        let failed =
            |breaker: &mut Breaker| breaker.failed("connect: refused", false, now, &crate::rng::OsRng);
        assert!(self.route.breaker(Some(FaultKind::Passing), failed).is_some_and(|outcome| outcome.is_ok()));
    }
}

impl Courier {
    /// A courier for the outbox of `service` that hands over to the first of `relays` that works.
    pub fn new(service: Arc<Service>, relays: Vec<Relay>) -> Self {
        let takes_newest = AtomicBool::new(false);
        let (relays, tally, budget_notice) = (Relays::new(relays), Tally::default(), Notice::default());
        Self { service, relays, tally, budget_notice, takes_newest }
    }

    /// Claims as many letters as the relays take now, up to `most`. Where letters wait, half of them are those that were
    /// posted last, so that nobody who asks now waits for a backlog. Unless `eager`, nothing where only a few could go.
    ///
    /// # Errors
    /// When the store fails, or there is no randomness.
    pub async fn claim(&self, most: usize, eager: bool) -> Result<Claimed, Trouble> {
        let now = self.service.now();
        let routes = match self.relays.reserve(most.min(MOST), eager, now) {
            Places::Routes(routes) => routes,
            Places::Full(until) => return Ok(Claimed::Full(until)),
            Places::Rest(until) => return Ok(Claimed::Resting(until)),
        };
        let claim = ClaimId::random(&*self.service.rng)?;
        let has_probe = routes.iter().any(Route::is_probe);
        let limit = if has_probe { routes.len().max(PROBES) } else { routes.len() };
        let newest =
            if limit > 1 { limit / 2 } else { usize::from(self.takes_newest.fetch_not(Ordering::Relaxed)) };
        let budget = self.service.policy.limits.mail_per_hour.map(|per_hour| MailBudget { per_hour });
        let order = ClaimOrder { claim, limit, newest, lease: now + LEASE, budget };
        let batch = self.service.store.claim(order, now).await?;
        self.tally.claimed(&batch);
        if let Some(MailBudget { per_hour }) = budget
            && batch.is_budget_spent
            && self.budget_notice.is_due(now)
        {
            tracing::warn!(
                event = "mail_budget_spent",
                per_hour,
                "the mail budget of this hour (limits.mailPerHour) is spent; letters wait for their place in it"
            );
        }
        if batch.letters.is_empty() {
            let has_passed = batch.put_off > 0 || batch.closed != Closed::default();
            return Ok(if has_passed { Claimed::Passed } else { Claimed::Nothing });
        }
        let (assigned, left) = assign(routes, batch.letters);
        if !left.is_empty() {
            let release = |claimed: ClaimedLetter| claimed.settled(Outcome::Released { error: None });
            self.settle(&left.into_iter().map(release).collect::<Vec<_>>()).await?;
        }
        Ok(Claimed::Letters(claim, assigned))
    }

    /// Arms letters for delivery, all in one step. What cannot go now is among the settlements; a letter that is not ours
    /// any more, or was closed while arming, is in neither list.
    ///
    /// # Errors
    /// When the store fails, or there is no randomness; the leases then run out.
    pub async fn prepare(&self, letters: Vec<Assigned>) -> Result<Prepared, Trouble> {
        crate::fail_point!("courier.claimed");
        let now = self.service.now();
        let mut prepared = Prepared::default();
        let (mut arms, mut ready) = (Vec::with_capacity(letters.len()), Vec::with_capacity(letters.len()));
        for letter in letters {
            match self.ready(letter, now) {
                Ok(letter) => {
                    arms.push(self.arm(&letter.claimed, &letter.parcel, now)?);
                    ready.push(letter);
                }
                Err(settlement) => prepared.settlements.push(settlement),
            }
        }
        let armed = self.arm_all(arms, now).await?;
        prepared.ready.reserve_exact(ready.len());
        for (letter, armed) in ready.into_iter().zip(armed) {
            match armed {
                Some(Armed::Armed) => prepared.ready.push(letter),
                Some(Armed::KeyGone) => self.service.wake.notify_one(),
                Some(Armed::Superseded | Armed::Lost) | None => {}
            }
        }
        crate::fail_point!("courier.armed");
        Ok(prepared)
    }

    /// Attempts one letter that is armed: hands the mail over, to the next relay where one is at fault. Nothing is written
    /// down yet: that is [`Courier::settle`].
    ///
    /// # Errors
    /// When there is no randomness; [`Courier::failed_internally`] is what to write down then.
    pub async fn attempt(&self, ready: Ready) -> Result<Settlement, Trouble> {
        let Ready { claimed, parcel, route, armed } = ready;
        let letter = &claimed.letter;
        let outcome = match route.if_open(self.service.now()) {
            Some(route) => self.deliver(parcel, &claimed, route, armed).await?,
            // Since it was prepared its relay has failed at another letter.
            None => Outcome::Released { error: None },
        };
        tracing::info!(event = "attempt", letter.id = %letter.id, letter.purpose = %letter.purpose, outcome = outcome.word(), "a letter was attempted");
        Ok(Settlement { letter: letter.id, claim: claimed.claim, outcome })
    }

    /// Prepares and attempts one letter; `None` where it is not ours any more or was closed while arming.
    ///
    /// # Errors
    /// As [`Courier::prepare`] and [`Courier::attempt`].
    pub async fn attempt_one(&self, letter: Assigned) -> Result<Option<Settlement>, Trouble> {
        let Prepared { mut ready, mut settlements } = self.prepare(vec![letter]).await?;
        match ready.pop() {
            Some(letter) => self.attempt(letter).await.map(Some),
            None => Ok(settlements.pop()),
        }
    }

    /// What is written down of a letter whose attempt failed inside this program: it may have gone out.
    pub fn failed_internally(&self, letter: LetterId, claim: ClaimId) -> Settlement {
        let due = self.service.now() + backoff::LONGEST / 10;
        let error = "delivering it failed internally".to_owned();
        Settlement { letter, claim, outcome: Outcome::Later { due, error, reply: None } }
    }

    /// Gives letters back that were not attempted.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release(&self, letters: Vec<Assigned>) -> Result<Vec<bool>, StoreError> {
        self.settle(&letters.iter().map(Assigned::given_back).collect::<Vec<_>>()).await
    }

    /// Writes down what came of attempts, all in one step. `false` for each whose claim was lost meanwhile: another's result
    /// stands.
    ///
    /// # Errors
    /// When the store fails; trying again is safe.
    pub async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, StoreError> {
        let (store, now) = (&self.service.store, self.service.now());
        let ours = match store.settle(settlements.to_vec(), now).await {
            Err(StoreError::Broken(_)) if settlements.len() > 1 => {
                // A single one that cannot be written down must not keep the others from it.
                let mut ours = Vec::with_capacity(settlements.len());
                for settlement in settlements {
                    ours.extend(store.settle(vec![settlement.clone()], now).await?);
                }
                ours
            }
            settled => settled?,
        };
        for (settlement, is_ours) in settlements.iter().zip(&ours) {
            if !is_ours && matches!(settlement.outcome, Outcome::Sent { .. }) {
                self.tally.perhaps_twice();
            }
        }
        Ok(ours)
    }

    /// Claims up to `limit` letters and attempts one after the other. Answers how many were attempted.
    ///
    /// # Errors
    /// When the store fails, or there is no randomness.
    pub async fn step(&self, limit: usize) -> Result<usize, Trouble> {
        let Claimed::Letters(_, letters) = self.claim(limit, true).await? else { return Ok(0) };
        let attempted = letters.len();
        // One by one, as stories are told.
        for letter in letters {
            if let Some(settlement) = self.attempt_one(letter).await? {
                self.settle(&[settlement]).await?;
            }
        }
        Ok(attempted)
    }

    /// Extends the lease of the letters still held under a claim.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renew(&self, claim: ClaimId) -> Result<usize, StoreError> {
        self.service.store.renew(claim, self.service.now() + LEASE).await
    }

    /// How long until a letter is due or a lease runs out; `None` where the outbox is empty.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_due(&self) -> Result<Option<Duration>, StoreError> {
        Ok(self.service.store.next_due().await?.map(|due| self.until(due)))
    }

    /// How long until then; zero where it is past.
    pub fn until(&self, then: Timestamp) -> Duration {
        then.since(self.service.now())
    }

    /// What wakes a courier when a letter was posted.
    pub fn wake(&self) -> Arc<Notify> {
        self.service.wake.clone()
    }

    /// How each relay does, in their order.
    pub fn relays(&self) -> Vec<RelayStatus> {
        self.relays.statuses(self.service.now())
    }

    /// What the first relay that is at fault was last at fault for; `None` while all work.
    pub fn relay_fault(&self) -> Option<String> {
        self.relays().into_iter().find_map(|relay| relay.fault)
    }

    /// What has been done since the start.
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// Hands a mail to one relay after the other until one takes it, or it is clear that the fault is not theirs.
    async fn deliver(
        &self,
        parcel: Parcel,
        claimed: &ClaimedLetter,
        mut route: Route,
        mut armed: Timestamp,
    ) -> Result<Outcome, Trouble> {
        let letter = &claimed.letter;
        let domain = parcel.to.domain().to_owned();
        // What a relay said that did not take it, while the next one is tried.
        let mut put_off = None;
        loop {
            let error = match hand_over(&route, parcel.clone()).await {
                Ok(receipt) => {
                    crate::fail_point!("courier.accepted");
                    let now = self.service.now();
                    route.accepted(now);
                    self.tally.sent(now.since(letter.posted));
                    return Ok(route.named(Outcome::Sent { reply: receipt.reply }));
                }
                Err(error) => error,
            };
            let may_go_on = may_another_take_it(&error);
            let outcome = route.named(self.judge(error, letter, &domain, &route)?);
            if !matches!(outcome, Outcome::Released { .. }) {
                put_off = Some(outcome.clone());
            }
            match may_go_on.then(|| route.onward(self.service.now())).flatten() {
                // The relay before it may have taken minutes.
                Some(next) if self.is_still_owed(claimed, &parcel, &mut armed).await? => route = next,
                _ => return Ok(self.counted(put_off.unwrap_or(outcome))),
            }
        }
    }

    /// Whether a letter that was armed then may be attempted once more; armed anew where that is long ago.
    async fn is_still_owed(
        &self,
        claimed: &ClaimedLetter,
        parcel: &Parcel,
        armed: &mut Timestamp,
    ) -> Result<bool, Trouble> {
        let now = self.service.now();
        if claimed.letter.deadline < now {
            return Ok(false);
        }
        if now.since(*armed) <= FRESH {
            return Ok(true);
        }
        match self.service.store.arm(vec![self.arm(claimed, parcel, now)?], now).await {
            Ok(outcomes) => {
                *armed = now;
                Ok(outcomes == [Armed::Armed])
            }
            Err(error) => {
                tracing::warn!(letter.id = %claimed.letter.id, %error, "a letter could not be armed for the next relay; it waits");
                Ok(false)
            }
        }
    }

    fn counted(&self, outcome: Outcome) -> Outcome {
        match &outcome {
            Outcome::Later { .. } => self.tally.put_off(),
            Outcome::Dead { .. } => self.tally.dead(),
            Outcome::Held { .. } | Outcome::Released { .. } => self.tally.released(),
            Outcome::Sent { .. } => {}
        }
        outcome
    }

    fn token(&self, claimed: &ClaimedLetter) -> Option<Token> {
        let letter = &claimed.letter;
        match letter.purpose {
            Purpose::PasswordChanged => None,
            Purpose::Reset | Purpose::Confirm => {
                let (_, key) = self.service.token_keys.of(letter.token_key);
                Some(key.derive(letter.purpose, letter.id, &claimed.account.id, &claimed.account.name_key))
            }
        }
    }

    /// A letter with all that its mail is made of; or what comes of it without an attempt.
    fn ready(&self, letter: Assigned, now: Timestamp) -> Result<Ready, Settlement> {
        let Assigned { claimed, route } = letter;
        let Some(to) = claimed.account.address.clone() else {
            let error = "the account's name is no mail address".to_owned();
            return Err(claimed.settled(Outcome::Dead { error, reply: None }));
        };
        if claimed.letter.deadline < now {
            // It waited too long between claim and attempt; the next claim closes it as expired.
            return Err(claimed.settled(Outcome::Released { error: None }));
        }
        // Since the claim its relay may have failed at another letter.
        let Some(route) = route.if_open(now) else {
            return Err(claimed.settled(Outcome::Released { error: None }));
        };
        let letter = &claimed.letter;
        let parcel = Parcel {
            letter: letter.id,
            purpose: letter.purpose,
            to,
            token: self.token(&claimed),
            ip: letter.ip,
            agent: letter.agent.clone(),
            posted: letter.posted,
        };
        Ok(Ready { claimed, parcel, route, armed: now })
    }

    fn arm(&self, claimed: &ClaimedLetter, parcel: &Parcel, now: Timestamp) -> Result<Arm, NoRandomness> {
        let purpose = claimed.letter.purpose;
        Ok(Arm {
            letter: claimed.letter.id,
            claim: claimed.claim,
            token: parcel.token.as_ref().map(Token::hash),
            token_key: self.service.token_keys.of(claimed.letter.token_key).0,
            purpose,
            account: claimed.account.id.clone(),
            name_key: claimed.account.name_key.clone(),
            expires: now + self.service.policy.lifetime(purpose),
            replacement: LetterId::new(now, &*self.service.rng)?,
        })
    }

    /// Arms all in one step; one by one where a single one of them cannot be armed, which then is `None`.
    async fn arm_all(&self, arms: Vec<Arm>, now: Timestamp) -> Result<Vec<Option<Armed>>, StoreError> {
        let store = &self.service.store;
        match store.arm(arms.clone(), now).await {
            Ok(armed) => Ok(armed.into_iter().map(Some).collect()),
            Err(StoreError::Broken(_)) if arms.len() > 1 => {
                let mut armed = Vec::with_capacity(arms.len());
                for arm in arms {
                    let letter = arm.letter;
                    armed.push(match store.arm(vec![arm], now).await {
                        Ok(one) => one.into_iter().next(),
                        Err(error) => {
                            tracing::warn!(letter.id = %letter, %error, "a letter could not be armed; its lease runs out");
                            None
                        }
                    });
                }
                Ok(armed)
            }
            Err(error) => Err(error),
        }
    }

    /// What a failure means for the letter, and for the relay.
    fn judge(
        &self,
        error: DeliveryError,
        letter: &Letter,
        domain: &str,
        route: &Route,
    ) -> Result<Outcome, Trouble> {
        let (now, rng) = (self.service.now(), &*self.service.rng);
        let attempts = letter.attempts + 1;
        let reason_of_probe = error.to_string();
        let outcome = match error {
            DeliveryError::NotBegun => return Ok(Outcome::Released { error: None }),
            DeliveryError::HeldBack => {
                let due = held::again(letter.posted, now, rng)?.min(letter.deadline);
                return Ok(Outcome::Held { due, error: held::REASON.to_owned() });
            }
            DeliveryError::Relay { reason, permanent } => {
                if route.breaker(None, |breaker| breaker.is_to_blame(letter.id)) == Some(false) {
                    let due = now + backoff::delay(attempts, LaterKind::Other, rng)?;
                    Outcome::Later { due, error: reason, reply: None }
                } else {
                    warn_of_fault(route, &reason, permanent);
                    let kind = if permanent { FaultKind::Permanent } else { FaultKind::Passing };
                    let failed = |breaker: &mut Breaker| breaker.failed(&reason, permanent, now, rng);
                    route.breaker(Some(kind), failed).transpose()?;
                    Outcome::Released { error: Some(reason) }
                }
            }
            DeliveryError::Later { reason, reply, kind } => {
                match kind {
                    LaterKind::Policy => {
                        let refused =
                            |b: &mut Breaker| b.refused_by_policy(letter.id, domain, &reason, now, rng);
                        route.breaker(None, refused).transpose()?;
                    }
                    LaterKind::Greylisted => route.answered(),
                    LaterKind::Lost | LaterKind::Unknown => {
                        if kind == LaterKind::Unknown {
                            self.tally.perhaps_twice();
                        }
                        let lost = |b: &mut Breaker| b.lost(letter.id, &reason, now, rng);
                        route.breaker(None, lost).transpose()?;
                    }
                    LaterKind::Other => {}
                }
                Outcome::Later { due: now + backoff::delay(attempts, kind, rng)?, error: reason, reply }
            }
            // Nothing was asked of the relay, which a probe was to show: the next letter is one.
            DeliveryError::Never { reason, reply: None } => {
                return Ok(Outcome::Dead { error: reason, reply: None });
            }
            DeliveryError::Never { reason, reply } => {
                route.answered();
                Outcome::Dead { error: reason, reply }
            }
        };
        route.rest_after_probe(&reason_of_probe, now, rng)?;
        Ok(outcome)
    }
}

/// Whether the next relay may be handed a mail at once that this one did not take: where the fault is this one's, or may be,
/// and it cannot have taken the mail.
fn may_another_take_it(error: &DeliveryError) -> bool {
    match error {
        DeliveryError::Relay { .. } | DeliveryError::HeldBack => true,
        DeliveryError::Later { kind, .. } => matches!(kind, LaterKind::Policy | LaterKind::Lost),
        DeliveryError::NotBegun | DeliveryError::Never { .. } => false,
    }
}

/// Gives each letter a route, and each probe a letter that can tell whether its relay works: the newest that had no part
/// in its faults. Answers what is left without a route.
fn assign(routes: Vec<Route>, letters: Vec<ClaimedLetter>) -> (Vec<Assigned>, Vec<ClaimedLetter>) {
    let mut letters = VecDeque::from(letters);
    let mut assigned = Vec::with_capacity(routes.len().min(letters.len()));
    for route in routes {
        let is_good = |claimed: &ClaimedLetter| {
            let domain = claimed.account.address.as_ref().map_or("", Address::domain);
            route.breaker(None, |breaker| breaker.is_good_probe(claimed.letter.id, domain)) == Some(true)
        };
        let newest = |letters: &VecDeque<ClaimedLetter>| {
            let good = letters.iter().enumerate().filter(|(_, claimed)| is_good(claimed));
            good.max_by_key(|(_, claimed)| claimed.letter.posted).map(|(place, _)| place)
        };
        let chosen = if route.is_probe() { newest(&letters).unwrap_or(0) } else { 0 };
        let Some(claimed) = letters.remove(chosen) else { break };
        assigned.push(Assigned { claimed, route });
    }
    (assigned, letters.into())
}

/// A letter that makes a mailer panic must not take the courier and its neighbours with it.
async fn hand_over(route: &Route, parcel: Parcel) -> Result<Receipt, DeliveryError> {
    let failed = || DeliveryError::Never {
        reason: "composing or sending it failed internally".to_owned(),
        reply: None,
    };
    let Some(mailer) = route.mailer() else { return Err(failed()) };
    AssertUnwindSafe(mailer.deliver(parcel)).catch_unwind().await.unwrap_or_else(|_| Err(failed()))
}

/// Loudly, where only an operator can help.
fn warn_of_fault(route: &Route, reason: &str, permanent: bool) {
    let (relay, called) = (route.relay() + 1, route.called());
    if permanent {
        tracing::error!(
            event = "relay_paused",
            relay,
            reason,
            "the {called} refuses what the configuration says; letters wait, and none is lost: `regain check` goes as far as it can without a mail, `regain mail test ADDRESS` sends one"
        );
    } else {
        tracing::warn!(
            event = "relay_fault",
            relay,
            reason,
            "the {called} is at fault; no letter is charged for it"
        );
    }
}
