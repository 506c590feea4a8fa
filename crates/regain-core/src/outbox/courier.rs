//! The courier: claims letters, arms their tokens, has them delivered and writes down what came of it.
//!
//! This is one step at a time, without a loop, a clock tick or a task of its own; the `regain` crate runs it.
//!
//! Invariant: what an attempt sends depends on the letter and its account alone, so a copy is byte-identical.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::flows::Trouble;
use crate::letter::{ClaimId, ClaimedLetter, Letter, LetterId, Purpose};
use crate::mailer::{DeliveryError, LaterKind, Mailer, Parcel};
use crate::name::Address;
use crate::outbox::backoff;
use crate::outbox::breaker::{Admission, Breaker};
use crate::service::Service;
use crate::store::{Arm, Armed, Outcome, Settlement, StoreError};
use crate::token::Token;

/// How long a claim holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(30);
/// The oldest letters that a probe is chosen from.
const PROBES: usize = 32;
/// How often a claim is renewed while a delivery goes on.
pub const RENEW_EVERY: Duration = Duration::from_secs(10);

/// Claims, delivers, settles.
pub struct Courier {
    service: Arc<Service>,
    mailer: Arc<dyn Mailer>,
    breaker: Mutex<Breaker>,
}

/// What a claim brought.
pub enum Claimed {
    /// Letters to be attempted, each once.
    Letters(ClaimId, Vec<ClaimedLetter>),
    /// Nothing is due.
    Nothing,
    /// The relay rests until then, or one probe is under way.
    Resting(Option<Timestamp>),
}

impl Courier {
    /// A courier for the outbox of `service` that hands over to `mailer`.
    pub fn new(service: Arc<Service>, mailer: Arc<dyn Mailer>) -> Self {
        Self { service, mailer, breaker: Mutex::new(Breaker::new()) }
    }

    /// Claims up to `limit` letters, as many as the relay may be given while `in_flight` are under way.
    ///
    /// # Errors
    /// When the store fails, or there is no randomness.
    pub async fn claim(&self, limit: usize, in_flight: usize) -> Result<Claimed, Trouble> {
        let now = self.service.now();
        let admission = self.breaker().admission(now);
        let limit = match admission {
            Admission::Open => limit,
            Admission::Probe if in_flight == 0 => return self.claim_probe(now).await,
            Admission::Probe => return Ok(Claimed::Resting(None)),
            Admission::Rest(until) => return Ok(Claimed::Resting(Some(until))),
        };
        let claim = ClaimId::random(&*self.service.rng)?;
        let letters = self.service.store.claim(claim, limit, now + LEASE, now).await?;
        Ok(if letters.is_empty() { Claimed::Nothing } else { Claimed::Letters(claim, letters) })
    }

    /// Claims one letter to see whether the relay has recovered: of the oldest ones, one that had no part in its faults.
    async fn claim_probe(&self, now: Timestamp) -> Result<Claimed, Trouble> {
        let claim = ClaimId::random(&*self.service.rng)?;
        let mut letters = self.service.store.claim(claim, PROBES, now + LEASE, now).await?;
        if letters.is_empty() {
            return Ok(Claimed::Nothing);
        }
        let is_good = |claimed: &ClaimedLetter| {
            let domain = claimed.account.address.as_ref().map_or("", Address::domain);
            self.breaker().is_good_probe(claimed.letter.id, domain)
        };
        let chosen = letters.iter().position(is_good).unwrap_or(0);
        let probe = letters.swap_remove(chosen);
        for other in letters {
            let outcome = Outcome::Released { error: None };
            self.settle(&Settlement { letter: other.letter.id, claim, outcome }).await?;
        }
        Ok(Claimed::Letters(claim, vec![probe]))
    }

