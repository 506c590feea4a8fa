//! The courier's loop.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use regain_core::StoreError;
use regain_core::flows::Trouble;
use regain_core::letter::ClaimId;
use regain_core::outbox::courier::{Assigned, Claimed, Courier, LEASE, Prepared, RENEW_EVERY, Ready};
use regain_core::store::{Outcome, Settlement};
use tokio::sync::Notify;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{CourierSettings, CourierStatus, Watch};

/// The outbox is looked at this often whatever nobody said.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// With so many outcomes none waits any more for others that are being written down.
const TOGETHER: usize = 64;
/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Run {
    pub(super) courier: Arc<Courier>,
    pub(super) watch: Arc<dyn Watch>,
    pub(super) settings: CourierSettings,
    pub(super) status: Arc<CourierStatus>,
    pub(super) stop: CancellationToken,
    pub(super) signals: Arc<Signals>,
}

/// What batches tell the loop.
#[derive(Default)]
pub(super) struct Signals {
    /// A delivery ended, so a relay takes another letter.
    room: Notify,
    /// A letter was put off or given back: it may be due before anything that was seen.
    comes_again: Notify,
}

/// When to claim next.
struct Look {
    at: Instant,
    /// Somebody may wait for a letter that was just posted: one free place is worth a claim.
    eager: bool,
    /// The end of a delivery makes room.
    when_one_ends: bool,
}

impl Look {
    fn now() -> Self {
        Self { at: Instant::now(), eager: true, when_one_ends: false }
    }

    fn after(wait: Duration) -> Self {
        Self { at: Instant::now() + wait, ..Self::now() }
    }
}

/// Batches of letters that are on their way, each a task.
#[derive(Default)]
struct Batches {
    tasks: JoinSet<()>,
    claims: HashMap<task::Id, ClaimId>,
}

impl Run {
    pub(super) async fn run(self) {
        let wake = self.courier.wake();
        let mut batches = Batches::default();
        let mut renew = ticks(RENEW_EVERY);
        let mut look = Look::now();
        while !self.stop.is_cancelled() {
            regain_core::fail_point!("courier.loop");
            if Instant::now() >= look.at {
                look = self.claim(&mut batches, look.eager).await;
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = wake.notified() => look = Look::now(),
                () = sleep_until(look.at) => look.eager = true,
                () = self.signals.room.notified(), if look.when_one_ends => look.at = Instant::now(),
                () = self.signals.comes_again.notified() => look.at = Instant::now(),
                Some(done) = batches.tasks.join_next_with_id() => {
                    batches.ended(done);
                    // Letters that never came to a delivery have left their places, too.
                    if look.when_one_ends {
                        look.at = Instant::now();
                    }
                }
                _ = renew.tick() => self.renew(&batches).await,
                () = self.watch.changed_elsewhere() => look = Look::now(),
            }
        }
        self.finish(batches).await;
    }

    /// Claims what the relays take and starts delivering it. Answers when to look again.
    async fn claim(&self, batches: &mut Batches, eager: bool) -> Look {
        let claimed = match self.courier.claim(usize::MAX, eager).await {
            Ok(claimed) => claimed,
            Err(trouble) => return Look::after(self.pause(&trouble)),
        };
        self.status.step_succeeded();
        match claimed {
            Claimed::Letters(claim, letters) => {
                batches.start(claim, self.clone().batch(letters));
                // There may be more: the relays say whether they take more.
                Look { eager: false, ..Look::now() }
            }
            Claimed::Full(until) => {
                let wait = until.map_or(LOOK_EVERY, |until| self.courier.until(until).min(LOOK_EVERY));
                Look { when_one_ends: true, ..Look::after(wait) }
            }
            Claimed::Passed => Look { eager: false, ..Look::now() },
            Claimed::Nothing => Look::after(self.until_next_due().await),
            Claimed::Resting(until) => Look::after(self.courier.until(until)),
        }
    }

    async fn until_next_due(&self) -> Duration {
        match self.courier.next_due().await {
            // A letter that is due but was not claimed is held under a lease: no reason to spin.
            Ok(Some(wait)) => wait.clamp(Duration::from_millis(50), LOOK_EVERY),
            Ok(None) => LOOK_EVERY,
            Err(trouble) => self.pause(&Trouble::from(trouble)),
        }
    }

    fn pause(&self, trouble: &Trouble) -> Duration {
        self.status.store_failed();
        tracing::warn!(event = "courier_waits", %trouble, "the outbox cannot be read; letters wait");
        PAUSE
    }

    async fn renew(&self, batches: &Batches) {
        for claim in batches.claims.values() {
            if let Err(error) = self.courier.renew(*claim).await {
                tracing::warn!(%error, "a lease could not be renewed");
            }
        }
    }

