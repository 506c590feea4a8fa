//! The hot path: requests for mails, as many as there are at the same time. One look, one write for each, whatever the name
//! and whatever came before.

use aws_lc_rs::digest::{SHA256, digest};
use deadpool_postgres::Object;
use futures_util::future::join4;
use regain_core::letter::NewLetter;
use regain_core::outbox::repeats::Repeats;
use regain_core::store::Posted;
use regain_core::{Timestamp, UserAgent};
use tokio_postgres::types::ToSql;

use crate::postgres::error::StepError;
use crate::postgres::rows::get;

/// A request for a mail.
pub(crate) struct Request {
    pub(crate) letter: NewLetter,
    pub(crate) repeats: Repeats,
    pub(crate) now: Timestamp,
}

/// Posts letters, or counts each request on one that makes another needless (see [`Repeats`]): all in one transaction and one
/// round trip. No two may be of one purpose and name.
///
/// Who posts for a name holds a lock of that name from before the look until after the commit, so that the next one, in
/// whatever process, sees what came of this.
///
/// A courier may close an open letter as expired while a request is counted on it. Such a request is decided anew, as what
/// comes behind an expired letter, in another transaction.
pub(crate) async fn post(client: &Object, requests: &[Request]) -> Result<Vec<Posted>, StepError> {
    let mut answers = vec![None; requests.len()];
    loop {
        let left: Vec<usize> = (0..requests.len()).filter(|at| answers[*at].is_none()).collect();
        if left.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let asked: Vec<&Request> = left.iter().map(|at| &requests[*at]).collect();
        for (at, answer) in left.into_iter().zip(post_once(client, &asked).await?) {
            answers[at] = answer;
        }
    }
}

/// Answers `None` for what is to be decided anew.
async fn post_once(client: &Object, requests: &[&Request]) -> Result<Vec<Option<Posted>>, StepError> {
    let lock = client.prepare_cached(LOCK).await?;
    let write = client.prepare_cached(WRITE).await?;
    let locks = locks(requests);
    let rows = Columns::of(requests);
    // Sent in this order without waiting for answers; where one fails, the server refuses the rest, and COMMIT undoes.
    let (begun, locked, written, committed) = join4(
        client.batch_execute("BEGIN"),
        client.execute(&lock, &[&locks]),
        client.query(&write, &rows.parameters()),
        client.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    locked?;
    let written = written?;
    committed?;
    written
        .iter()
        .map(|row| match get::<&str>(row, 0)? {
            "posted" => Ok(Some(Posted::Posted)),
            "merged" => Ok(Some(Posted::Merged)),
            "swallowed" => Ok(Some(Posted::Swallowed)),
            "full" => Ok(Some(Posted::Full)),
            "gone" => Ok(None),
            _ => Err(StepError::Row("what came of a request".to_owned())),
        })
        .collect()
}

const LOCK: &str = "SELECT pg_advisory_xact_lock(number) FROM unnest($1::bigint[]) number";

/// Each request's look and what it comes to, in their order, and then the writing. A subselect for each look, so that each
/// is by index whatever the planner thinks of how many requests there are; materialized, or the planner would write each look
/// wherever its outcome is used, fifteen in place of three. A full outbox takes as many as there is room for. Letters that a
/// clock which was wrong has ended far ahead, by more than the cooldown, are as if they were not there. The count waits for
/// whoever has the letter in hand, and sees what became of it.
pub(super) const WRITE: &str = "
    WITH asked AS (
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                             $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[], $13::bigint[])
            WITH ORDINALITY
            AS asked (id, purpose, name_key, ip, agent, posted, deadline,
                      now, cooldown, since, mails, per_address, max_open, place)
    ), met AS MATERIALIZED (
        SELECT asked.*,
            (SELECT l.id FROM letters l
             WHERE l.purpose = asked.purpose AND l.name_key = asked.name_key AND l.ended IS NULL
             ORDER BY l.id DESC LIMIT 1) AS open,
            (SELECT CASE WHEN l.state <> 'expired' AND l.ended > asked.cooldown THEN l.id END FROM letters l
             WHERE l.purpose = asked.purpose AND l.name_key = asked.name_key AND l.ended IS NOT NULL
               AND l.ended < 2 * asked.now - asked.cooldown
             ORDER BY l.ended DESC LIMIT 1) AS just_ended,
            (SELECT last.id
             FROM (SELECT l.id FROM letters l
                   WHERE l.purpose = asked.purpose AND l.name_key = asked.name_key AND l.ended IS NOT NULL
                     AND l.state = 'sent' AND l.ended < 2 * asked.now - asked.cooldown
                   ORDER BY l.ended DESC LIMIT 1) last
             JOIN tokens t ON t.letter = last.id
             WHERE t.used IS NULL AND t.expires > asked.now
               AND asked.mails <= (SELECT count(*) FROM (
                       SELECT 1 FROM letters l
                       WHERE l.purpose = asked.purpose AND l.name_key = asked.name_key AND l.ended > asked.since
                         AND l.ended IS NOT NULL AND l.state = 'sent'
                       LIMIT asked.mails) sent)) AS enough_sent,
            (SELECT sum(outbox.open) FROM outbox) AS waiting
        FROM asked
    ), tended AS (
        SELECT met.*,
            CASE WHEN per_address THEN open END AS merges,
            CASE WHEN per_address AND open IS NULL THEN coalesce(just_ended, enough_sent) END AS swallowed_by
        FROM met
    ), decided AS (
        SELECT tended.*,
            CASE
                WHEN waiting + count(*) FILTER (WHERE merges IS NULL AND swallowed_by IS NULL)
                                   OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) >= max_open
                    THEN 'full'
                WHEN merges IS NOT NULL THEN 'merged'
                WHEN swallowed_by IS NOT NULL THEN 'swallowed'
                ELSE 'posted'
            END AS what
        FROM tended
    ), posted AS (
        INSERT INTO letters (id, purpose, name_key, ip, agent, posted, deadline, due)
        SELECT id, purpose, name_key, ip, agent, posted, deadline, posted FROM decided WHERE what = 'posted'
    ), counted AS (
        UPDATE letters l
        SET deadline = CASE WHEN what = 'merged' THEN greatest(l.deadline, decided.deadline) ELSE l.deadline END,
            repeats = least(l.repeats + 1, 4294967295)
        FROM decided
        WHERE l.id = coalesce(merges, swallowed_by) AND what IN ('merged', 'swallowed') AND l.state <> 'expired'
        RETURNING place
    )
    SELECT CASE WHEN what = 'merged' AND place NOT IN (SELECT place FROM counted) THEN 'gone' ELSE what END
    FROM decided ORDER BY place";