    /// Attempts one letter: arms its token and hands the mail over. `None` where the letter is not ours any more or
    /// was closed while arming. Nothing is written down yet: that is [`Courier::settle`].
    ///
    /// # Errors
    /// When the store fails, or there is no randomness; the lease then runs out.
    pub async fn attempt(&self, claimed: &ClaimedLetter) -> Result<Option<Settlement>, Trouble> {
        let now = self.service.now();
        let letter = &claimed.letter;
        let settle = |outcome| Settlement { letter: letter.id, claim: claimed.claim, outcome };
        let Some(to) = claimed.account.address.clone() else {
            let error = "the account's name is no mail address".to_owned();
            return Ok(Some(settle(Outcome::Dead { error, reply: None })));
        };
        if letter.deadline < now {
            // It waited too long between claim and attempt; the next claim closes it as expired.
            return Ok(Some(settle(Outcome::Released { error: None })));
        }
        let token = self.token(claimed);
        if self.arm(claimed, token.as_ref(), now).await? != Armed::Armed {
            return Ok(None);
        }
        let domain = to.domain().to_owned();
        let parcel = Parcel {
            letter: letter.id,
            purpose: letter.purpose,
            to,
            token,
            ip: letter.ip,
            agent: letter.agent.clone(),
            posted: letter.posted,
        };
        // A letter that makes the mailer panic must not take the courier and its neighbours with it.
        let delivered =
            AssertUnwindSafe(self.mailer.deliver(parcel)).catch_unwind().await.unwrap_or_else(|_| {
                Err(DeliveryError::Never {
                    reason: "composing or sending it failed internally".to_owned(),
                    reply: None,
                })
            });
        let outcome = match delivered {
            Ok(receipt) => {
                self.breaker().accepted();
                Outcome::Sent { reply: receipt.reply }
            }
            Err(error) => self.judge(error, letter, &domain)?,
        };
        tracing::info!(event = "attempt", letter.id = %letter.id, letter.purpose = %letter.purpose, outcome = outcome.word(), "a letter was attempted");
        Ok(Some(settle(outcome)))
    }

    /// Writes down what came of an attempt. `false` where the claim was lost meanwhile: another's result stands.
    ///
    /// # Errors
    /// When the store fails; trying again is safe.
    pub async fn settle(&self, settlement: &Settlement) -> Result<bool, StoreError> {
        self.service.store.settle(settlement.clone(), self.service.now()).await
    }

    /// Claims up to `limit` letters and attempts one after the other. Answers how many were attempted.
    ///
    /// # Errors
    /// When the store fails, or there is no randomness.
    pub async fn step(&self, limit: usize) -> Result<usize, Trouble> {
        let Claimed::Letters(_, letters) = self.claim(limit, 0).await? else { return Ok(0) };
        for claimed in &letters {
            if let Some(settlement) = self.attempt(claimed).await? {
                self.settle(&settlement).await?;
            }
        }
        Ok(letters.len())
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

    /// Why the relay is not given everything at the moment; `None` while it works.
    pub fn relay_fault(&self) -> Option<String> {
        self.breaker().fault().map(str::to_owned)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, claimed: &ClaimedLetter) -> Option<Token> {
        let letter = &claimed.letter;
        match letter.purpose {
            Purpose::PasswordChanged => None,
            Purpose::Reset | Purpose::Confirm => {
                let key = &self.service.token_key;
                Some(key.derive(letter.purpose, letter.id, &claimed.account.id, &claimed.account.name_key))
            }
        }
    }

    async fn arm(
        &self,
        claimed: &ClaimedLetter,
        token: Option<&Token>,
        now: Timestamp,
    ) -> Result<Armed, Trouble> {
        let purpose = claimed.letter.purpose;
        let arm = Arm {
            letter: claimed.letter.id,
            claim: claimed.claim,
            token: token.map(Token::hash),
            token_key: self.service.token_key.id(),
            purpose,
            account: claimed.account.id.clone(),
            name_key: claimed.account.name_key.clone(),
            expires: now + self.service.policy.lifetime(purpose),
            replacement: LetterId::new(now, &*self.service.rng)?,
        };
        let armed = self.service.store.arm(arm, now).await?;
        if armed == Armed::KeyGone {
            self.service.wake.notify_one();
        }
        Ok(armed)
    }

    /// What a failure means for the letter, and for the relay.
    fn judge(&self, error: DeliveryError, letter: &Letter, domain: &str) -> Result<Outcome, Trouble> {
        let (now, rng) = (self.service.now(), &*self.service.rng);
        let attempts = letter.attempts + 1;
        let mut breaker = self.breaker();
        Ok(match error {
            DeliveryError::Relay { reason, .. } if !breaker.is_to_blame(letter.id) => {
                let due = now + backoff::delay(attempts, LaterKind::Other, rng)?;
                Outcome::Later { due, error: reason, reply: None }
            }
            DeliveryError::Relay { reason, permanent } => {
                tracing::warn!(
                    event = "relay_fault",
                    permanent,
                    reason,
                    "the relay is at fault; no letter is charged for it"
                );
                breaker.failed(&reason, permanent, now, rng)?;
                Outcome::Released { error: Some(reason) }
            }
            DeliveryError::Later { reason, reply, kind } => {
                match kind {
                    LaterKind::Policy => breaker.refused_by_policy(domain, &reason, now, rng)?,
                    LaterKind::Greylisted => breaker.answered(),
                    LaterKind::Other => {}
                }
                Outcome::Later { due: now + backoff::delay(attempts, kind, rng)?, error: reason, reply }
            }
            DeliveryError::Never { reason, reply } => {
                if reply.is_some() {
                    breaker.answered();
                }
                Outcome::Dead { error: reason, reply }
            }
        })
    }
}
