//! What `serve` and `dev` share: listening, opening, the ready line, and ending when the system asks for it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use regain::app::Role;
use regain::http::server;
use regain::{Config, Delivery, Regain};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::misconfigured;
use crate::output;

/// Runs `work` on a runtime that ends with it.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let outcome = runtime.block_on(work);
    // A look-up of a name that hangs in the system must not hold the end up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Serves until the system says stop. What `ready` makes of the real address is printed once connections are taken.
///
/// The first SIGTERM or SIGINT ends gracefully, the second at once.
pub(crate) async fn serve(
    mut config: Config,
    delivery: Delivery,
    role: Role,
    more: Option<Router>,
    ready: impl FnOnce(SocketAddr) -> Result<String>,
) -> Result<()> {
    let stop = CancellationToken::new();
    // Before anything else, so that a stop during the start is not lost.
    tokio::spawn(Signals::listen().context("cannot listen for signals")?.obey(stop.clone()));
    let wanted = SocketAddr::new(config.address, config.port);
    // Bound first, since links may need the port; told last, since a second process on the data path explains more.
    let listener = server::listen(wanted);
    if let Ok(listener) = &listener {
        config.port = listener.local_addr()?.port();
    }
    let Some(regain) = open(&config, delivery, &stop).await? else { return Ok(()) };
    let listener = listener.map_err(|error| cannot_listen(wanted, &error))?;
    if let Err(error) = output::say(&ready(listener.local_addr()?)?) {
        // Whoever closed stdout still wants to be served.
        tracing::warn!(%error, "stdout cannot be written to");
    }
    regain.in_role(role).serve(listener, more, stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Delivers until the system says stop, and serves nothing but metrics.
pub(crate) async fn courier(config: Config) -> Result<()> {
    let stop = CancellationToken::new();
    tokio::spawn(Signals::listen().context("cannot listen for signals")?.obey(stop.clone()));
    let Some(regain) = open(&config, Delivery::Relay, &stop).await? else { return Ok(()) };
    if let Err(error) = output::say("regain delivers mail") {
        tracing::warn!(%error, "stdout cannot be written to");
    }
    regain.deliver(stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Opens everything; `None` where the system says stop first. A database that says nothing, or that another process migrates, may
/// be waited for for long.
async fn open(config: &Config, delivery: Delivery, stop: &CancellationToken) -> Result<Option<Regain>> {
    tokio::select! {
        regain = Regain::open(config, delivery) => Ok(Some(regain?)),
        () = stop.cancelled() => {
            tracing::info!("stopped");
            Ok(None)
        }
    }
}

/// `http://` and where to reach an address that is listened on.
pub(crate) fn url_of(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn cannot_listen(wanted: SocketAddr, error: &io::Error) -> anyhow::Error {
    let port = wanted.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "cannot listen on {wanted}: another program has the port; choose another with REGAIN_PORT={} or `port` in \
             the configuration",
            port.checked_add(1).unwrap_or(9080)
        ),
        io::ErrorKind::PermissionDenied => misconfigured(format!(
            "cannot listen on {wanted}: the system does not allow it; ports below 1024 need a privilege, so take a \
             higher one and let a proxy pass requests on"
        )),
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("cannot listen on {wanted}: this machine does not have that address")
        }
        _ => anyhow!("cannot listen on {wanted}: {error}"),
    }
}

/// The ways in which the system asks a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn obey(mut self, stop: CancellationToken) {
        self.next().await;
        tracing::info!("stopping: what is under way is finished; a second signal ends at once");
        stop.cancel();
        let number = self.next().await;
        std::process::exit(128 + number);
    }

    /// Waits for one, and says which.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        }
    }
}
