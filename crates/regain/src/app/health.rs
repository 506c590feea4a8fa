//! What `GET /health` says of a whole process.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use regain_core::Timestamp;
use regain_core::keys::{KeyIntent, KeyOffer};
use regain_core::outbox::courier::Courier;
use regain_core::outbox::relays::{RelayState, RelayStatus};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Database;
use super::outlet::WayOut;
use crate::courier::{CourierState, CourierStatus};
use crate::http::{CourierMetrics, Health, HealthStatus};

const STORE_FAILS: &str = "the database takes no writes";
const KEYS_DIFFER: &str = "its keys are not those in force: sessions of one process are refused by another";
const LATE: &str = "letters that could go have waited for more than five minutes";

/// A letter that could have gone so long ago is late.
const LATE_AFTER: Duration = Duration::from_secs(300);
/// How often it is looked for them, and at the keys.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether the health has changed, which is asked of memory alone.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row find that all is well before that is told.
const WELL: u32 = 3;

/// Ready once the courier runs, or it is known that there is none.
pub(super) struct AppHealth {
    database: Arc<Database>,
    /// Those of this process, where others may have put other ones in force since it started.
    keys: Option<KeyOffer>,
    courier: OnceLock<Option<Watched>>,
    is_late: AtomicBool,
    keys_differ: AtomicBool,
    stopping: AtomicBool,
}

/// A courier, and what it hands over to.
struct Watched {
    status: Arc<CourierStatus>,
    courier: Arc<Courier>,
    way_out: WayOut,
}

