//! Owns how long each step of a session may take. Nothing waits without one of these.

use std::time::Duration;

/// The longest each step may take, from its beginning to its end: a relay that sends one byte a second does
/// not gain time by it.
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
        }
    }
}
