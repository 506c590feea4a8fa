//! The breaker before a relay: after a fault of the relay nothing is tried but one letter at a time, ever more
//! rarely, until one is accepted. No letter is charged an attempt for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::letter::LetterId;
use crate::rng::{self, NoRandomness, Rng};

/// A relay that refuses recipients of so many domains in a row by policy refuses everybody.
const POLICY_REFUSALS: usize = 3;
/// So does one that refuses so many letters, of whatever domains: some applications have users of one domain alone.
const POLICY_LETTERS: usize = 5;
/// A relay that is lost at so many letters in a row, without an answer to any, is at fault itself.
const LOST_LETTERS: usize = 3;
/// No relay rests longer at a time.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// Refused domains that are remembered, so that probes go to others.
const DOMAINS: usize = 256;

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

/// Letters that are remembered for a fault of the relay. Enough to find a poisonous one; a long outage fills it.
const SUSPECTS: usize = 256;

/// How the relay has answered of late.
#[derive(Debug, Default)]
pub struct Breaker {
    faults: u32,
    rest_until: Option<Timestamp>,
    reason: Option<String>,
    refused_domains: Vec<String>,
    /// Letters refused by policy since it last accepted one.
    refused_letters: Vec<LetterId>,
    /// Letters at which it was lost since it last answered.
    lost_letters: Vec<LetterId>,
    /// Letters at which the relay failed since it last accepted one.
    suspects: VecDeque<LetterId>,
    /// Letters at which it failed before it accepted others: the fault may be theirs after all.
    blamed: VecDeque<LetterId>,
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
            // A longer rest is none: the clock was set back under it.
            Some(until) if now < until && until.since(now) <= LONGEST_REST => Admission::Rest(until),
            Some(_) => Admission::Probe,
        }
    }

    /// Why it rests; `None` while it does not.
    pub fn fault(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// It accepted a mail.
    pub fn accepted(&mut self) {
        let mut blamed = std::mem::take(&mut self.blamed);
        self.suspects.drain(..).for_each(|letter| remember(&mut blamed, letter));
        *self = Self { blamed, ..Self::default() };
    }

    /// It answered for one letter's sake, by putting it off or refusing it: it works, though it accepted nothing.
    pub fn answered(&mut self) {
        self.faults = 0;
        self.rest_until = None;
        self.reason = None;
        self.lost_letters.clear();
    }

    /// It was lost or fell silent at `letter`. At several in a row with no answer between, it rests.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn lost(
        &mut self,
        letter: LetterId,
        reason: &str,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<(), NoRandomness> {
        if !self.lost_letters.contains(&letter) && self.lost_letters.len() < LOST_LETTERS {
            self.lost_letters.push(letter);
        }
        if self.lost_letters.len() >= LOST_LETTERS { self.failed(reason, false, now, rng) } else { Ok(()) }
    }

    /// It failed at `letter`. `false` where it has failed at this letter before and accepted others since: then the
    /// fault is the letter's own, which must not hold up the others again.
    pub fn is_to_blame(&mut self, letter: LetterId) -> bool {
        let is_to_blame = !self.blamed.contains(&letter);
        remember(&mut self.suspects, letter);
        is_to_blame
    }

    /// Whether a letter can tell if the relay has recovered: one that it did not fail at of late, to a domain that it
    /// has not just refused.
    pub fn is_good_probe(&self, letter: LetterId, domain: &str) -> bool {
        !self.suspects.contains(&letter)
            && !self.blamed.contains(&letter)
            && !self.refused_domains.iter().any(|refused| refused == domain)
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
        let (first, longest) =
            if permanent { (5_000, LONGEST_REST.as_secs() * 1000) } else { (1_000, 60_000) };
        self.rest(reason, first, longest, now, rng)
    }

    /// It refused the recipient of `letter`, of `domain`, by policy, which is an answer. After five letters or three domains
    /// in a row with no acceptance between, it rests, for 15 s at most.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn refused_by_policy(
        &mut self,
        letter: LetterId,
        domain: &str,
        reason: &str,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<(), NoRandomness> {
        self.lost_letters.clear();
        if !self.refused_domains.iter().any(|d| d == domain) && self.refused_domains.len() < DOMAINS {
            self.refused_domains.push(domain.to_owned());
        }
        if !self.refused_letters.contains(&letter) && self.refused_letters.len() < POLICY_LETTERS {
            self.refused_letters.push(letter);
        }
        if self.refused_domains.len() >= POLICY_REFUSALS || self.refused_letters.len() >= POLICY_LETTERS {
            // Perhaps it refuses these domains alone: the next probe is to another, and soon.
            self.rest(reason, 1_000, 15_000, now, rng)?;
        }
        Ok(())
    }

    /// Rests for `first` milliseconds, doubled with each fault in a row up to `longest`.
    fn rest(
        &mut self,
        reason: &str,
        first: u64,
        longest: u64,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<(), NoRandomness> {
        if matches!(self.admission(now), Admission::Rest(_)) {
            return Ok(());
        }
        self.faults += 1;
        let wait = (first << (self.faults - 1).min(16)).min(longest);
        let wait = wait - rng::up_to(rng, wait / 4)?;
        self.rest_until = Some(now + Duration::from_millis(wait));
        self.reason = Some(reason.to_owned());
        Ok(())
    }
}

fn remember(letters: &mut VecDeque<LetterId>, letter: LetterId) {
    if !letters.contains(&letter) {
        letters.push_back(letter);
    }
    if letters.len() > SUSPECTS {
        letters.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::OsRng;

    const T0: Timestamp = Timestamp::from_millis(0);
    const ANY: LetterId = LetterId::from_bytes([0; 16]);

    fn letter(number: u8) -> LetterId {
        LetterId::from_bytes([number; 16])
    }

    fn rest(breaker: &Breaker, now: Timestamp) -> Duration {
        match breaker.admission(now) {
            Admission::Rest(until) => until.since(now),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_prolong_a_rest_by_much() {
        let mut breaker = Breaker::new();
        let before = T0 + Duration::from_secs(3600);
        breaker.failed("auth: 535", true, before, &OsRng).unwrap();
        assert_eq!(breaker.admission(T0), Admission::Probe);
        assert!(rest(&breaker, before.minus(LONGEST_REST / 2)) <= LONGEST_REST);
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
        breaker.refused_by_policy(ANY, "a.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        breaker.refused_by_policy(ANY, "b.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        breaker.failed("connect: refused", false, T0, &OsRng).unwrap();
        breaker.answered();
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.refused_by_policy(ANY, "c.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        assert!(matches!(breaker.admission(T0), Admission::Rest(_)));
    }

    #[test]
    fn a_letter_that_fails_again_after_others_got_through_is_at_fault_itself() {
        let (poison, fine) = (LetterId::from_bytes([1; 16]), LetterId::from_bytes([2; 16]));
        let mut breaker = Breaker::new();
        assert!(breaker.is_to_blame(poison) && breaker.is_to_blame(poison), "nothing has got through yet");
        assert!(!breaker.is_good_probe(poison, "a.org") && breaker.is_good_probe(fine, "a.org"));
        breaker.accepted();
        assert!(!breaker.is_to_blame(poison));
        assert!(breaker.is_to_blame(fine));
        assert!(!breaker.is_good_probe(poison, "a.org"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut breaker = Breaker::new();
        for i in 0..1000_u16 {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&i.to_be_bytes());
            breaker.is_to_blame(LetterId::from_bytes(id));
            if i % 3 == 0 {
                breaker.accepted();
            }
        }
        assert!(breaker.suspects.len() <= SUSPECTS && breaker.blamed.len() <= SUSPECTS);
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
            breaker.refused_by_policy(ANY, domain, "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        }
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.accepted();
        breaker.refused_by_policy(ANY, "c.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.refused_by_policy(ANY, "a.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        breaker.refused_by_policy(ANY, "b.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        assert!(matches!(breaker.admission(T0), Admission::Rest(_)));
    }

    #[test]
    fn five_letters_to_one_domain_that_are_refused_by_policy_rest_the_relay() {
        let mut breaker = Breaker::new();
        for number in [1, 1, 1, 1, 1, 2, 3, 4] {
            breaker.refused_by_policy(letter(number), "a.org", "rcpt: 554 5.7.1", T0, &OsRng).unwrap();
        }
        assert_eq!(breaker.admission(T0), Admission::Open);
        breaker.refused_by_policy(letter(5), "a.org", "rcpt: 554 5.7.1", T0, &OsRng).unwrap();
        assert!(matches!(breaker.admission(T0), Admission::Rest(_)));
    }

    #[test]
    fn a_relay_that_is_lost_at_three_letters_in_a_row_rests() {
        let mut breaker = Breaker::new();
        for number in [1, 1, 1, 2] {
            breaker.lost(letter(number), "rcpt: closed", T0, &OsRng).unwrap();
        }
        breaker.answered();
        for number in [3, 4] {
            breaker.lost(letter(number), "rcpt: closed", T0, &OsRng).unwrap();
        }
        assert_eq!(breaker.admission(T0), Admission::Open, "it answered between");
        breaker.refused_by_policy(ANY, "a.org", "rcpt: 550 5.7.1", T0, &OsRng).unwrap();
        for number in [5, 6] {
            breaker.lost(letter(number), "rcpt: closed", T0, &OsRng).unwrap();
        }
        assert_eq!(breaker.admission(T0), Admission::Open, "it has refused somebody between");
        breaker.lost(letter(7), "rcpt: closed", T0, &OsRng).unwrap();
        assert!(matches!(breaker.admission(T0), Admission::Rest(_)));
    }
}
