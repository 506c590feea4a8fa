//! What `GET /health` says of a whole process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use regain_core::outbox::courier::Courier;

use regain_store::SqliteStore;

use crate::courier::{CourierState, CourierStatus};
use crate::http::{Health, HealthStatus};

const STORE_FAILS: &str = "the database takes no writes";

/// Ready once the courier runs, or it is known that there is none.
pub(super) struct AppHealth {
    store: Arc<SqliteStore>,
    courier: OnceLock<Option<(Arc<CourierStatus>, Arc<Courier>)>>,
    stopping: AtomicBool,
}

impl AppHealth {
    pub(super) fn of(store: Arc<SqliteStore>) -> Self {
        Self { store, courier: OnceLock::new(), stopping: AtomicBool::new(false) }
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
}

impl Health for AppHealth {
    fn status(&self) -> HealthStatus {
        if self.stopping.load(Ordering::Relaxed) {
            return HealthStatus::Stopping;
        }
        let store_fails = self.store.is_failing();
        match self.courier.get() {
            None => HealthStatus::Starting,
            Some(None) if store_fails => HealthStatus::Degraded(STORE_FAILS),
            Some(None) => HealthStatus::Ok,
            Some(Some((status, courier))) => match status.state() {
                CourierState::Dead => HealthStatus::CourierDead,
                CourierState::Stopped => HealthStatus::Stopping,
                CourierState::StoreFails => HealthStatus::Degraded(STORE_FAILS),
                CourierState::Working if store_fails => HealthStatus::Degraded(STORE_FAILS),
                CourierState::Working if courier.relay_fault().is_some() => {
                    HealthStatus::Degraded("the relay takes no mail")
                }
                CourierState::Working => HealthStatus::Ok,
            },
        }
    }
}
