//! Owns whether the envelope of the next message may ride behind the final dot of the one before. RFC 2920 allows it,
//! and most relays keep to that; one that does not would cost a connection for every message.

use std::time::Duration;

use tokio::time::Instant;

/// A final dot may take long, for example where the relay looks for viruses. After this time the message that waits
/// behind it goes another way, and the connection is given up after the dot's reply.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// So many failures in a row with no success between, and it is not done any more for [`PAUSE`].
const STRIKES: u32 = 3;

const PAUSE: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Ahead {
    strikes: u32,
    paused_until: Option<Instant>,
}

impl Ahead {
    pub(super) fn is_allowed(&self) -> bool {
        self.paused_until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) fn has_worked(&mut self) {
        self.strikes = 0;
    }

    /// Notes that a message whose envelope went ahead had to be sent anew although the one before was answered.
    pub(super) fn has_failed(&mut self) {
        self.strikes += 1;
        if self.strikes >= STRIKES {
            self.strikes = 0;
            self.paused_until = Some(Instant::now() + PAUSE);
            tracing::info!(
                "the relay does not take commands behind a message well: each message goes by itself now"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_end_it_for_a_while() {
        let mut ahead = Ahead::default();
        for _ in 0..5 {
            ahead.has_failed();
            ahead.has_failed();
            assert!(ahead.is_allowed());
            ahead.has_worked();
        }
        (0..3).for_each(|_| ahead.has_failed());
        assert!(!ahead.is_allowed());
        tokio::time::advance(PAUSE).await;
        assert!(ahead.is_allowed());
    }
}
