//! SQL that several steps share. Each part is one of the statements of a `WITH`.

use regain_core::UserAgent;
use regain_core::letter::Notice;
use regain_core::store::HeldSession;

/// Locks an account until the end of the transaction. Others may read it.
pub(super) const LOCK_ACCOUNT: &str = "SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE";

/// The number of a name's advisory lock. Whoever adds or enables an account holds it alone, from before its first look until
/// after the commit; a courier that drops a letter for want of an account shares it with others, from before its last look
/// for one until after the commit. So each knows what came of the other. Two names that share a number wait for each other,
/// which does no harm.
macro_rules! name_lock {
    ($name:literal) => {
        concat!("hashtextextended(", $name, ", 0)")
    };
}

/// Waits for couriers that drop letters of these names, and keeps others from it.
pub(super) const LOCK_NAMES: &str = concat!(
    "SELECT pg_advisory_xact_lock(number) FROM (
         SELECT DISTINCT ",
    name_lock!("name_key"),
    " AS number FROM unnest($1::text[]) name_key ORDER BY number
     ) numbers"
);

/// Forgets the letters that were dropped because names had no account, so that its owner is not made to wait for them. The
/// names are locked by a statement before. Takes an array of name keys, and on what condition.
macro_rules! forget_dropped {
    ($names:literal if $condition:literal) => {
        concat!(
            "forgotten AS (
                 DELETE FROM letters
                 WHERE purpose IN ('reset', 'confirm') AND name_key = ANY(",
            $names,
            ") AND ended IS NOT NULL AND state = 'dropped' AND ",
            $condition,
            ")"
        )
    };
}

/// Ends the open letters of some purposes that are for the account in `owner`, claimed ones too, as superseded.
macro_rules! end_letters {
    ($purposes:literal at $now:literal) => {
        concat!(
            "ended AS (
                 UPDATE letters SET state = 'superseded', ended = ",
            $now,
            ", claim = NULL, lease = NULL FROM owner
                 WHERE letters.purpose IN (",
            $purposes,
            ") AND letters.name_key = owner.name_key AND letters.ended IS NULL
                   AND (letters.account IS NULL OR letters.account = owner.id))"
        )
    };
}

/// Posts the letter that tells the account in `owner` of a new password, where there is an address to send it to and a
/// notice in the parameters (see [`NoticeColumns`]), and on what condition.
macro_rules! post_notice {
    ($id:literal, $ip:literal, $agent:literal, $deadline:literal at $now:literal if $condition:literal) => {
        concat!(
            "posted AS (
                 INSERT INTO letters (id, purpose, name_key, account, ip, agent, posted, deadline, due)
                 SELECT ",
            $id,
            "::bytea, 'password_changed', name_key, id, ",
            $ip,
            "::text, ",
            $agent,
            "::text, ",
            $now,
            "::bigint, ",
            $deadline,
            "::bigint, ",
            $now,
            "::bigint FROM owner WHERE has_address AND ",
            $id,
            "::bytea IS NOT NULL AND ",
            $condition,
            ")"
        )
    };
}

/// Writes down what happened to each account in another part, without an address or a token. The event is SQL.
macro_rules! audit {
    ($event:literal of $accounts:literal at $now:literal) => {
        concat!(
            "noted AS (INSERT INTO audit (at, account, event) SELECT ",
            $now,
            "::bigint, id, ",
            $event,
            " FROM ",
            $accounts,
            ")"
        )
    };
}

/// Whether a session that asks for something still holds.
macro_rules! session_holds {
    ($session:literal of $generation:literal) => {
        concat!(
            "(kept_session = ",
            $session,
            " OR generation = ",
            $generation,
            ") AND NOT EXISTS (SELECT FROM revoked_sessions WHERE session = ",
            $session,
            ")"
        )
    };
}
pub(super) use {audit, end_letters, forget_dropped, name_lock, post_notice, session_holds};

/// A notice, column by column; all empty where there is none.
pub(super) struct NoticeColumns<'a> {
    pub(super) id: Option<&'a [u8]>,
    pub(super) ip: Option<String>,
    pub(super) agent: Option<&'a str>,
    pub(super) deadline: Option<i64>,
}

impl<'a> NoticeColumns<'a> {
    pub(super) fn of(notice: Option<&'a Notice>) -> Self {
        Self {
            id: notice.map(|notice| notice.id.as_bytes().as_slice()),
            ip: notice.map(|notice| notice.ip.to_string()),
            agent: notice.and_then(|notice| notice.agent.as_ref()).map(UserAgent::as_str),
            deadline: notice.map(|notice| notice.deadline.as_millis()),
        }
    }
}

/// The columns of a session that asks for something; empty where an administrator does.
pub(super) fn held(by: Option<&HeldSession>) -> (Option<&[u8]>, Option<i64>) {
    (by.map(|by| by.session.0.as_slice()), by.map(|by| i64::from(by.generation.0)))
}
