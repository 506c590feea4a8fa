//! The connection that listens: other processes' posts, the database's time, and the word that this process has posted.
//!
//! A notification is a hint. It may be lost with a connection, so couriers look now and then without one.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::clock::DatabaseClock;
use super::error::{PostgresError, why_not, words};
use super::pool::SESSION;
use super::servers::Servers;
use super::settings::PostgresSettings;

/// A process says at most so often that it has posted: a notification makes commits queue for a moment, in all the database.
const NOTIFY_EVERY: Duration = Duration::from_millis(20);
/// How often the database is asked what time it is, and so whether it still answers.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(10);
/// An answer that takes longer does not come any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before the next try to connect.
const RETRY: Duration = Duration::from_millis(500);

/// Rung after a commit that posted letters.
#[derive(Clone)]
pub(super) struct Bell(Arc<Notify>);

impl Bell {
    /// Tells the couriers of other processes, soon.
    pub(super) fn ring(&self) {
        self.0.notify_one();
    }
}

/// The task that has the connection.
pub(super) struct Listener {
    bell: Bell,
    heard: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Connects, asks for the time and listens from then on; connects again whenever the connection is lost.
    pub(super) async fn start(
        settings: &PostgresSettings,
        servers: Servers,
        clock: Arc<DatabaseClock>,
    ) -> Result<Self, PostgresError> {
        let bell = Bell(Arc::new(Notify::new()));
        let heard = Arc::new(Notify::new());
        let line = Line { servers, clock, bell: bell.clone(), heard: heard.clone() };
        let connected = line
            .connect()
            .await
            .map_err(|reason| PostgresError::Unreachable { database: settings.to_string(), reason })?;
        Ok(Self { bell, heard, task: tokio::spawn(line.hold(connected)) })
    }

    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Waits for a word of another process, or for a new connection.
    pub(super) async fn heard(&self) {
        self.heard.notified().await;
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Line {
    servers: Servers,
    clock: Arc<DatabaseClock>,
    bell: Bell,
    heard: Arc<Notify>,
}

/// A connection, with the task that reads from it.
struct Connected {
    client: Client,
    reading: JoinHandle<()>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Line {
    async fn hold(self, mut connected: Connected) {
        loop {
            let reason = self.attend(&mut connected).await;
            tracing::warn!(event = "database_listener_lost", reason, "the connection that listens is lost");
            drop(connected);
            connected = loop {
                match self.connect().await {
                    Ok(connected) => break connected,
                    Err(_) => sleep(RETRY).await,
                }
            };
            tracing::info!(event = "database_listener_back", "the connection that listens is back");
            // Something may have been said meanwhile.
            self.heard.notify_one();
        }
    }

    async fn connect(&self) -> Result<Connected, String> {
        let (client, mut connection) = timeout(PATIENCE * 3, self.servers.connect())
            .await
            .map_err(|_| "it does not answer".to_owned())?
            .map_err(|error| why_not(&error))?;
        let heard = self.heard.clone();
        // Nobody has this number; it is known once the session is greeted.
        let own = Arc::new(AtomicI32::new(0));
        let us = own.clone();
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(said) = message
                    && said.process_id() != us.load(Ordering::Relaxed)
                {
                    heard.notify_one();
                }
            }
        });
        let connected = Connected { client, reading };
        self.greet(&connected.client, &own).await?;
        Ok(connected)
    }

    async fn greet(&self, client: &Client, own: &AtomicI32) -> Result<(), String> {
        let said = async {
            client.batch_execute(SESSION).await?;
            let us = client.query_one("SELECT pg_backend_pid()", &[]).await?;
            own.store(us.try_get(0)?, Ordering::Relaxed);
            if let Err(error) = client.batch_execute("LISTEN regain_outbox").await {
                if error.as_db_error().is_none() {
                    return Err(error);
                }
                // Some that speak PostgreSQL's protocol have no notifications. Then it is the slow look that finds letters.
                tracing::warn!(event = "no_notifications", error = %words(&error), "the database does not notify");
            }
            Ok(())
        };
        timeout(PATIENCE, said)
            .await
            .map_err(|_| "it does not answer".to_owned())?
            .map_err(|error| words(&error))?;
        self.ask_for_the_time(client).await
    }

    /// Uses the connection until it is lost, and says why it is.
    async fn attend(&self, connected: &mut Connected) -> String {
        let Connected { client, reading } = connected;
        let mut ask = interval(ASK_EVERY);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let outcome = tokio::select! {
                () = self.bell.0.notified() => {
                    let outcome = self.tell(client).await;
                    sleep(NOTIFY_EVERY).await;
                    outcome
                }
                _ = ask.tick() => self.ask_for_the_time(client).await,
                _ = &mut *reading => Err("it was closed".to_owned()),
            };
            if let Err(reason) = outcome {
                return reason;
            }
        }
    }

    async fn tell(&self, client: &Client) -> Result<(), String> {
        match timeout(PATIENCE, client.batch_execute("NOTIFY regain_outbox")).await {
            Err(_) => Err("it does not answer".to_owned()),
            // Where notifications are not known, nobody waits for them.
            Ok(Err(error)) if error.as_db_error().is_none() => Err(words(&error)),
            Ok(_) => Ok(()),
        }
    }

    async fn ask_for_the_time(&self, client: &Client) -> Result<(), String> {
        let asked = Instant::now();
        let asking = client.query_one("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &[]);
        let row = timeout(PATIENCE, asking)
            .await
            .map_err(|_| "it does not answer".to_owned())?
            .map_err(|error| words(&error))?;
        let now: i64 = row.try_get(0).map_err(|error| words(&error))?;
        self.clock.anchor(now, asked);
        Ok(())
    }
}
