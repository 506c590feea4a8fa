//! The loop, on a store in memory and real time. Nothing here waits for time to pass but where time is the point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use regain_core::mailer::LaterKind;
use regain_core::outbox::courier::Courier;
use regain_core::outbox::relays::Relay;
use regain_core::rng::NoRandomness;
use regain_core::store::LetterFilter;
use regain_core::testing::MemoryStore;
use regain_core::testing::desk::Desk;
use regain_core::{
    Clock, DeliveryError, LetterState, Mailer, OsRng, Parcel, Receipt, Rng, Service, Timestamp,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{CourierSettings, CourierState, RunningCourier, Watch};

struct Quiet;

#[async_trait]
impl Watch for Quiet {
    async fn changed_elsewhere(&self) {
        std::future::pending().await
    }
}

/// Delivers when it gets a permit; tells when a delivery begins and how many go on at once.
struct Gate {
    permits: Semaphore,
    begun: Notify,
    now: AtomicU32,
    most: AtomicU32,
    done: AtomicU32,
}

impl Gate {
    fn with(permits: usize) -> Arc<Self> {
        let zero = AtomicU32::default;
        Arc::new(Self {
            permits: Semaphore::new(permits),
            begun: Notify::new(),
            now: zero(),
            most: zero(),
            done: zero(),
        })
    }
}

#[async_trait]
impl Mailer for Gate {
    async fn deliver(&self, _: Parcel) -> Result<Receipt, DeliveryError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.begun.notify_one();
        self.permits.acquire().await.unwrap().forget();
        self.now.fetch_sub(1, Ordering::SeqCst);
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(Receipt { reply: "250 taken".to_owned() })
    }
}

struct Running {
    desk: Desk,
    courier: RunningCourier,
    stop: CancellationToken,
}

fn start(mailer: Arc<dyn Mailer>, grace: Duration) -> Running {
    let desk = Desk::over(Arc::new(MemoryStore::default()));
    run(desk, mailer, grace)
}

fn run(desk: Desk, mailer: Arc<dyn Mailer>, grace: Duration) -> Running {
    let stop = CancellationToken::new();
    let courier = Arc::new(Courier::new(desk.service.clone(), vec![Relay::new(mailer, 3)]));
    let settings = CourierSettings { grace };
    let courier = RunningCourier::start(courier, Arc::new(Quiet), settings, stop.clone());
    Running { desk, courier, stop }
}

async fn count(desk: &Desk, state: LetterState) -> usize {
    let filter = LetterFilter { state: Some(state), limit: 1000, ..LetterFilter::default() };
    desk.service.store.letters(filter).await.unwrap().len()
}

/// Waits for the thing itself; fails where it does not come at all.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "{what}");
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_goes_out_as_soon_as_it_is_posted() {
    let gate = Gate::with(100);
    let running = start(gate.clone(), LONG);
    let begin = std::time::Instant::now();
    running.desk.register("ann@example.org", "a password").await.unwrap();
    until("the letter is sent", async || count(&running.desk, LetterState::Sent).await == 1).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "woken, not polled: {:?}", begin.elapsed());
    running.stop.cancel();
    let status = running.courier.status();
    running.courier.stopped().await;
    assert_eq!(status.state(), CourierState::Stopped);
}

/// Fails once, as it is told to, and takes everything afterwards. It takes its time, so that the loop has looked again
/// meanwhile and found nothing to do.
struct FailsOnce {
    error: std::sync::Mutex<Option<DeliveryError>>,
}

