//! The accept loop: HTTP/1.1 where every wait for a client has an end, and a flood of connections leaves room for others.
//!
//! Each connection writes down what it waits for and since when (`watch.rs`). One clock tick looks at all of them
//! and closes what is overdue, so a request sets no timers. **When all places are taken, the connection that has waited
//! for its client the longest makes room**: half-open ones and ones that send a byte a second go first, and a client
//! that sends its request at once is served at once. Only while every connection is being worked for do new ones
//! wait in the backlog.

mod connection;
mod stream;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::Connections;
use watch::Watch;

/// How much and how long clients may keep the server waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections open at once.
    pub max_connections: usize,
    /// From the first byte of a request, or from connecting, to the end of its headers.
    pub head: Duration,
    /// For the body of a request as a whole; beyond it the answer is 408.
    pub body: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Without a byte of the answer being taken.
    pub write: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
        }
    }
}

/// The pause after an error of `accept` that is not one connection's (no file descriptors, no memory).
const BACK_OFF: Duration = Duration::from_millis(50);
/// How soon it is seen that a place has become free.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// How many connections may wait to be accepted. With the usual 128, a burst overflows it, and a client whose first
/// packet is dropped tries again only a second later.
const BACKLOG: u32 = 4_096;

/// Listens on an address, with a queue that is long enough for [`serve`]. Port 0 takes one that is free.
///
/// # Errors
/// Those of the operating system: the address is in use, is none of this machine, or its port is reserved.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `stop` is cancelled; then accepts nothing more, closes idle connections, finishes requests that
/// have begun for at most `grace`, and closes the rest.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    stop: CancellationToken,
    grace: Duration,
) {
    let watch = Arc::new(Watch::new(limits));
    let tasks = TaskTracker::new();
    let connections = Connections::new(router, limits, stop.clone());
    let mut tick = tokio::time::interval(watch.tick());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut warned = None;
    // A connection that was accepted while all places were taken and none could be cleared.
    let mut held: Option<(TcpStream, SocketAddr)> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => watch.close_overdue(),
            () = tokio::time::sleep(BETWEEN_LOOKS), if held.is_some() => {}
            accepted = listener.accept(), if held.is_none() => match accepted {
                Ok(connection) => held = Some(connection),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    warn(&error, &mut warned);
                    watch.close_oldest();
                    tokio::time::sleep(BACK_OFF).await;
                }
            },
        }
        if let Some((stream, peer)) = held.take_if(|_| watch.make_room()) {
            prepare(&stream);
            tasks.spawn(connections.run(stream, peer, watch.enter()));
        }
    }
    drop(held);
    drop(listener);
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(left = tasks.len(), "requests were still going on at the end of the grace period");
        watch.close_all();
        tasks.wait().await;
    }
}

fn prepare(stream: &TcpStream) {
    // Without it an answer in two packets waits for the client's delayed acknowledgement; failing is no harm.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}

/// Whether the client went away between connecting and being accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn warn(error: &io::Error, warned: &mut Option<Instant>) {
    if warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
        *warned = Some(Instant::now());
        tracing::warn!(%error, "connections cannot be accepted; is the limit of open files too low?");
    }
}

#[cfg(test)]
mod tests;
