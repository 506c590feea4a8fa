//! Owns how many connections the relay has room for, where these are fewer than the URL allows: it turns the next one away
//! with 421, or closes it, before it can be used. That is no fault of the message for which it was opened.
//!
//! What was learned is forgotten after [`MEMORY`], and as soon as a connection opens after the relay had turned the only
//! one away: it was out of order then, and had not run out of room. While all that there are hang, it is asked for one
//! more, and where it has room for that, what was learned is wrong.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Cause, Phase, SendError};

const MEMORY: Duration = Duration::from_secs(600);

pub(super) struct Room {
    connections: usize,
    learned: Option<(usize, Instant)>,
    was_out_of_order: bool,
}

impl Room {
    pub(super) fn new(connections: usize) -> Self {
        Self { connections, learned: None, was_out_of_order: false }
    }

    /// So many connections may there be.
    pub(super) fn limit(&self, now: Instant) -> usize {
        let learned = self.learned.filter(|&(_, until)| now < until);
        learned.map_or(self.connections, |(limit, _)| limit.min(self.connections))
    }

    /// As [`Room::limit`], while all connections that there are hang.
    pub(super) fn one_more(&self, now: Instant) -> usize {
        (self.limit(now) + 1).min(self.connections)
    }

    /// Notes that a connection was turned away while `others` were open, or opening. `false`: that was no lack of room.
    pub(super) fn has_turned_away(&mut self, others: usize, now: Instant) -> bool {
        if others == 0 {
            self.was_out_of_order = true;
            return false;
        }
        if others < self.limit(now) {
            tracing::info!(
                connections = others,
                "the relay turns further connections away: no more are opened for ten minutes"
            );
        }
        self.learned = Some((others, now + MEMORY));
        true
    }

    /// Notes that a connection can be used, of so many that are open, or opening.
    pub(super) fn has_let_in(&mut self, connections: usize) {
        let had_room_for_more = self.learned.is_some_and(|(limit, _)| limit < connections);
        if std::mem::take(&mut self.was_out_of_order) || had_room_for_more {
            self.learned = None;
        }
    }
}

/// Whether a connection failed in the way in which relays turn away those that are too many.
pub(super) fn may_be_for_room(error: &SendError) -> bool {
    // A reset may be there before the system has told that the connection is open.
    let is_opening = (Phase::Connect..=Phase::Auth).contains(&error.phase());
    is_opening && (error.is_farewell() || matches!(error.cause(), Cause::Closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_forgotten_in_time_or_when_the_relay_was_out_of_order() {
        let (mut room, now) = (Room::new(5), Instant::now());
        assert!(room.has_turned_away(3, now) && room.has_turned_away(2, now));
        room.has_let_in(2);
        assert_eq!((room.limit(now), room.limit(now + MEMORY)), (2, 5));
        assert!(!room.has_turned_away(0, now));
        assert_eq!((room.limit(now), room.one_more(now)), (2, 3));
        room.has_let_in(1);
        assert_eq!((room.limit(now), room.one_more(now)), (5, 5));
        assert!(room.has_turned_away(2, now));
        room.has_let_in(3);
        assert_eq!(room.limit(now), 5);
        assert!(room.has_turned_away(9, now));
        assert_eq!(room.limit(now), 5);
    }
}
