//! Owns how long each step of a session may take. Nothing waits without one of these.

use std::time::Duration;

use tokio::time::Instant;

use crate::Settings;

/// The longest each step may take, from its beginning to its end: a relay that sends one byte a second does
/// not gain time by it. A time-out in the connection URL lowers these, and never raises them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// Looking the name up and connecting, all addresses together. 10 s.
    pub connect: Duration,
    /// The TLS handshake. 10 s.
    pub tls: Duration,
    /// Until the greeting is complete. 30 s.
    pub greeting: Duration,
    /// Each command, until its reply is complete. 30 s.
    pub command: Duration,
    /// The message and the dot, until their reply is complete. 300 s.
    pub final_dot: Duration,
    /// `QUIT` or `RSET` and its reply, and ending TLS: what no message depends on. 2 s.
    pub quit: Duration,
    /// How long a connection is kept without use. 15 s.
    pub idle: Duration,
    /// A message, from the call until its outcome, waiting for a connection or for the rate included. What is then in
    /// the queue is not sent; a dialogue is cut off. `None`: only the steps have limits.
    pub message: Option<Duration>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            greeting: Duration::from_secs(30),
            command: Duration::from_secs(30),
            final_dot: Duration::from_secs(300),
            quit: Duration::from_secs(2),
            idle: Duration::from_secs(15),
            message: None,
        }
    }
}

impl Deadlines {
    /// These, lowered by the time-outs of the URL.
    pub(super) fn lowered_by(self, settings: &Settings) -> Self {
        let lower =
            |own: Duration, timeout: Option<Duration>| timeout.map_or(own, |timeout| timeout.min(own));
        let socket = settings.socket_timeout();
        Self {
            connect: lower(self.connect, settings.connection_timeout()),
            tls: lower(lower(self.tls, settings.connection_timeout()), socket),
            greeting: lower(lower(self.greeting, settings.greeting_timeout()), socket),
            command: lower(self.command, socket),
            final_dot: lower(self.final_dot, socket),
            quit: lower(self.quit, socket),
            idle: lower(self.idle, settings.idle_timeout()),
            message: self.message,
        }
    }
}

/// The sooner of two times, of which none is never.
pub(super) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_lowers_deadlines_and_never_raises_them() {
        let lowered = |options: &str| {
            let url = format!("smtp://smtp.example.com?{options}");
            Deadlines::default().lowered_by(&Settings::parse(&url).expect("valid"))
        };
        let ms = Duration::from_millis;
        let defaults = Deadlines::default();
        assert_eq!(lowered(""), defaults);
        let high = "connectionTimeout=120000&greetingTimeout=120000&socketTimeout=600000&idleTimeout=240000";
        assert_eq!(lowered(high), defaults);
        let connecting = Deadlines { connect: ms(500), tls: ms(500), ..defaults.clone() };
        assert_eq!(lowered("connectionTimeout=500"), connecting);
        assert_eq!(lowered("greetingTimeout=500"), Deadlines { greeting: ms(500), ..defaults.clone() });
        assert_eq!(lowered("idleTimeout=500"), Deadlines { idle: ms(500), ..defaults.clone() });
        let all = Deadlines {
            tls: ms(500),
            greeting: ms(500),
            command: ms(500),
            final_dot: ms(500),
            quit: ms(500),
            ..defaults
        };
        assert_eq!(lowered("socketTimeout=500"), all);
    }
}
