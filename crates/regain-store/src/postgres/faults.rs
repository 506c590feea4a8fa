//! Whether the database is at fault at the moment. Where some kinds of steps can be done and others not, as with a right that is
//! missing at one table, those that can do not hide the others.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::StepError;

/// Steps are of one kind where they are done at one place of the program.
pub(super) type Kind = &'static Location<'static>;

/// What failed and was not tried again for so long is forgotten. The rarest step of a server is done once a minute.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// What could not be done when it was last tried.
#[derive(Default)]
pub(super) struct Faults {
    /// Nothing at all, until something can.
    is_away: AtomicBool,
    /// These, until they can or are forgotten; with when they failed last.
    refused: Mutex<HashMap<Kind, Instant>>,
}

impl Faults {
    /// There is no connection.
    pub(super) fn no_connection(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    /// How a step ended.
    pub(super) fn note<T>(&self, kind: Kind, outcome: &Result<T, StepError>, now: Instant) {
        match outcome {
            Ok(_) => {
                self.is_away.store(false, Ordering::Relaxed);
                self.refused().remove(kind);
            }
            Err(error) if !error.is_of_database() => {}
            Err(error) if error.is_of_all() => self.no_connection(),
            Err(_) => {
                self.refused().insert(kind, now);
            }
        }
    }

    /// Whether something cannot be done because of the database, whatever is asked.
    pub(super) fn is_any(&self, now: Instant) -> bool {
        let mut refused = self.refused();
        refused.retain(|_, last| now.saturating_duration_since(*last) < FORGOTTEN);
        self.is_away.load(Ordering::Relaxed) || !refused.is_empty()
    }

    fn refused(&self) -> MutexGuard<'_, HashMap<Kind, Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_tried_any_more_is_forgotten() {
        let faults = Faults::default();
        let now = Instant::now();
        let one: Kind = Location::caller();
        faults.refused().insert(one, now);
        let other: Kind = Location::caller();
        faults.note(other, &Ok(()), now);
        assert!(faults.is_any(now + FORGOTTEN / 2));
        assert!(!faults.is_any(now + FORGOTTEN));
    }

    #[test]
    fn a_database_that_is_away_is_back_with_the_first_step() {
        let faults = Faults::default();
        let now = Instant::now();
        faults.note::<()>(Location::caller(), &Err(StepError::TooLate), now);
        assert!(faults.is_any(now));
        faults.note(Location::caller(), &Ok(()), now);
        assert!(!faults.is_any(now));
    }
}
