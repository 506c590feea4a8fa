//! Clears away what is past its retention, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use regain_core::Service;
use regain_core::store::Retention;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);
/// Between two batches, so that requests come first.
const BREATH: Duration = Duration::from_millis(50);
const BATCH: usize = 500;

pub(super) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let work = async {
        loop {
            tokio::time::sleep(EVERY).await;
            loop {
                match service.store.purge(Retention::default(), BATCH, service.now()).await {
                    Ok(0) => break,
                    Ok(rows) => tracing::debug!(rows, "old rows were removed"),
                    Err(error) => {
                        tracing::warn!(%error, "old rows could not be removed; it is tried again later");
                        break;
                    }
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}