impl AppHealth {
    pub(super) fn of(database: Arc<Database>, keys: Option<KeyOffer>) -> Self {
        Self {
            database,
            keys,
            courier: OnceLock::new(),
            is_late: AtomicBool::new(false),
            keys_differ: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn courier_runs(&self, status: Arc<CourierStatus>, courier: Arc<Courier>, way_out: WayOut) {
        // A second courier over the same service would be reported by the first; there is no such caller.
        let _ = self.courier.set(Some(Watched { status, courier, way_out }));
    }

    pub(super) fn runs_without_courier(&self) {
        let _ = self.courier.set(None);
    }

    pub(super) fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Looks every now and then at what /health tells from memory, and logs each change of it, until `stop` is cancelled.
    /// Letters are looked at where they are to be delivered.
    pub(super) async fn watch(
        &self,
        letters: bool,
        now: impl Fn() -> Timestamp + Copy,
        stop: &CancellationToken,
    ) {
        let late = async {
            if letters {
                self.look_for_late_letters(now).await;
            }
        };
        tokio::select! {
            _ = async { tokio::join!(late, self.look_at_keys(now), self.tell_of_changes()) } => {}
            () = stop.cancelled() => {}
        }
    }

    async fn look_for_late_letters(&self, now: impl Fn() -> Timestamp) {
        loop {
            // Where the database cannot be read, that is what is told.
            if let Ok(due) = self.database.store().next_due().await {
                self.is_late.store(is_late(due, now()), Ordering::Relaxed);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether this process could still start.
    async fn look_at_keys(&self, now: impl Fn() -> Timestamp) {
        let Some(keys) = &self.keys else { return };
        loop {
            let agreement = self.database.store().agree_on_keys(keys.clone(), KeyIntent::Ask, now()).await;
            if let Ok(agreement) = agreement {
                let differ = agreement.is_refused();
                if !self.keys_differ.swap(differ, Ordering::Relaxed) && differ {
                    tracing::error!(
                        event = "keys_differ",
                        "other keys were put in force, or its own given up: this process would not start any more"
                    );
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Nobody may be asking. That all is well is told once it has been so for a while: where some steps can be done and
    /// others not, one moment is like this and the next like that.
    async fn tell_of_changes(&self) {
        let mut told = HealthStatus::Ok;
        let mut well = 0;
        loop {
            let health = self.status();
            well = if health == HealthStatus::Ok { well + 1 } else { 0 };
            if health != HealthStatus::Starting && health != told && (well == 0 || well > WELL) {
                tell(&health);
                told = health;
            }
            sleep(TELL_EVERY).await;
        }
    }
}

/// Logs that the health has changed, where that is news. Nothing in the words is variable but the number of a relay.
fn tell(health: &HealthStatus) {
    match health {
        HealthStatus::Ok => tracing::info!(event = "health_ok", "all is well again"),
        HealthStatus::Degraded(reason) => {
            tracing::warn!(event = "health_degraded", %reason, "something needs the operator");
        }
        HealthStatus::CourierDead => {
            tracing::error!(
                event = "health_failed",
                "letters are not delivered any more: restart the process"
            );
        }
        // Start and stop have their own words.
        HealthStatus::Starting | HealthStatus::Stopping => {}
    }
}

/// A letter that is put off is not late, however old it is: its recipient's server, or the mail budget, wants it so.
fn is_late(first_due: Option<Timestamp>, now: Timestamp) -> bool {
    first_due.is_some_and(|due| now.since(due) > LATE_AFTER)
}

/// What needs the operator, what explains the most first. `process` is what concerns more than mail.
fn reason(
    process: Option<&'static str>,
    way_out: WayOut,
    relays: &[RelayStatus],
    is_late: bool,
) -> Option<Cow<'static, str>> {
    if let Some(process) = process {
        return Some(process.into());
    }
    let first = |state| relays.iter().position(|relay| relay.state == state);
    let works = first(RelayState::Open).or(first(RelayState::Recovering));
    let told = |what: String| match works {
        Some(_) if relays.len() == 2 => Some(format!("{what}; the other one delivers").into()),
        Some(_) => Some(format!("{what}; another one delivers").into()),
        None => Some(what.into()),
    };
    if let Some(index) = first(RelayState::Paused) {
        let who = way_out.named(index, relays.len());
        let refuses = way_out.refuses();
        return told(format!("{who} is paused until its configuration is mended: it refuses {refuses}"));
    }
    match first(RelayState::Resting) {
        None => is_late.then_some(LATE.into()),
        Some(_) if works.is_none() && relays.len() > 1 => Some("no relay takes mail".into()),
        Some(index) => told(format!("{} takes no mail", way_out.named(index, relays.len()))),
    }
}

impl WayOut {
    /// As log and metrics number relays, where there are several.
    fn named(self, index: usize, count: usize) -> String {
        match self {
            Self::Relay if count > 1 => format!("relay {}", index + 1),
            Self::Relay => "the relay".to_owned(),
            Self::Webhook => "the webhook".to_owned(),
            Self::Application => "the application's email handler".to_owned(),
        }
    }

    /// What is wrong where only the configuration can help.
    fn refuses(self) -> &'static str {
        match self {
            Self::Relay => "the login, the sender or all recipients, or its certificate is not trusted",
            Self::Webhook => "the path, the secret or the method, or its certificate is not trusted",
            Self::Application => "all mails",
        }
    }
}

impl Health for AppHealth {
    fn status(&self) -> HealthStatus {
        if self.stopping.load(Ordering::Relaxed) {
            return HealthStatus::Stopping;
        }
        let Some(courier) = self.courier.get() else { return HealthStatus::Starting };
        let mut store_fails = self.database.is_failing();
        let mut relays = Vec::new();
        let mut way_out = WayOut::Relay;
        if let Some(watched) = courier {
            way_out = watched.way_out;
            match watched.status.state() {
                CourierState::Dead => return HealthStatus::CourierDead,
                CourierState::Stopped => return HealthStatus::Stopping,
                CourierState::StoreFails => store_fails = true,
                CourierState::Working => relays = watched.courier.relays(),
            }
        }
        let is_late = self.is_late.load(Ordering::Relaxed);
        let keys_differ = self.keys_differ.load(Ordering::Relaxed).then_some(KEYS_DIFFER);
        let process = store_fails.then_some(STORE_FAILS).or(keys_differ);
        reason(process, way_out, &relays, is_late).map_or(HealthStatus::Ok, HealthStatus::Degraded)
    }

    fn courier(&self) -> Option<CourierMetrics> {
        let courier = &self.courier.get()?.as_ref()?.courier;
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
        let by = |way_out, states: &[RelayState], is_late| {
            let relays: Vec<_> = states.iter().map(|state| relay(*state)).collect();
            reason(None, way_out, &relays, is_late).unwrap_or_default().into_owned()
        };
        let of = |states: &[RelayState], is_late| by(WayOut::Relay, states, is_late);
        assert_eq!(of(&[Open], false), "");
        assert_eq!(of(&[Recovering, Open], false), "");
        assert_eq!(of(&[Open], true), LATE);
        assert_eq!(of(&[], true), LATE);
        assert_eq!(of(&[Resting], true), "the relay takes no mail");
        assert_eq!(of(&[Resting, Resting], false), "no relay takes mail");
        assert_eq!(of(&[Resting, Open], false), "relay 1 takes no mail; the other one delivers");
        assert_eq!(of(&[Open, Resting, Open], false), "relay 2 takes no mail; another one delivers");
        let both = of(&[Open, Paused], true);
        assert!(
            both.starts_with("relay 2 is paused") && both.ends_with("; the other one delivers"),
            "{both}"
        );
        let none = of(&[Resting, Paused], true);
        assert!(none.starts_with("relay 2 is paused") && none.ends_with("not trusted"), "{none}");
        let webhook = by(WayOut::Webhook, &[Paused], false);
        assert!(webhook.starts_with("the webhook is paused") && webhook.contains("secret"), "{webhook}");
        assert_eq!(by(WayOut::Webhook, &[Resting], false), "the webhook takes no mail");
        assert_eq!(
            reason(Some(STORE_FAILS), WayOut::Relay, &[relay(Paused)], true),
            Some(STORE_FAILS.into())
        );
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
