//! What a claim does to letters, written down in one statement however many they are.

use deadpool_postgres::Transaction;
use regain_core::{LetterId, LetterState, Timestamp};
use tokio_postgres::types::ToSql;

use crate::postgres::error::StepError;

/// What becomes of one letter. What is `None` stays as it is, but for the claim, which ends unless it is given.
pub(super) struct Change {
    pub(super) state: LetterState,
    pub(super) account: Option<String>,
    pub(super) claim: Option<[u8; 16]>,
    pub(super) lease: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) due: Option<Timestamp>,
    pub(super) crashes: Option<u32>,
    pub(super) last_error: Option<String>,
}

impl Change {
    pub(super) fn to(state: LetterState) -> Self {
        Self {
            state,
            account: None,
            claim: None,
            lease: None,
            ended: None,
            due: None,
            crashes: None,
            last_error: None,
        }
    }

    pub(super) fn end(state: LetterState, now: Timestamp, why: &str) -> Self {
        Self { ended: Some(now), last_error: Some(why.to_owned()), ..Self::to(state) }
    }
}

/// Changes of letters that are locked, column by column.
#[derive(Default)]
pub(super) struct Changes {
    id: Vec<Vec<u8>>,
    state: Vec<&'static str>,
    account: Vec<Option<String>>,
    claim: Vec<Option<Vec<u8>>>,
    lease: Vec<Option<i64>>,
    ended: Vec<Option<i64>>,
    due: Vec<Option<i64>>,
    crashes: Vec<Option<i64>>,
    last_error: Vec<Option<String>>,
}

impl Changes {
    pub(super) fn add(&mut self, id: LetterId, change: Change) {
        self.id.push(id.as_bytes().to_vec());
        self.state.push(change.state.as_str());
        self.account.push(change.account);
        self.claim.push(change.claim.map(Vec::from));
        self.lease.push(change.lease.map(Timestamp::as_millis));
        self.ended.push(change.ended.map(Timestamp::as_millis));
        self.due.push(change.due.map(Timestamp::as_millis));
        self.crashes.push(change.crashes.map(i64::from));
        self.last_error.push(change.last_error);
    }

    pub(super) fn len(&self) -> usize {
        self.id.len()
    }

    pub(super) async fn write(&self, t: &Transaction<'_>) -> Result<(), StepError> {
        if self.id.is_empty() {
            return Ok(());
        }
        let update = t.prepare_cached(WRITE).await?;
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &self.id,
            &self.state,
            &self.account,
            &self.claim,
            &self.lease,
            &self.ended,
            &self.due,
            &self.crashes,
            &self.last_error,
        ];
        t.execute(&update, &parameters).await?;
        Ok(())
    }
}

const WRITE: &str = "
    UPDATE letters l
    SET state = c.state, account = coalesce(c.account, l.account), claim = c.claim, lease = c.lease, ended = c.ended,
        due = coalesce(c.due, l.due), crashes = coalesce(c.crashes, l.crashes),
        last_error = coalesce(c.last_error, l.last_error)
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::text[])
        AS c (id, state, account, claim, lease, ended, due, crashes, last_error)
    WHERE l.id = c.id";
