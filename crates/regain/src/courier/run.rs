//! The courier's loop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use regain_core::flows::Trouble;
use regain_core::letter::{ClaimId, ClaimedLetter};
use regain_core::outbox::courier::{Claimed, Courier, LEASE, RENEW_EVERY};
use regain_core::store::Settlement;
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

/// Deliveries that are going on.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<ClaimId>,
    by_claim: HashMap<ClaimId, usize>,
}

impl Run {
    pub(super) async fn run(self) {
        let wake = self.courier.wake();
        let mut in_flight = InFlight::default();
        let mut renew = ticks(RENEW_EVERY);
        let mut watch = ticks(WATCH_EVERY);
        let mut look_at = Instant::now();
        while !self.stop.is_cancelled() {
            if Instant::now() >= look_at && in_flight.tasks.len() < self.settings.concurrency {
                look_at = Instant::now() + self.claim(&mut in_flight).await;
                continue;
            }
            let has_room = in_flight.tasks.len() < self.settings.concurrency;
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = wake.notified() => look_at = Instant::now(),
                () = sleep_until(look_at), if has_room => {}
                Some(done) = in_flight.tasks.join_next() => {
                    in_flight.finished(done);
                    look_at = Instant::now();
                }
                _ = renew.tick() => self.renew(&in_flight).await,
                _ = watch.tick() => if self.watch.changed_elsewhere().await { look_at = Instant::now() },
            }
        }
        self.finish(in_flight).await;
    }

    /// Claims what there is room for and starts delivering it. Answers when to look again.
    async fn claim(&self, in_flight: &mut InFlight) -> Duration {
        let room = self.settings.concurrency - in_flight.tasks.len();
        let claimed = match self.courier.claim(room, in_flight.tasks.len()).await {
            Ok(claimed) => claimed,
            Err(trouble) => return self.pause(&trouble),
        };
        self.status.step_succeeded();
        match claimed {
            Claimed::Letters(claim, letters) => {
                let full = letters.len() >= room;
                for letter in letters {
                    in_flight.start(self.clone(), claim, letter);
                }
                if full { LOOK_EVERY } else { self.until_next_due().await }
            }
            Claimed::Nothing => self.until_next_due().await,
            Claimed::Resting(until) => until.map_or(LOOK_EVERY, |until| self.courier.until(until)),
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
                    Some(done) = in_flight.tasks.join_next() => in_flight.finished(done),
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

    /// Attempts a letter and writes down what came of it, trying again as long as the lease may hold.
    async fn deliver(self, claimed: ClaimedLetter) {
        let settlement = match self.courier.attempt(&claimed).await {
            Ok(Some(settlement)) => settlement,
            Ok(None) => return,
            Err(trouble) => {
                tracing::warn!(letter.id = %claimed.letter.id, %trouble, "a letter could not be attempted");
                sleep(PAUSE).await;
                return;
            }
        };
        if timeout(LEASE, self.settle(&settlement)).await.is_err() {
            tracing::error!(letter.id = %settlement.letter, "what came of a letter could not be written down; it may go out again");
        }
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
    fn start(&mut self, run: Run, claim: ClaimId, letter: ClaimedLetter) {
        *self.by_claim.entry(claim).or_default() += 1;
        self.tasks.spawn(async move {
            // A task of its own, so that its panic is an outcome here and the count stays right.
            let id = letter.letter.id;
            if tokio::spawn(run.deliver(letter)).await.is_err() {
                tracing::error!(letter.id = %id, "delivering a letter panicked; its lease runs out");
            }
            claim
        });
    }

    fn finished(&mut self, done: Result<ClaimId, tokio::task::JoinError>) {
        let Ok(claim) = done else { return };
        if let Some(left) = self.by_claim.get_mut(&claim) {
            *left -= 1;
            if *left == 0 {
                self.by_claim.remove(&claim);
            }
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
