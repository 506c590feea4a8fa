//! How many letters a mailer may have at once: those that it works on, and as many behind them as it delivered in a
//! quarter of a second. So a fast relay never waits for the next letter, and behind a slow one none waits for long.

use std::time::Duration;

use crate::clock::Timestamp;

const WINDOW: Duration = Duration::from_millis(250);

/// Counts what is delivered.
#[derive(Debug)]
pub(super) struct Pace {
    began: Option<Timestamp>,
    done: usize,
    allowance: usize,
}

impl Pace {
    /// Nothing delivered yet.
    pub(super) fn new(at_once: usize) -> Self {
        Self { began: None, done: 0, allowance: at_once }
    }

    /// How many letters there may be at once.
    pub(super) fn allowance(&self, at_once: usize, queue: usize) -> usize {
        self.allowance.clamp(at_once, at_once + queue)
    }

    /// One more was delivered.
    pub(super) fn finished(&mut self, now: Timestamp, at_once: usize, queue: usize) {
        self.done += 1;
        let began = *self.began.get_or_insert(now);
        let took = now.since(began);
        if took < WINDOW {
            // While it is far from its bound, it need not wait for the end of the window to know that it is fast.
            self.allowance = self.allowance.max(at_once + self.done.min(queue));
            return;
        }
        let in_window = self.done as u128 * WINDOW.as_millis() / took.as_millis().max(1);
        self.allowance = at_once + usize::try_from(in_window).unwrap_or(queue).min(queue);
        self.began = Some(now);
        self.done = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_fast_relay_gets_a_quarter_of_a_second_ahead_and_a_slow_one_none() {
        let mut pace = Pace::new(5);
        assert_eq!(pace.allowance(5, 250), 5);
        for ms in 0..500 {
            pace.finished(at(ms / 2), 5, 250);
        }
        assert_eq!(pace.allowance(5, 250), 255, "two a millisecond, up to the bound");
        for s in 1..5 {
            pace.finished(at(s * 1000), 5, 250);
        }
        assert_eq!(pace.allowance(5, 250), 5, "one a second");
        assert_eq!(pace.allowance(5, 0), 5);
    }
}