#[async_trait]
impl Mailer for FailsOnce {
    async fn deliver(&self, _: Parcel) -> Result<Receipt, DeliveryError> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let error = self.error.lock().unwrap().take();
        error.map_or_else(|| Ok(Receipt { reply: "250 taken".to_owned() }), Err)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_comes_back_is_tried_when_it_is_due_and_not_when_its_lease_would_have_ended() {
    let relay = DeliveryError::Relay { reason: "no greeting".to_owned(), permanent: false };
    let later = DeliveryError::Later {
        reason: "not now".to_owned(),
        reply: Some("432 not now".to_owned()),
        kind: LaterKind::Other,
    };
    for error in [relay, later] {
        let mailer = Arc::new(FailsOnce { error: std::sync::Mutex::new(Some(error)) });
        let running = start(mailer.clone(), LONG);
        let begin = std::time::Instant::now();
        running.desk.register("ann@example.org", "a password").await.unwrap();
        let failed = async || mailer.error.lock().unwrap().is_none();
        until("it has failed", failed).await;
        let waits = async || count(&running.desk, LetterState::Waiting).await == 1;
        until("the letter waits again", waits).await;
        // Beyond the relay's rest and the letter's, short of the lease.
        running.desk.clock.advance(Duration::from_secs(10));
        until("the letter is sent", async || count(&running.desk, LetterState::Sent).await == 1).await;
        assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
        running.stop.cancel();
        running.courier.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_go_on_side_by_side_up_to_the_bound() {
    let gate = Gate::with(0);
    let running = start(gate.clone(), LONG);
    for i in 0..9 {
        running.desk.register(&format!("a{i}@example.org"), "a password").await.unwrap();
    }
    until("three are under way", async || gate.now.load(Ordering::SeqCst) == 3).await;
    gate.permits.add_permits(9);
    until("all are sent", async || count(&running.desk, LetterState::Sent).await == 9).await;
    assert_eq!(gate.most.load(Ordering::SeqCst), 3);
    running.stop.cancel();
    running.courier.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_under_way_and_starts_nothing_more() {
    let gate = Gate::with(0);
    let running = start(gate.clone(), LONG);
    for i in 0..5 {
        running.desk.register(&format!("a{i}@example.org"), "a password").await.unwrap();
    }
    until("three are under way", async || gate.now.load(Ordering::SeqCst) == 3).await;
    running.stop.cancel();
    gate.permits.add_permits(100);
    running.courier.stopped().await;
    assert_eq!(count(&running.desk, LetterState::Sent).await, 3);
    assert_eq!(count(&running.desk, LetterState::Waiting).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_longer_than_its_grace() {
    let gate = Gate::with(0);
    let running = start(gate.clone(), Duration::from_millis(50));
    running.desk.register("ann@example.org", "a password").await.unwrap();
    gate.begun.notified().await;
    running.stop.cancel();
    tokio::time::timeout(LONG, running.courier.stopped()).await.expect("it stops");
    assert_eq!(count(&running.desk, LetterState::Claimed).await, 1, "left to its lease");
}

/// Panics while told to.
struct Treacherous {
    clock: Arc<dyn Clock>,
    panics: AtomicBool,
}

impl Clock for Treacherous {
    fn now(&self) -> Timestamp {
        assert!(!self.panics.load(Ordering::SeqCst), "told to");
        self.clock.now()
    }
}

/// The same desk with another clock and, if one is given, other randomness.
fn with(desk: Desk, clock: Arc<dyn Clock>, rng: Option<Arc<dyn Rng>>) -> Desk {
    let fine = desk.service;
    let service = Arc::new(Service {
        store: fine.store.clone(),
        clock,
        rng: rng.unwrap_or_else(|| fine.rng.clone()),
        hashing: regain_core::HashPool::start(regain_core::HashCost::CHEAP, fine.rng.clone()).unwrap(),
        policy: fine.policy.clone(),
        limiter: regain_core::limits::Limiter::new(fine.policy.limits),
        signing_keys: regain_core::SigningKeys::new(fine.signing_keys.current().clone(), []),
        token_keys: fine.token_keys.clone(),
        wake: Arc::default(),
    });
    Desk { service, ..desk }
}

/// Has nothing to give the second time that it is asked.
#[derive(Default)]
struct FailsSecond(AtomicU32);

impl Rng for FailsSecond {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 1 { Err(NoRandomness) } else { OsRng.fill(buffer) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_could_not_be_prepared_leave_their_places_to_others_at_once() {
    let desk = Desk::over(Arc::new(MemoryStore::default()));
    for i in 0..6 {
        desk.register(&format!("a{i}@example.org"), "a password").await.unwrap();
    }
    // The first claim takes all three places at the relay, and its letters cannot be armed.
    let clock = desk.clock.clone();
    let running = run(with(desk, clock, Some(Arc::new(FailsSecond::default()))), Gate::with(100), LONG);
    until("the others are sent", async || count(&running.desk, LetterState::Sent).await == 3).await;
    assert_eq!(count(&running.desk, LetterState::Claimed).await, 3, "these wait for their lease");
    running.stop.cancel();
    running.courier.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_restarts_the_courier_and_a_lasting_one_shows() {
    let desk = Desk::over(Arc::new(MemoryStore::default()));
    let clock = Arc::new(Treacherous { clock: desk.clock.clone(), panics: AtomicBool::new(true) });
    let desk = with(desk, clock.clone(), None);
    let running = run(desk, Gate::with(100), LONG);
    let status = running.courier.status();
    until("it counts as dead", async || status.state() == CourierState::Dead).await;
    clock.panics.store(false, Ordering::SeqCst);
    until("it works again", async || status.state() == CourierState::Working).await;
    running.desk.register("ann@example.org", "a password").await.unwrap();
    until("the letter is sent", async || count(&running.desk, LetterState::Sent).await == 1).await;
    running.stop.cancel();
    running.courier.stopped().await;
}
