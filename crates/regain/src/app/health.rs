//! What `GET /health` says of a whole process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use regain_core::outbox::courier::Courier;
use regain_core::outbox::relays::{RelayState, RelayStatus};
use regain_core::{Store, Timestamp};
use regain_store::SqliteStore;
use tokio_util::sync::CancellationToken;

use crate::courier::{CourierState, CourierStatus};
use crate::http::{CourierMetrics, Health, HealthStatus};

const STORE_FAILS: &str = "the database takes no writes";
const PAUSED: &str =
    "a relay is paused until its configuration is mended: it refuses the login, the sender or all recipients";
const NONE_TAKES: &str = "the relay takes no mail";
const ONE_OF_SEVERAL: &str = "a relay takes no mail; another one does";
const LATE: &str = "letters that could go have waited for more than five minutes";

/// A letter that could have gone so long ago is late.
const LATE_AFTER: Duration = Duration::from_secs(300);
/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Ready once the courier runs, or it is known that there is none.
pub(super) struct AppHealth {
    store: Arc<SqliteStore>,
    courier: OnceLock<Option<(Arc<CourierStatus>, Arc<Courier>)>>,
    is_late: AtomicBool,
    stopping: AtomicBool,
}

impl AppHealth {
    pub(super) fn of(store: Arc<SqliteStore>) -> Self {
        Self {
            store,
            courier: OnceLock::new(),
            is_late: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn courier_runs(&self, status: Arc<CourierStatus>, courier: Arc<Courier>) {
        // A second courier over the same service would be reported by the first; there is no such caller.
        let _ = self.courier.set(Some((status, courier)));
    }

    pub(super) fn runs_without_courier(&self) {
        let _ = self.courier.set(None);
    }

    pub(super) fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Looks every now and then whether letters are late, until `stop` is cancelled: whoever asks for the health is answered
    /// from memory.
    pub(super) async fn watch(&self, now: impl Fn() -> Timestamp, stop: &CancellationToken) {
        let look = async {
            loop {
                // Where the database cannot be read, that is what is told.
                if let Ok(due) = self.store.next_due().await {
                    self.is_late.store(is_late(due, now()), Ordering::Relaxed);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            () = look => {}
            () = stop.cancelled() => {}
        }
    }
}

/// A letter that is put off is not late, however old it is: its recipient's server, or the mail budget, wants it so.
fn is_late(first_due: Option<Timestamp>, now: Timestamp) -> bool {
    first_due.is_some_and(|due| now.since(due) > LATE_AFTER)
}

/// What needs the operator, what explains the most first.
fn reason(store_fails: bool, relays: &[RelayStatus], is_late: bool) -> Option<&'static str> {
    let any = |state| relays.iter().any(|relay| relay.state == state);
    if store_fails {
        Some(STORE_FAILS)
    } else if any(RelayState::Paused) {
        Some(PAUSED)
    } else if any(RelayState::Resting) {
        let works = any(RelayState::Open) || any(RelayState::Recovering);
        Some(if works { ONE_OF_SEVERAL } else { NONE_TAKES })
    } else {
        is_late.then_some(LATE)
    }
}

impl Health for AppHealth {
    fn status(&self) -> HealthStatus {
        if self.stopping.load(Ordering::Relaxed) {
            return HealthStatus::Stopping;
        }
        let Some(courier) = self.courier.get() else { return HealthStatus::Starting };
        let mut store_fails = self.store.is_failing();
        let mut relays = Vec::new();
        if let Some((status, courier)) = courier {
            match status.state() {
                CourierState::Dead => return HealthStatus::CourierDead,
                CourierState::Stopped => return HealthStatus::Stopping,
                CourierState::StoreFails => store_fails = true,
                CourierState::Working => relays = courier.relays(),
            }
        }
        let is_late = self.is_late.load(Ordering::Relaxed);
        reason(store_fails, &relays, is_late).map_or(HealthStatus::Ok, HealthStatus::Degraded)
    }

    fn courier(&self) -> Option<CourierMetrics> {
        let (_, courier) = self.courier.get()?.as_ref()?;
        Some(CourierMetrics { counts: courier.counts(), relays: courier.relays() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(state: RelayState) -> RelayStatus {
        RelayStatus { state, fault: None, under_way: 0, accepted: 0, faults: 0 }
    }

    #[test]
    fn what_explains_the_most_is_told() {
        use RelayState::{Open, Paused, Recovering, Resting};
        let of = |states: &[RelayState], is_late| {
            reason(false, &states.iter().map(|state| relay(*state)).collect::<Vec<_>>(), is_late)
        };
        assert_eq!(of(&[Open], false), None);
        assert_eq!(of(&[Recovering, Open], false), None);
        assert_eq!(of(&[Open], true), Some(LATE));
        assert_eq!(of(&[], true), Some(LATE));
        assert_eq!(of(&[Resting], true), Some(NONE_TAKES));
        assert_eq!(of(&[Resting, Resting], false), Some(NONE_TAKES));
        assert_eq!(of(&[Resting, Open], false), Some(ONE_OF_SEVERAL));
        assert_eq!(of(&[Open, Paused], true), Some(PAUSED));
        assert_eq!(of(&[Resting, Paused], true), Some(PAUSED));
        assert_eq!(reason(true, &[relay(Paused)], true), Some(STORE_FAILS));
    }

    #[test]
    fn only_a_letter_that_could_go_is_late() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        assert!(!is_late(None, now));
        assert!(!is_late(Some(now + LATE_AFTER), now));
        assert!(!is_late(Some(now.minus(LATE_AFTER)), now));
        assert!(is_late(Some(now.minus(LATE_AFTER + Duration::from_millis(1))), now));
    }
}
