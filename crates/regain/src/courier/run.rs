//! The courier's loop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use regain_core::flows::Trouble;
use regain_core::letter::ClaimId;
use regain_core::outbox::courier::{Assigned, Claimed, Courier, LEASE, RENEW_EVERY};
use regain_core::store::{Outcome, Settlement};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{CourierSettings, CourierStatus, Watch};

/// Another process's changes are noticed within this time.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// The outbox is looked at this often whatever nobody said.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Run {
    pub(super) courier: Arc<Courier>,
    pub(super) watch: Arc<dyn Watch>,
    pub(super) settings: CourierSettings,
    pub(super) status: Arc<CourierStatus>,
    pub(super) stop: CancellationToken,
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

/// A delivery that came to its end.
struct Ended {
    claim: ClaimId,
    comes_again: bool,
}

/// Deliveries that are going on.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<Ended>,
    by_claim: HashMap<ClaimId, usize>,
}

impl Run {
    pub(super) async fn run(self) {
        let wake = self.courier.wake();
        let mut in_flight = InFlight::default();
        let mut renew = ticks(RENEW_EVERY);
        let mut watch = ticks(WATCH_EVERY);
        let mut look = Look::now();
        while !self.stop.is_cancelled() {
            regain_core::fail_point!("courier.loop");
            if Instant::now() >= look.at {
                look = self.claim(&mut in_flight, look.eager).await;
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = wake.notified() => look = Look::now(),
                () = sleep_until(look.at) => look.eager = true,
                Some(done) = in_flight.tasks.join_next() => {
                    let comes_again = in_flight.finished(done);
                    if comes_again || look.when_one_ends {
                        look.at = Instant::now();
                    }
                }
                _ = renew.tick() => self.renew(&in_flight).await,
                _ = watch.tick() => if self.watch.changed_elsewhere().await { look = Look::now() },
            }
        }
        self.finish(in_flight).await;
    }

    /// Claims what the relays take and starts delivering it. Answers when to look again.
    async fn claim(&self, in_flight: &mut InFlight, eager: bool) -> Look {
        let claimed = match self.courier.claim(usize::MAX, eager).await {
            Ok(claimed) => claimed,
            Err(trouble) => return Look::after(self.pause(&trouble)),
        };
        self.status.step_succeeded();
        match claimed {
            Claimed::Letters(claim, letters) => {
                for letter in letters {
                    in_flight.start(self.clone(), claim, letter);
                }
                // There may be more: the relays say whether they take more.
                Look { eager: false, ..Look::now() }
            }
            Claimed::Full => Look { when_one_ends: true, ..Look::after(LOOK_EVERY) },
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

    async fn renew(&self, in_flight: &InFlight) {
        for claim in in_flight.by_claim.keys() {
            if let Err(error) = self.courier.renew(*claim).await {
                tracing::warn!(%error, "a lease could not be renewed");
            }
        }
    }

    /// Lets what is under way come to its end, within the grace time. What does not is left to its lease.
    async fn finish(&self, mut in_flight: InFlight) {
        let mut renew = ticks(RENEW_EVERY);
        let wait = async {
            while !in_flight.tasks.is_empty() {
                tokio::select! {
                    Some(done) = in_flight.tasks.join_next() => drop(in_flight.finished(done)),
                    _ = renew.tick() => self.renew(&in_flight).await,
                }
            }
        };
        if timeout(self.settings.grace, wait).await.is_err() {
            tracing::warn!(
                "deliveries were cut off at the end of the grace time; their letters go out later"
            );
        }
    }

    /// Attempts a letter and writes down what came of it, trying again as long as the lease may hold. Answers whether the
    /// letter comes again, sooner than its lease would have run out.
    async fn deliver(self, letter: Assigned) -> bool {
        let id = letter.claimed.letter.id;
        if self.stop.is_cancelled() {
            // Not begun yet: whoever runs next has it at once.
            if let Err(error) = self.courier.release(letter).await {
                tracing::warn!(letter.id = %id, %error, "a letter could not be given back; its lease runs out");
            }
            return false;
        }
        let settlement = match self.courier.attempt(letter).await {
            Ok(Some(settlement)) => settlement,
            Ok(None) => return false,
            Err(trouble) => {
                tracing::warn!(letter.id = %id, %trouble, "a letter could not be attempted");
                sleep(PAUSE).await;
                return false;
            }
        };
        if timeout(LEASE, self.settle(&settlement)).await.is_err() {
            tracing::error!(letter.id = %settlement.letter, "what came of a letter could not be written down; it may go out again");
        }
        matches!(settlement.outcome, Outcome::Later { .. } | Outcome::Released { .. })
    }

    async fn settle(&self, settlement: &Settlement) {
        loop {
            match self.courier.settle(settlement).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(letter.id = %settlement.letter, "another has taken this letter over meanwhile");
                    return;
                }
                Err(error) => {
                    tracing::warn!(letter.id = %settlement.letter, %error, "what came of a letter is not written down yet");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

impl InFlight {
    fn start(&mut self, run: Run, claim: ClaimId, letter: Assigned) {
        *self.by_claim.entry(claim).or_default() += 1;
        self.tasks.spawn(async move {
            // A task of its own, so that its panic is an outcome here and the count stays right.
            let id = letter.claimed.letter.id;
            let comes_again = tokio::spawn(run.deliver(letter)).await.unwrap_or_else(|_| {
                tracing::error!(letter.id = %id, "delivering a letter panicked; its lease runs out");
                false
            });
            Ended { claim, comes_again }
        });
    }

    /// Answers whether its letter comes again.
    fn finished(&mut self, done: Result<Ended, tokio::task::JoinError>) -> bool {
        let Ok(Ended { claim, comes_again }) = done else { return false };
        if let Some(left) = self.by_claim.get_mut(&claim) {
            *left -= 1;
            if *left == 0 {
                self.by_claim.remove(&claim);
            }
        }
        comes_again
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
