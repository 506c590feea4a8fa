//! Owns what a scripted server remembers and what it was told to do. It must not do I/O.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Behaviour;
use crate::Phase;

/// A message that came in whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The sender's address from MAIL.
    pub from: String,
    /// The recipients' addresses that were accepted.
    pub to: Vec<String>,
    /// The message with CRLF lines, dots undone, without the final dot.
    pub data: Vec<u8>,
    /// Who had logged in.
    pub user: Option<String>,
    /// Whether it came under TLS.
    pub tls: bool,
    /// Whether the final reply accepted it.
    pub accepted: bool,
    /// The number of its connection, counted from 0.
    pub connection: usize,
}

impl Received {
    /// The message as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// What came in over one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where it came from.
    pub peer: SocketAddr,
    /// Bytes in clear text.
    pub clear: Vec<u8>,
    /// Bytes under TLS, decrypted.
    pub encrypted: Vec<u8>,
}

impl Connection {
    /// Everything that was said, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&[self.clear.as_slice(), &self.encrypted].concat()).into_owned()
    }
}

#[derive(Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    scripts: HashMap<Phase, Script>,
    visits: HashMap<Phase, Vec<Instant>>,
    received: Vec<Received>,
    connections: Vec<Connection>,
    open: usize,
    most_open: usize,
    room: Option<Room>,
    turned_away: usize,
}

/// What happens to connections that are more than so many.
pub(super) struct Room {
    pub(super) connections: usize,
    pub(super) phase: Phase,
    pub(super) behaviour: Behaviour,
}

/// What to do at a phase: nothing of note the first times, then this, so often or for ever.
pub(super) struct Script {
    pub(super) skip: usize,
    pub(super) times: Option<usize>,
    pub(super) behaviour: Behaviour,
}

/// One connection's part in the record; it counts as open until this is dropped.
pub(super) struct Open {
    state: Arc<State>,
    pub(super) number: usize,
    /// Whether it was one too many when it was opened.
    turned_away: bool,
}

impl State {
    pub(super) fn open(state: &Arc<Self>, peer: SocketAddr) -> Open {
        let (number, turned_away) = state.change(|inner| {
            inner.connections.push(Connection { peer, clear: Vec::new(), encrypted: Vec::new() });
            inner.open += 1;
            inner.most_open = inner.most_open.max(inner.open);
            let let_in = inner.open - inner.turned_away;
            let turned_away = inner.room.as_ref().is_some_and(|room| let_in > room.connections);
            inner.turned_away += usize::from(turned_away);
            (inner.connections.len() - 1, turned_away)
        });
        Open { state: Arc::clone(state), number, turned_away }
    }

    pub(super) fn set(&self, phase: Phase, script: Script) {
        self.change(|inner| inner.scripts.insert(phase, script));
    }

    pub(super) fn set_room(&self, room: Room) {
        self.change(|inner| inner.room = Some(room));
    }

    pub(super) fn clear(&self) {
        self.change(|inner| {
            inner.scripts.clear();
            inner.room = None;
        });
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        self.lock().connections.clone()
    }

    pub(super) fn text(&self, connection: usize) -> Option<String> {
        self.lock().connections.get(connection).map(Connection::text)
    }

    pub(super) fn visits(&self, phase: Phase) -> Vec<Instant> {
        self.lock().visits.get(&phase).cloned().unwrap_or_default()
    }

    pub(super) fn open_connections(&self) -> usize {
        self.lock().open
    }

    pub(super) fn most_connections(&self) -> usize {
        self.lock().most_open
    }

    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let outcome = change(&mut self.lock());
        self.changed.notify_waiters();
        outcome
    }
}

impl Open {
    /// Notes that the dialogue has come to a phase; what to do there, if not the ordinary.
    pub(super) fn visit(&self, phase: Phase) -> Option<Behaviour> {
        self.state.change(|inner| {
            inner.visits.entry(phase).or_default().push(Instant::now());
            if let Some(room) = inner.room.as_ref().filter(|room| self.turned_away && room.phase == phase) {
                return Some(room.behaviour.clone());
            }
            let script = inner.scripts.get_mut(&phase)?;
            if script.skip > 0 {
                script.skip -= 1;
                return None;
            }
            let behaviour = script.behaviour.clone();
            match &mut script.times {
                Some(left) if *left > 1 => *left -= 1,
                Some(_) => drop(inner.scripts.remove(&phase)),
                None => {}
            }
            Some(behaviour)
        })
    }

    pub(super) fn bytes(&self, tls: bool, bytes: &[u8]) {
        self.state.change(|inner| {
            if let Some(connection) = inner.connections.get_mut(self.number) {
                let side = if tls { &mut connection.encrypted } else { &mut connection.clear };
                side.extend_from_slice(bytes);
            }
        });
    }

    /// Notes a whole message; the number is for [`Open::accept`].
    pub(super) fn message(&self, message: Received) -> usize {
        self.state.change(|inner| {
            inner.received.push(message);
            inner.received.len() - 1
        })
    }

    pub(super) fn accept(&self, number: usize) {
        self.state.change(|inner| {
            if let Some(message) = inner.received.get_mut(number) {
                message.accepted = true;
            }
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.change(|inner| {
            inner.open -= 1;
            inner.turned_away -= usize::from(self.turned_away);
        });
    }
}
