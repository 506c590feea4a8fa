//! Runs the courier: claims as letters come, keeps several deliveries going, renews their leases, and starts again
//! after a panic. What a step does is [`regain_core::outbox::courier`]'s business.

mod run;
mod status;
mod supervise;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regain_core::outbox::courier::Courier;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use status::{CourierState, CourierStatus};

/// How the courier is run.
#[derive(Clone, Copy, Debug)]
pub struct CourierSettings {
    /// How long deliveries that are under way may take once it is told to stop.
    pub grace: Duration,
}

/// Tells that the outbox was changed by another process, such as a command line.
#[async_trait]
pub trait Watch: Send + Sync + 'static {
    /// Waits until others may have written something since this last returned. Loses nothing where it is dropped.
    async fn changed_elsewhere(&self);
}

/// A courier that runs. Dropping this does not stop it.
pub struct RunningCourier {
    status: Arc<CourierStatus>,
    task: JoinHandle<()>,
}

impl RunningCourier {
    /// Starts it. Cancel `stop` to end it gracefully.
    pub fn start(
        courier: Arc<Courier>,
        watch: Arc<dyn Watch>,
        settings: CourierSettings,
        stop: CancellationToken,
    ) -> Self {
        let status = Arc::new(CourierStatus::default());
        let signals = Arc::default();
        let run = run::Run { courier, watch, settings, status: status.clone(), stop, signals };
        Self { status, task: tokio::spawn(supervise::supervise(run)) }
    }

    /// How it does.
    pub fn status(&self) -> Arc<CourierStatus> {
        self.status.clone()
    }

    /// Waits until it has stopped.
    pub async fn stopped(self) {
        if self.task.await.is_err() {
            tracing::error!("the courier's supervisor failed");
        }
    }
}
