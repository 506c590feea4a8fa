//! Owns how many messages may be begun in a time, over all connections of a pool together.
//!
//! Invariant: in no window of the URL's `rateDelta` does a relay see more than `rateLimit` messages begin, fresh
//! connections included. A place is taken before MAIL is written and becomes free `rateDelta` after the relay's answer
//! to it was read, so it does not matter how long the bytes were on their way; a window is longer by that answer's
//! time. Messages do not come evenly: those that have a place go at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The places of one pool.
pub(super) struct Rate {
    limit: Option<Limit>,
    places: Mutex<Places>,
    freed: Notify,
    /// Those that wait do it one behind the other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy)]
struct Limit {
    messages: usize,
    delta: Duration,
}

#[derive(Default)]
struct Places {
    /// Messages begun whose answer has not come.
    begun: usize,
    /// When the last ones were answered, oldest first.
    answered: VecDeque<Instant>,
}

impl Rate {
    /// `messages` in each `delta`; `None`: as many as there are.
    pub(super) fn new(messages: Option<usize>, delta: Duration) -> Arc<Self> {
        let limit = messages.map(|messages| Limit { messages, delta });
        let (places, freed, turn) = (Mutex::default(), Notify::new(), tokio::sync::Mutex::default());
        Arc::new(Self { limit, places, freed, turn })
    }

    /// A place, if there is one at once and nobody waits for it.
    pub(super) fn try_start(self: &Arc<Self>) -> Option<Start> {
        let Some(limit) = self.limit else { return Some(Start(None)) };
        let _turn = self.turn.try_lock().ok()?;
        self.take(limit).ok()
    }

    /// Waits for a place. Safe to drop.
    pub(super) async fn start(self: &Arc<Self>) -> Start {
        let Some(limit) = self.limit else { return Start(None) };
        let _turn = self.turn.lock().await;
        loop {
            let freed = self.freed.notified();
            match self.take(limit) {
                Ok(start) => return start,
                Err(Some(at)) => {
                    tokio::select! {
                        () = freed => {}
                        () = sleep_until(at) => {}
                    }
                }
                Err(None) => freed.await,
            }
        }
    }

    /// A place, or when the next one will be free if that is known.
    fn take(self: &Arc<Self>, limit: Limit) -> Result<Start, Option<Instant>> {
        let now = Instant::now();
        let mut places = self.places();
        while places.answered.front().is_some_and(|&at| at + limit.delta <= now) {
            places.answered.pop_front();
        }
        if places.begun + places.answered.len() >= limit.messages {
            return Err(places.answered.front().map(|&at| at + limit.delta));
        }
        places.begun += 1;
        Ok(Start(Some(Arc::clone(self))))
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place. To be dropped when the relay has answered MAIL, or when it is unknown whether it has seen it.
pub(super) struct Start(Option<Arc<Rate>>);

impl Start {
    /// Gives the place back: no MAIL was written.
    pub(super) fn unused(mut self) {
        if let Some(rate) = self.0.take() {
            rate.places().begun -= 1;
            rate.freed.notify_one();
        }
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        if let Some(rate) = self.0.take() {
            let mut places = rate.places();
            places.begun -= 1;
            places.answered.push_back(Instant::now());
            drop(places);
            // Whoever waits may not have known until when.
            rate.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_holds_more_than_the_limit() {
        let rate = Rate::new(Some(3), SECOND);
        let mut starts = Vec::new();
        let mut running = tokio::task::JoinSet::new();
        for number in 0..20 {
            let start = rate.start().await;
            starts.push(Instant::now());
            running.spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 37 % 300)).await;
                drop(start);
            });
        }
        for window in starts.windows(4) {
            assert!(window[3] - window[0] >= SECOND, "{starts:?}");
        }
        assert!(starts[19] - starts[0] < 10 * SECOND, "{starts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_was_not_used_is_free_at_once() {
        let rate = Rate::new(Some(1), SECOND);
        let start = rate.start().await;
        assert!(rate.try_start().is_none());
        let begun = Instant::now();
        let waiting = tokio::spawn({
            let rate = Arc::clone(&rate);
            async move { rate.start().await }
        });
        tokio::task::yield_now().await;
        start.unused();
        waiting.await.expect("no panic").unused();
        assert_eq!(Instant::now(), begun);
        drop(rate.try_start().expect("free"));
        assert!(rate.try_start().is_none());
        let next = rate.start().await;
        assert_eq!(Instant::now() - begun, SECOND);
        drop(next);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_stops_waiting_does_not_hold_up_the_others() {
        let rate = Rate::new(Some(1), SECOND);
        drop(rate.start().await);
        let impatient = tokio::time::timeout(SECOND / 2, rate.start()).await;
        assert!(impatient.is_err());
        drop(rate.start().await);
    }
}
