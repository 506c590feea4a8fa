//! Limits against abuse: how often a client may do what, kept in bounded memory per process.
//!
//! Limits per address are the store's (they hold across processes); see [`crate::outbox::repeats`].

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::name::NameKey;

/// How often something may be done in a minute; `None` for as often as one likes.
pub type PerMinute = Option<u32>;

/// All limits. `None` and `false` switch one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The rules for repeats of mail requests for one address.
    pub per_address: bool,
    /// Sign-ins of one client.
    pub sign_in: PerMinute,
    /// Registrations of one client.
    pub register: PerMinute,
    /// Mail requests of one client.
    pub mail: PerMinute,
    /// Unknown tokens presented by one client.
    pub token_guesses: PerMinute,
    /// Failed sign-ins for one name in an hour, after which each client has one try a minute.
    pub failed_sign_ins: Option<u32>,
    /// Mails handed to relays in an hour, of all accounts together; more wait (see [`crate::outbox::budget`]).
    pub mail_per_hour: Option<u32>,
    /// Letters waiting in the outbox, after which the mail actions are refused for everybody.
    pub waiting_letters: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_address: true,
            sign_in: Some(20),
            register: Some(10),
            mail: Some(10),
            token_guesses: Some(20),
            failed_sign_ins: Some(100),
            mail_per_hour: None,
            waiting_letters: Some(1_000_000),
        }
    }
}

/// The answer of a limit: come back after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// Counts what clients do.
pub struct Limiter {
    limits: Limits,
    sign_in: Buckets,
    register: Buckets,
    mail: Buckets,
    guesses: Buckets,
    failures: Buckets,
    last_resort: Buckets,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Limiter {
    /// Nothing counted yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sign_in: Buckets::default(),
            register: Buckets::default(),
            mail: Buckets::default(),
            guesses: Buckets::default(),
            failures: Buckets::default(),
            last_resort: Buckets::default(),
        }
    }

    /// Counts a sign-in of `client`.
    ///
    /// # Errors
    /// When the client has used up its share.
    pub fn sign_in(&self, client: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        self.sign_in.take(network(client), self.limits.sign_in, MINUTE, now)
    }

    /// Counts a registration of `client`.
    ///
    /// # Errors
    /// When the client has used up its share.
    pub fn register(&self, client: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        self.register.take(network(client), self.limits.register, MINUTE, now)
    }

    /// Counts a mail request of `client`.
    ///
    /// # Errors
    /// When the client has used up its share; the request is then swallowed.
    pub fn mail(&self, client: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        self.mail.take(network(client), self.limits.mail, MINUTE, now)
    }

    /// Whether `client` may present another token.
    ///
    /// # Errors
    /// When the client has guessed too often.
    pub fn may_present_token(&self, client: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        self.guesses.peek(network(client), self.limits.token_guesses, MINUTE, now)
    }

    /// Counts an unknown token presented by `client`.
    pub fn token_was_unknown(&self, client: IpAddr, now: Timestamp) {
        // A client over its share has been refused before; that it is over now is for its next try.
        let _ = self.guesses.take(network(client), self.limits.token_guesses, MINUTE, now);
    }

    /// Whether `client` may try a password for `name`, which many may have failed for.
    ///
    /// Invariant: strangers cannot lock an owner out; each client always has one try a minute.
    ///
    /// # Errors
    /// When this client has had its try of this minute.
    pub fn may_try_name(&self, client: IpAddr, name: &NameKey, now: Timestamp) -> Result<(), RetryAfter> {
        match self.failures.peek(name, self.limits.failed_sign_ins, HOUR, now) {
            Ok(()) => Ok(()),
            Err(_) => self.last_resort.take((network(client), name), Some(1), MINUTE, now),
        }
    }

    /// Counts a failed sign-in for `name`.
    pub fn sign_in_failed(&self, name: &NameKey, now: Timestamp) {
        // As above: the count matters to the next try.
        let _ = self.failures.take(name, self.limits.failed_sign_ins, HOUR, now);
    }
}

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 customer has to himself.
fn network(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64 | 1 << 63,
    }
}

/// Token buckets by GCRA, in two generations of maps so that memory is bounded and idle keys go by themselves.
///
/// Keys are hashed with a random seed: nobody can make them collide, and no address stays in memory.
#[derive(Default)]
struct Buckets {
    hasher: RandomState,
    maps: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<u64, Timestamp>,
    old: HashMap<u64, Timestamp>,
    turned: Option<Timestamp>,
}

const MAX_KEYS: usize = 65_536;

impl Buckets {
    fn take(
        &self,
        key: impl Hash,
        share: Option<u32>,
        period: Duration,
        now: Timestamp,
    ) -> Result<(), RetryAfter> {
        self.visit(key, share, period, now, true)
    }

    fn peek(
        &self,
        key: impl Hash,
        share: Option<u32>,
        period: Duration,
        now: Timestamp,
    ) -> Result<(), RetryAfter> {
        self.visit(key, share, period, now, false)
    }