    /// Lets what is under way come to its end, within the grace time. What does not is left to its lease.
    async fn finish(&self, mut batches: Batches) {
        let mut renew = ticks(RENEW_EVERY);
        let wait = async {
            while !batches.tasks.is_empty() {
                tokio::select! {
                    Some(done) = batches.tasks.join_next_with_id() => batches.ended(done),
                    _ = renew.tick() => self.renew(&batches).await,
                }
            }
        };
        if timeout(self.settings.grace, wait).await.is_err() {
            tracing::warn!(
                "deliveries were cut off at the end of the grace time; their letters go out later"
            );
        }
    }

    /// Arms the letters of one claim, delivers them side by side, and writes down together what comes of them.
    async fn batch(self, letters: Vec<Assigned>) {
        if self.stop.is_cancelled() {
            // Not begun yet: whoever runs next has them at once.
            if let Err(error) = self.courier.release(letters).await {
                tracing::warn!(%error, "letters could not be given back; their leases run out");
            }
            return;
        }
        let given_back = letters.iter().map(Assigned::given_back).collect();
        let Prepared { ready, settlements } = match self.courier.prepare(letters).await {
            Ok(prepared) => prepared,
            // A lease that runs out counts as a crash of its letter, and enough of them are its end. This is none.
            Err(trouble @ Trouble::Store(StoreError::Unavailable(_))) => {
                tracing::warn!(%trouble, "letters could not be attempted; they are given back");
                sleep(PAUSE).await;
                return self.settle(given_back).await;
            }
            Err(trouble) => {
                tracing::warn!(%trouble, "letters could not be attempted; their leases run out");
                return sleep(PAUSE).await;
            }
        };
        let mut deliveries: FuturesUnordered<_> =
            ready.into_iter().map(|letter| self.deliver(letter)).collect();
        let mut settling = FuturesUnordered::new();
        let mut ended = settlements;
        loop {
            // What ends while others are being written down would have to wait for their commit: it goes together then.
            if !ended.is_empty() && (settling.is_empty() || ended.len() >= TOGETHER) {
                settling.push(self.settle(std::mem::take(&mut ended)));
            }
            tokio::select! {
                Some(one) = deliveries.next() => {
                    self.signals.room.notify_one();
                    ended.push(one);
                }
                Some(()) = settling.next() => {}
                else => break,
            }
        }
    }

    /// Attempts a letter.
    async fn deliver(&self, letter: Ready) -> Settlement {
        let (id, claim) = (letter.claimed.letter.id, letter.claimed.claim);
        // Its panic must not take the letters beside it along.
        match AssertUnwindSafe(self.courier.attempt(letter)).catch_unwind().await {
            Ok(Ok(settlement)) => settlement,
            Ok(Err(trouble)) => {
                tracing::warn!(letter.id = %id, %trouble, "a letter could not be attempted to its end");
                self.courier.failed_internally(id, claim)
            }
            Err(_) => {
                tracing::error!(letter.id = %id, "delivering a letter panicked");
                self.courier.failed_internally(id, claim)
            }
        }
    }

    /// Writes down what came of letters, trying again as long as their lease may hold.
    async fn settle(&self, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let settle = async {
            loop {
                match self.courier.settle(&settlements).await {
                    Ok(ours) => return ours,
                    Err(error) => {
                        tracing::warn!(count = settlements.len(), %error, "what came of letters is not written down yet");
                        sleep(PAUSE).await;
                    }
                }
            }
        };
        match timeout(LEASE, settle).await {
            Ok(ours) => {
                for (settlement, _) in settlements.iter().zip(&ours).filter(|(_, is_ours)| !**is_ours) {
                    tracing::warn!(letter.id = %settlement.letter, "another has taken this letter over meanwhile");
                }
            }
            Err(_) => {
                for settlement in &settlements {
                    tracing::error!(letter.id = %settlement.letter, "what came of a letter could not be written down; it may go out again");
                }
            }
        }
        let comes_again = |one: &Settlement| {
            matches!(one.outcome, Outcome::Later { .. } | Outcome::Held { .. } | Outcome::Released { .. })
        };
        if settlements.iter().any(comes_again) {
            self.signals.comes_again.notify_one();
        }
    }
}

impl Batches {
    fn start(&mut self, claim: ClaimId, batch: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(batch).id();
        self.claims.insert(id, claim);
    }

    fn ended(&mut self, done: Result<(task::Id, ()), task::JoinError>) {
        let id = match done {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!("delivering letters panicked; their leases run out");
                error.id()
            }
        };
        self.claims.remove(&id);
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
