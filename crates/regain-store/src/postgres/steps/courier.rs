//! The courier's steps on letters that it holds: arm, renew, settle. Each needs the claim that a letter is held under.

use std::borrow::Cow;

use deadpool_postgres::Object;
use futures_util::future::join4;
use regain_core::store::{Arm, Armed, Outcome, Settlement};
use regain_core::{ClaimId, Timestamp};
use tokio_postgres::types::ToSql;

use crate::postgres::error::StepError;
use crate::postgres::rows::get;

/// Arms the tokens of letters, each where the claim is still ours and the account still what it was: all in one transaction
/// and one round trip.
///
/// The accounts stay locked until the commit. Whoever voids an account's tokens locks it first, and so finds these.
pub(crate) async fn arm(client: &Object, arms: &[Arm], now: Timestamp) -> Result<Vec<Armed>, StepError> {
    let lock = client.prepare_cached(LOCK_OWNERS).await?;
    let arm = client.prepare_cached(ARM).await?;
    let owners: Vec<&str> = arms.iter().map(|arm| arm.account.as_str()).collect();
    let columns = ArmColumns::of(arms);
    let now = now.as_millis();
    let (begun, locked, armed, committed) = join4(
        client.batch_execute("BEGIN"),
        client.execute(&lock, &[&owners]),
        client.query(&arm, &columns.parameters(&now)),
        client.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    locked?;
    let armed = armed?;
    committed?;
    armed
        .iter()
        .map(|row| match get::<Option<&str>>(row, 0)? {
            Some("armed") => Ok(Armed::Armed),
            Some("key gone") => Ok(Armed::KeyGone),
            Some("changed" | "used") => Ok(Armed::Superseded),
            None => Ok(Armed::Lost),
            Some(_) => Err(StepError::Row("what came of arming".to_owned())),
        })
        .collect()
}

const LOCK_OWNERS: &str = "SELECT 1 FROM accounts WHERE id = ANY($1::text[]) ORDER BY id FOR SHARE";

/// What each letter comes to, and then the writing.
///
/// A letter that has a claim is claimed. Asking for its state as well would lead the planner to read all that are, since it
/// thinks that there are hardly any.
pub(super) const ARM: &str = "
    WITH asked AS (
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[],
                             $8::bigint[], $9::bytea[])
            WITH ORDINALITY
            AS asked (letter, claim, hash, key, purpose, account, name_key, expires, replacement, place)
    ), held AS MATERIALIZED (
        SELECT asked.*, l.token_key AS armed_with,
            EXISTS (SELECT 1 FROM accounts a
                    WHERE a.id = asked.account AND a.name_key = asked.name_key AND NOT a.is_disabled) AS has_owner
        FROM asked JOIN letters l ON l.id = asked.letter AND l.claim = asked.claim
        FOR UPDATE OF l
    ), put AS (
        INSERT INTO tokens (letter, hash, purpose, account, name_key, expires)
        SELECT letter, hash, purpose, account, name_key, expires FROM held
        WHERE has_owner AND hash IS NOT NULL AND (armed_with IS NULL OR armed_with = key)
        ORDER BY letter
        ON CONFLICT (hash) DO UPDATE SET expires = greatest(tokens.expires, excluded.expires) WHERE tokens.used IS NULL
        RETURNING hash
    ), come_to AS (
        SELECT held.*,
            CASE
                WHEN NOT has_owner THEN 'changed'
                WHEN hash IS NULL THEN 'armed'
                WHEN armed_with <> key THEN 'key gone'
                WHEN EXISTS (SELECT 1 FROM put WHERE put.hash = held.hash) THEN 'armed'
                ELSE 'used'
            END AS what
        FROM held
    ), armed AS (
        UPDATE letters l SET token_key = c.key
        FROM come_to c WHERE l.id = c.letter AND c.what = 'armed' AND c.hash IS NOT NULL AND c.armed_with IS NULL
    ), closed AS (
        UPDATE letters l
        SET state = 'superseded', ended = $10::bigint, claim = NULL, lease = NULL,
            last_error = CASE c.what
                WHEN 'changed' THEN 'the account has changed'
                WHEN 'key gone' THEN 'the token key has changed'
                ELSE 'the token was used'
            END
        FROM come_to c WHERE l.id = c.letter AND c.what <> 'armed'
    ), replaced AS (
        INSERT INTO letters (id, purpose, name_key, account, ip, agent, posted, deadline, due, replaces)
        SELECT c.replacement, l.purpose, l.name_key, l.account, l.ip, l.agent, $10::bigint, l.deadline, $10::bigint, l.id
        FROM come_to c JOIN letters l ON l.id = c.letter WHERE c.what = 'key gone'
    )
    SELECT c.what FROM asked LEFT JOIN come_to c USING (place) ORDER BY place";

/// What is to be armed, column by column.
#[derive(Default)]
struct ArmColumns<'a> {
    letter: Vec<&'a [u8]>,
    claim: Vec<&'a [u8]>,
    hash: Vec<Option<&'a [u8]>>,
    key: Vec<&'a [u8]>,
    purpose: Vec<&'static str>,
    account: Vec<&'a str>,
    name_key: Vec<&'a str>,
    expires: Vec<i64>,
    replacement: Vec<&'a [u8]>,
}

impl<'a> ArmColumns<'a> {
    fn of(arms: &'a [Arm]) -> Self {
        let mut columns = Self::default();
        for arm in arms {
            columns.letter.push(arm.letter.as_bytes());
            columns.claim.push(&arm.claim.0);
            columns.hash.push(arm.token.as_ref().map(|hash| &hash.0[..]));
            columns.key.push(&arm.token_key.0);
            columns.purpose.push(arm.purpose.as_str());
            columns.account.push(arm.account.as_str());
            columns.name_key.push(arm.name_key.as_str());
            columns.expires.push(arm.expires.as_millis());
            columns.replacement.push(arm.replacement.as_bytes());
        }
        columns
    }

