//! How far the mail budget is spent, by all processes together.

use deadpool_postgres::Transaction;
use regain_core::outbox::backoff;
use regain_core::outbox::budget::{self, MailBudget};
use regain_core::{Purpose, Timestamp};

use crate::letters::{budget_since, budget_until};
use crate::postgres::error::StepError;
use crate::postgres::rows::{count, get};

/// The advisory lock of whoever claims under a budget: "budget" in ASCII.
const LOCK: i64 = 0x6275_6467_6574;

pub(super) struct Spent {
    budget: MailBudget,
    /// Mails sent within the window.
    sent: u64,
    /// The same, and letters claimed now.
    mails: u64,
    /// Letters that wait for a place in the budget, resets and others; read when it is needed.
    ahead: Option<[u64; 2]>,
}

impl Spent {
    /// Waits until no other courier claims, so that two do not spend the same, and counts.
    pub(super) async fn read(
        t: &Transaction<'_>,
        budget: MailBudget,
        now: Timestamp,
    ) -> Result<Self, StepError> {
        t.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let look = t
            .prepare_cached(
                "SELECT (SELECT count(*) FROM (SELECT 1 FROM letters
                                               WHERE state = 'sent' AND ended > $1 AND ended <= $3 AND ended >= 0
                                               LIMIT $2) sent),
                        (SELECT count(*) FROM letters WHERE state = 'claimed')",
            )
            .await?;
        let row = t
            .query_one(&look, &[&budget_since(now), &i64::from(budget.per_hour), &budget_until(now)])
            .await?;
        let (sent, claimed) = (count(&row, 0)?, count(&row, 1)?);
        Ok(Self { budget, sent, mails: sent + claimed, ahead: None })
    }

    /// Whether a letter was put off for mails sent, and not only for what others are claimed for.
    pub(super) fn is_spent(&self) -> bool {
        self.ahead.is_some()
    }

    /// Charges a letter; or says when it may be tried again, where the budget is spent.
    pub(super) async fn put_off(
        &mut self,
        t: &Transaction<'_>,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StepError> {
        let limit = self.budget.limit(purpose);
        if self.mails < limit {
            self.mails += 1;
            return Ok(None);
        }
        if self.sent < limit {
            return Ok(Some(budget::after_claims(now)));
        }
        let [resets, others] = match self.ahead {
            Some(ahead) => ahead,
            None => waiting_ahead(t, now).await?,
        };
        // Resets do not wait behind the others, which have fewer places.
        let (ahead, waiting) = match purpose {
            Purpose::Reset => (resets, [resets + 1, others]),
            Purpose::Confirm | Purpose::PasswordChanged => (resets + others, [resets, others + 1]),
        };
        self.ahead = Some(waiting);
        let place = self.mails - limit + ahead;
        Ok(Some(budget::again(sent_at(t, place, now).await?, now)))
    }
}

/// Resets and others that wait for a place in the budget, within the longest wait.
async fn waiting_ahead(t: &Transaction<'_>, now: Timestamp) -> Result<[u64; 2], StepError> {
    let look = t
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE purpose = 'reset'), count(*) FILTER (WHERE purpose <> 'reset')
             FROM (SELECT purpose FROM letters
                   WHERE state = 'waiting' AND due > $1 AND due <= $2 AND last_error = $3 LIMIT 10000) waiting",
        )
        .await?;
    let until = (now + backoff::LONGEST).as_millis();
    let row = t.query_one(&look, &[&now.as_millis(), &until, &budget::REASON]).await?;
    Ok([count(&row, 0)?, count(&row, 1)?])
}

/// When the mail at that place was sent, of those within the window, and only if it leaves the window soon.
async fn sent_at(t: &Transaction<'_>, place: u64, now: Timestamp) -> Result<Option<Timestamp>, StepError> {
    let soon = budget_since(now + backoff::LONGEST);
    let look = t
        .prepare_cached(
            "SELECT (SELECT ended FROM letters
                     WHERE state = 'sent' AND ended > $1 AND ended < $2 AND ended >= 0
                     ORDER BY ended LIMIT 1 OFFSET $3)",
        )
        .await?;
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    let row = t.query_one(&look, &[&budget_since(now), &soon, &place]).await?;
    Ok(get::<Option<i64>>(&row, 0)?.map(Timestamp::from_millis))
}