/// The locks of the requests' names, each once and in their order.
fn locks(requests: &[&Request]) -> Vec<i64> {
    let mut locks: Vec<i64> = requests
        .iter()
        .filter(|request| request.repeats.per_address)
        .map(|request| lock_of(request.letter.purpose.as_str(), request.letter.name_key.as_str()))
        .collect();
    locks.sort_unstable();
    locks.dedup();
    locks
}

/// A number for a purpose and a name. Two names that share one wait for each other, which does no harm.
fn lock_of(purpose: &str, name_key: &str) -> i64 {
    let hash = digest(&SHA256, format!("{purpose} {name_key}").as_bytes());
    hash.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// The requests, column by column.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<&'a [u8]>,
    purpose: Vec<&'static str>,
    name_key: Vec<&'a str>,
    ip: Vec<Option<String>>,
    agent: Vec<Option<&'a str>>,
    posted: Vec<i64>,
    deadline: Vec<i64>,
    now: Vec<i64>,
    cooldown: Vec<i64>,
    since: Vec<i64>,
    mails: Vec<i64>,
    per_address: Vec<bool>,
    max_open: Vec<Option<i64>>,
}

impl<'a> Columns<'a> {
    fn of(requests: &[&'a Request]) -> Self {
        let mut columns = Self::default();
        for Request { letter, repeats, now } in requests {
            columns.id.push(letter.id.as_bytes());
            columns.purpose.push(letter.purpose.as_str());
            columns.name_key.push(letter.name_key.as_str());
            columns.ip.push(letter.ip.map(|ip| ip.to_string()));
            columns.agent.push(letter.agent.as_ref().map(UserAgent::as_str));
            columns.posted.push(letter.posted.as_millis());
            columns.deadline.push(letter.deadline.as_millis());
            columns.now.push(now.as_millis());
            columns.cooldown.push(now.minus(repeats.cooldown).as_millis());
            columns.since.push(now.minus(repeats.window).as_millis());
            columns.mails.push(i64::from(repeats.mails));
            columns.per_address.push(repeats.per_address);
            columns.max_open.push(repeats.max_open.map(|max| i64::try_from(max).unwrap_or(i64::MAX)));
        }
        columns
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 13] {
        [
            &self.id,
            &self.purpose,
            &self.name_key,
            &self.ip,
            &self.agent,
            &self.posted,
            &self.deadline,
            &self.now,
            &self.cooldown,
            &self.since,
            &self.mails,
            &self.per_address,
            &self.max_open,
        ]
    }
}
