//! The breaker before a relay: after a fault of the relay nothing is tried but one letter at a time, ever more
//! rarely, until one is accepted. No letter is charged an attempt for it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::rng::{self, NoRandomness, Rng};

/// A relay that refuses recipients of so many domains in a row by policy refuses everybody.
const POLICY_REFUSALS: usize = 3;

/// What a relay may be given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// As much as it takes.
    Open,
    /// One letter, to see whether it has recovered.
    Probe,
    /// Nothing before then.
    Rest(Timestamp),
}

/// How the relay has answered of late.
#[derive(Debug, Default)]
pub struct Breaker {
    faults: u32,
    rest_until: Option<Timestamp>,
    reason: Option<String>,
    refused_domains: Vec<String>,
}

impl Breaker {
    /// A relay that nothing bad is known of.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it may be given.
    pub fn admission(&self, now: Timestamp) -> Admission {
        match self.rest_until {
            None => Admission::Open,
            Some(until) if now < until => Admission::Rest(until),
            Some(_) => Admission::Probe,
        }
    }

    /// Why it rests; `None` while it does not.
    pub fn fault(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// It accepted a mail.
    pub fn accepted(&mut self) {
        *self = Self::default();
    }

    /// It answered for one letter's sake, by putting it off or refusing it: it works, though it accepted nothing.
    pub fn answered(&mut self) {
        let refused_domains = std::mem::take(&mut self.refused_domains);
        *self = Self { refused_domains, ..Self::default() };
    }

    /// It is at fault. A permanent fault (5xx: login, configuration) rests longer: 5 s × 2ⁿ up to 5 minutes, else
    /// 1 s × 2ⁿ up to a minute, with jitter of a quarter. Faults of letters that were under way together count once.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn failed(
        &mut self,
        reason: &str,
        permanent: bool,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<(), NoRandomness> {
        if matches!(self.admission(now), Admission::Rest(_)) {
            return Ok(());
        }
        self.faults += 1;
        let (first, longest) = if permanent { (5_000, 300_000) } else { (1_000, 60_000) };
        let wait = (first << (self.faults - 1).min(16)).min(longest);
        let wait = wait - rng::up_to(rng, wait / 4)?;
        self.rest_until = Some(now + Duration::from_millis(wait));
        self.reason = Some(reason.to_owned());
        Ok(())
    }

    /// It refused a recipient of `domain` by policy. After three domains in a row with no acceptance between, it rests.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn refused_by_policy(
        &mut self,
        domain: &str,
        reason: &str,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<(), NoRandomness> {
        if !self.refused_domains.iter().any(|d| d == domain) && self.refused_domains.len() < POLICY_REFUSALS {
            self.refused_domains.push(domain.to_owned());
        }
        if self.refused_domains.len() >= POLICY_REFUSALS {
            self.failed(reason, true, now, rng)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::OsRng;

    const T0: Timestamp = Timestamp::from_millis(0);

    fn rest(breaker: &Breaker, now: Timestamp) -> Duration {
        match breaker.admission(now) {
            Admission::Rest(until) => until.since(now),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fault_rests_the_relay_then_lets_one_probe_through() {
        let mut breaker = Breaker::new();
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.failed("connect: refused", false, T0, &OsRng).unwrap();
        let first = rest(&breaker, T0);
        assert!((750..=1000).contains(&first.as_millis()), "{first:?}");
        assert_eq!(breaker.admission(T0 + first), Admission::Probe);
        assert_eq!(breaker.fault(), Some("connect: refused"));
        breaker.failed("connect: refused", false, T0 + first, &OsRng).unwrap();
        assert!((1500..=2000).contains(&rest(&breaker, T0 + first).as_millis()));
        breaker.accepted();
        assert_eq!((breaker.admission(T0), breaker.fault()), (Admission::Open, None));
    }

    #[test]
    fn an_answer_ends_the_rest_but_is_no_acceptance() {
        let mut breaker = Breaker::new();
        breaker.refused_by_policy("a.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        breaker.refused_by_policy("b.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        breaker.failed("connect: refused", false, T0, &OsRng).unwrap();
        breaker.answered();
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.refused_by_policy("c.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        assert!(matches!(breaker.admission(T0), Admission::Rest(_)));
    }

    #[test]
    fn rests_are_bounded_and_parallel_faults_count_once() {
        let mut breaker = Breaker::new();
        let mut now = T0;
        for _ in 0..40 {
            for _ in 0..5 {
                breaker.failed("auth: 535", true, now, &OsRng).unwrap();
            }
            let rest = rest(&breaker, now);
            assert!(rest <= Duration::from_secs(300));
            now = now + rest;
        }
        assert_eq!(breaker.faults, 40);
    }

    #[test]
    fn three_domains_refused_in_a_row_are_the_relays_fault_but_one_acceptance_clears_them() {
        let mut breaker = Breaker::new();
        for domain in ["a.org", "b.org", "a.org", "b.org"] {
            breaker.refused_by_policy(domain, "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        }
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.accepted();
        breaker.refused_by_policy("c.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.refused_by_policy("a.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        breaker.refused_by_policy("b.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        assert!(matches!(breaker.admission(T0), Admission::Rest(_)));
    }
}
