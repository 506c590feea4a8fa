//! Starts the courier again when it panics, ever more slowly, until it is told to stop.

use std::time::Duration;

use super::run::Run;

pub(super) async fn supervise(run: Run) {
    loop {
        let once = run.clone();
        match tokio::spawn(async move { once.run().await }).await {
            Ok(()) => break,
            Err(error) if error.is_panic() => {
                let panics = run.status.panicked();
                tracing::error!(
                    event = "courier_panicked",
                    panics,
                    "the courier panicked and is started again"
                );
                let pause = Duration::from_millis(100 << panics.min(8));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = run.stop.cancelled() => break,
                }
            }
            // Only the runtime's own end cancels the task.
            Err(_) => break,
        }
    }
    run.status.stopped();
}