    fn visit(
        &self,
        key: impl Hash,
        share: Option<u32>,
        period: Duration,
        now: Timestamp,
        take: bool,
    ) -> Result<(), RetryAfter> {
        let Some(share) = share else { return Ok(()) };
        let key = self.hasher.hash_one(key);
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        maps.turn(period, now);
        // The time at which the bucket is full again: never in the past.
        let full_at = maps.young.get(&key).or_else(|| maps.old.get(&key)).copied();
        // No bucket takes longer than a period to fill. One that does by far is of a clock that was set back since.
        let full_at = full_at.filter(|at| at.since(now) <= period * 2).unwrap_or(now).max(now);
        let step = period / share.max(1);
        let after = full_at + step;
        if share == 0 || after > now + period {
            return Err(RetryAfter(after.since(now + period).max(Duration::from_secs(1))));
        }
        if take {
            maps.young.insert(key, after);
        }
        Ok(())
    }
}

impl Generations {
    /// Forgets what has not been used for a period, earlier where there are too many keys.
    fn turn(&mut self, period: Duration, now: Timestamp) {
        let turned = *self.turned.get_or_insert(now);
        if now.since(turned) >= period || self.young.len() >= MAX_KEYS {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_000_000);

    fn limiter() -> Limiter {
        Limiter::new(Limits::default())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_share_is_a_minutes_worth_and_comes_back_bit_by_bit() {
        let limiter = limiter();
        let client = ip("192.0.2.1");
        for _ in 0..20 {
            assert_eq!(limiter.sign_in(client, T0), Ok(()));
        }
        assert_eq!(limiter.sign_in(client, T0), Err(RetryAfter(Duration::from_secs(3))));
        assert_eq!(limiter.sign_in(ip("192.0.2.2"), T0), Ok(()));
        assert_eq!(limiter.sign_in(client, T0 + Duration::from_secs(3)), Ok(()));
        assert!(limiter.sign_in(client, T0 + Duration::from_secs(3)).is_err());
        for _ in 0..20 {
            assert_eq!(limiter.sign_in(client, T0 + Duration::from_secs(200)), Ok(()));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_and_gives_nothing_away() {
        let limiter = limiter();
        let (client, hour) = (ip("192.0.2.1"), Duration::from_secs(3600));
        while limiter.sign_in(client, T0 + hour).is_ok() {}
        let a_bit_before = (T0 + hour).minus(Duration::from_millis(50));
        assert!(limiter.sign_in(client, a_bit_before).is_err());
        assert_eq!(limiter.sign_in(client, T0), Ok(()));
        let taken = (1..100).take_while(|_| limiter.sign_in(client, T0).is_ok()).count();
        assert_eq!(taken, 19);
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_mapped_addresses_are_ipv4() {
        let limiter = limiter();
        for i in 0..10 {
            assert_eq!(limiter.mail(ip(&format!("2001:db8::{i}")), T0), Ok(()));
        }
        assert!(limiter.mail(ip("2001:db8:0:0:ffff::1"), T0).is_err());
        assert_eq!(limiter.mail(ip("2001:db8:0:1::1"), T0), Ok(()));
        for _ in 0..10 {
            assert_eq!(limiter.mail(ip("::ffff:192.0.2.7"), T0), Ok(()));
        }
        assert!(limiter.mail(ip("192.0.2.7"), T0).is_err());
    }

    #[test]
    fn failures_of_strangers_leave_each_client_one_try_a_minute() {
        let limiter = limiter();
        let name = NameKey::from_stored("ann@example.org");
        for _ in 0..100 {
            assert_eq!(limiter.may_try_name(ip("192.0.2.1"), &name, T0), Ok(()));
            limiter.sign_in_failed(&name, T0);
        }
        let owner = ip("198.51.100.9");
        assert_eq!(limiter.may_try_name(owner, &name, T0), Ok(()));
        assert!(limiter.may_try_name(owner, &name, T0).is_err());
        assert_eq!(limiter.may_try_name(owner, &name, T0 + MINUTE), Ok(()));
        assert_eq!(limiter.may_try_name(owner, &NameKey::from_stored("bob@example.org"), T0), Ok(()));
    }

    #[test]
    fn only_unknown_tokens_count_as_guesses() {
        let limiter = limiter();
        let client = ip("192.0.2.1");
        for _ in 0..50 {
            assert_eq!(limiter.may_present_token(client, T0), Ok(()));
        }
        for _ in 0..20 {
            limiter.token_was_unknown(client, T0);
        }
        assert!(limiter.may_present_token(client, T0).is_err());
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let limiter = limiter();
        for i in 0..200_000_u32 {
            let _ = limiter.mail(IpAddr::from(i.to_be_bytes()), T0);
        }
        let maps = limiter.mail.maps.lock().unwrap();
        assert!(maps.young.len() + maps.old.len() <= 2 * MAX_KEYS);
    }

    #[test]
    fn a_limit_that_is_off_never_refuses() {
        let limiter = Limiter::new(Limits { sign_in: None, ..Limits::default() });
        for _ in 0..1000 {
            assert_eq!(limiter.sign_in(ip("192.0.2.1"), T0), Ok(()));
        }
    }
}
