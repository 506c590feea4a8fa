//! A database's clock that is set while letters are under way.

use std::sync::Arc;

use regain_core::letter::ClaimId;
use regain_core::store::ClaimOrder;
use regain_core::testing::contract::fixture::{ANN, Fixture};
use regain_core::{OsRng, Purpose, Store};

use super::*;
use crate::postgres::{PostgresOptions, PostgresStore};
use crate::testing::Cluster;

const MINUTE: i64 = 60_000;

impl DatabaseClock {
    /// Sets this process's copy wrong by so many milliseconds, as the database's clock that is set by as many the other way.
    fn slip(&self, by: i64) {
        self.at_start.fetch_add(by, Ordering::SeqCst);
    }

    /// Lets time pass, as far as claims of others are left alone.
    fn pass(&self, time: Duration) {
        self.holds_off.fetch_sub(millis(time), Ordering::SeqCst);
    }
}

/// A process, which asks for the time when it is told to.
struct Process(Arc<PostgresStore>);

impl Process {
    async fn start(url: &str) -> Self {
        let store = PostgresStore::open(&url.parse().unwrap(), PostgresOptions::default()).await.unwrap();
        store.listener.stop();
        Self(Arc::new(store))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn asks_for_the_time(&self) {
        let asked = Instant::now();
        let ask = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let theirs = self.0.connections.get().await.unwrap().query_one(ask, &[]).await.unwrap().get(0);
        self.0.clock.anchor(theirs, asked);
    }

    /// Claims what there is. Answers the claim and how many letters it has.
    async fn claims(&self) -> (ClaimId, usize) {
        let claim = ClaimId::random(&OsRng).unwrap();
        let lease = self.now() + LEASE;
        let order = ClaimOrder { claim, limit: 10, newest: 0, lease, budget: None };
        (claim, self.0.claim(order, self.now()).await.unwrap().letters.len())
    }

    async fn renews(&self, claim: ClaimId) {
        assert_eq!(self.0.renew(claim, self.now() + LEASE).await.unwrap(), 1);
    }

    /// As if it had renewed last a lease and a second ago.
    async fn lets_run_out(&self, claim: ClaimId) {
        assert_eq!(self.0.renew(claim, self.now().minus(Duration::from_secs(1))).await.unwrap(), 1);
    }
}

/// Two processes after the database's clock was set, which neither has seen yet; the first holds a letter's claim.
async fn set_by(minutes: i64) -> ([Process; 2], ClaimId) {
    let url = Cluster::shared().fresh_database().await;
    let both = [Process::start(&url).await, Process::start(&url).await];
    both.iter().for_each(|process| process.0.clock.slip(-minutes * MINUTE));
    let [one, _] = &both;
    let f = Fixture::new(one.0.clone());
    f.clock.set(one.now());
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let (claim, letters) = one.claims().await;
    assert_eq!(letters, 1);
    (both, claim)
}

const STEPS: [i64; 4] = [7, -7, 15, -15];

async fn takes_nothing(process: &Process, when: &str) {
    assert_eq!(process.claims().await.1, 0, "{when}");
}

#[tokio::test]
async fn whoever_sees_a_step_first_leaves_the_others_their_letters() {
    for minutes in STEPS {
        let ([holder, other], claim) = set_by(minutes).await;
        takes_nothing(&other, &format!("{minutes}, which nobody has seen")).await;
        other.asks_for_the_time().await;
        takes_nothing(&other, &format!("{minutes}, with leases of the old time")).await;
        other.0.clock.pass(LEASE - RENEW_EVERY);
        takes_nothing(&other, &format!("{minutes}, just before they are of the new time")).await;
        holder.asks_for_the_time().await;
        holder.renews(claim).await;
        for process in [&holder, &other] {
            process.0.clock.pass(LEASE);
            takes_nothing(process, &format!("{minutes}, with leases of the new time")).await;
        }
        holder.lets_run_out(claim).await;
        assert_eq!(other.claims().await.1, 1, "{minutes}: what was left is taken");
    }
}

#[tokio::test]
async fn whoever_sees_a_step_last_leaves_the_others_their_letters() {
    for minutes in STEPS {
        let ([holder, other], claim) = set_by(minutes).await;
        holder.asks_for_the_time().await;
        holder.renews(claim).await;
        takes_nothing(&other, &format!("{minutes}")).await;
    }
}

#[tokio::test]
async fn who_has_just_come_takes_over_nothing_and_looks_again_when_it_may() {
    let (both, claim) = set_by(0).await;
    let other = &both[1];
    both[0].lets_run_out(claim).await;
    other.0.leave_claims_for_a_lease();
    takes_nothing(other, "its lease is over, as it seems").await;
    let wait = other.0.next_due().await.unwrap().unwrap().since(other.now());
    assert!(LEASE - Duration::from_secs(10) < wait && wait <= LEASE, "{wait:?}");
    other.0.clock.pass(LEASE);
    assert!(other.0.next_due().await.unwrap().unwrap() <= other.now());
    assert_eq!(other.claims().await.1, 1);
}

#[test]
fn a_slow_answer_is_no_step() {
    let now = Instant::now();
    let clock = DatabaseClock {
        start: now.checked_sub(Duration::from_secs(60)).unwrap(),
        at_start: AtomicI64::new(0),
        holds_off: AtomicI64::new(0),
    };
    let theirs = 1_795_000_000_000;
    for (said, took) in [(theirs, Duration::ZERO), (theirs, PATIENCE), (theirs, Duration::ZERO)] {
        clock.anchor(said, now.checked_sub(took).unwrap());
        assert_eq!(clock.held_off_until(), None);
    }
    clock.anchor(theirs + JUMP + 1000, now);
    assert!(clock.held_off_until().is_some());
}