    fn parameters<'s>(&'s self, now: &'s i64) -> [&'s (dyn ToSql + Sync); 10] {
        [
            &self.letter,
            &self.claim,
            &self.hash,
            &self.key,
            &self.purpose,
            &self.account,
            &self.name_key,
            &self.expires,
            &self.replacement,
            now,
        ]
    }
}

/// Extends the lease of what is still held under a claim.
pub(crate) async fn renew(client: &Object, claim: ClaimId, lease: Timestamp) -> Result<usize, StepError> {
    let renew =
        client.prepare_cached("UPDATE letters SET lease = $2 WHERE state = 'claimed' AND claim = $1").await?;
    let renewed = client.execute(&renew, &[&&claim.0[..], &lease.as_millis()]).await?;
    Ok(usize::try_from(renewed).unwrap_or(usize::MAX))
}

/// Writes down what came of attempts, each where the claim is still ours.
pub(crate) async fn settle(
    client: &Object,
    settlements: &[Settlement],
    now: Timestamp,
) -> Result<Vec<bool>, StepError> {
    let settle = client.prepare_cached(SETTLE).await?;
    let columns = SettleColumns::of(settlements);
    let now = now.as_millis();
    let mut were_ours = vec![false; settlements.len()];
    for row in client.query(&settle, &columns.parameters(&now)).await? {
        let place = get::<i64>(&row, 0)?;
        if let Some(was_ours) = usize::try_from(place - 1).ok().and_then(|place| were_ours.get_mut(place)) {
            *was_ours = true;
        }
    }
    Ok(were_ours)
}

/// One that a relay's fault gives back goes behind those that wait, unless it was put off before: then it is late since that
/// time, and keeps its place. Found by their claim and not by their state: see [`ARM`].
pub(super) const SETTLE: &str = "
    UPDATE letters l
    SET state = CASE s.what WHEN 'sent' THEN 'sent' WHEN 'dead' THEN 'dead' ELSE 'waiting' END,
        ended = CASE WHEN s.what IN ('sent', 'dead') THEN $7::bigint END,
        attempts = least(l.attempts + CASE WHEN s.what IN ('held', 'released') THEN 0 ELSE 1 END, 4294967295),
        crashes = CASE WHEN s.what IN ('later', 'held', 'released') THEN 0 ELSE l.crashes END,
        due = CASE
            WHEN s.what IN ('later', 'held') THEN s.due
            WHEN s.what = 'released' AND s.error IS NOT NULL AND l.attempts = 0 THEN greatest(l.due, $7::bigint)
            ELSE l.due
        END,
        last_error = CASE WHEN s.what = 'released' THEN coalesce(s.error, l.last_error) ELSE s.error END,
        relay_reply = CASE WHEN s.what IN ('held', 'released') THEN l.relay_reply ELSE s.reply END,
        claim = NULL, lease = NULL
    FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::text[]) WITH ORDINALITY
        AS s (letter, claim, what, due, error, reply, place)
    WHERE l.id = s.letter AND l.claim = s.claim
    RETURNING s.place";

/// What is to be written down, column by column.
#[derive(Default)]
struct SettleColumns<'a> {
    letter: Vec<&'a [u8]>,
    claim: Vec<&'a [u8]>,
    what: Vec<&'static str>,
    due: Vec<Option<i64>>,
    error: Vec<Option<Cow<'a, str>>>,
    reply: Vec<Option<Cow<'a, str>>>,
}

impl<'a> SettleColumns<'a> {
    fn of(settlements: &'a [Settlement]) -> Self {
        let mut columns = Self::default();
        for settlement in settlements {
            let (due, error, reply) = match &settlement.outcome {
                Outcome::Sent { reply } => (None, None, Some(reply)),
                Outcome::Later { due, error, reply } => (Some(due.as_millis()), Some(error), reply.as_ref()),
                Outcome::Held { due, error } => (Some(due.as_millis()), Some(error), None),
                Outcome::Dead { error, reply } => (None, Some(error), reply.as_ref()),
                Outcome::Released { error } => (None, error.as_ref(), None),
            };
            columns.letter.push(settlement.letter.as_bytes());
            columns.claim.push(&settlement.claim.0);
            columns.what.push(settlement.outcome.word());
            columns.due.push(due);
            columns.error.push(error.map(|error| without_nul(error)));
            columns.reply.push(reply.map(|reply| without_nul(reply)));
        }
        columns
    }

    fn parameters<'s>(&'s self, now: &'s i64) -> [&'s (dyn ToSql + Sync); 7] {
        [&self.letter, &self.claim, &self.what, &self.due, &self.error, &self.reply, now]
    }
}

/// When the next letter is due or the next lease runs out, and until when those are left alone, where they are.
pub(crate) async fn next_due(
    client: &Object,
    held_off: Option<Timestamp>,
) -> Result<Option<Timestamp>, StepError> {
    let look = client
        .prepare_cached(
            "SELECT least((SELECT min(due) FROM letters WHERE state = 'waiting'),
                          (SELECT greatest(lease, $1::bigint) FROM letters WHERE state = 'claimed'
                           ORDER BY lease LIMIT 1))",
        )
        .await?;
    let held_off = held_off.map(Timestamp::as_millis);
    Ok(get::<Option<i64>>(&client.query_one(&look, &[&held_off]).await?, 0)?.map(Timestamp::from_millis))
}

/// PostgreSQL keeps no NUL in a text; a relay may say one.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
