//! With which code the program ends where something is wrong: it tells a service manager whether to try again.
//!
//! What is mended in the configuration, in a file of this machine or by another version of the program is no matter of
//! trying again: whoever mends it starts Regain anew anyway. What may pass, or is mended elsewhere, such as in PostgreSQL or in
//! a pooler before it, is found mended by the next try.

use std::fmt;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use regain::StartError;
use regain::admin_token::AdminTokenError;
use regain::app::DatabaseError;
use regain::config::Mistakes;
use regain::keys::KeysError;
use regain_store::{LockError, OpenError, PostgresError};

/// `EX_CONFIG` of sysexits.h.
const MISCONFIGURED: u8 = 78;

/// What is configured, or asked for beside it, can never work; in words.
#[derive(Debug)]
struct Misconfigured(String);

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misconfigured {}

/// An error of the configuration that has no type of its own.
pub(crate) fn misconfigured(text: impl Into<String>) -> anyhow::Error {
    Misconfigured(text.into()).into()
}

/// Whether the system forbids it, or something else is at that place.
fn is_forbidden(error: &io::Error) -> bool {
    use ErrorKind::{IsADirectory, NotADirectory, PermissionDenied};
    matches!(error.kind(), PermissionDenied | NotADirectory | IsADirectory)
}

/// 78 where no try without a change on this machine helps, else 1.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    if is_for_good(error) { ExitCode::from(MISCONFIGURED) } else { ExitCode::FAILURE }
}

fn is_for_good(error: &anyhow::Error) -> bool {
    error.is::<Mistakes>()
        || error.is::<Misconfigured>()
        || error.downcast_ref().is_some_and(of_start)
        || error.downcast_ref().is_some_and(of_database)
        || error.downcast_ref().is_some_and(of_keys)
        || error.downcast_ref().is_some_and(of_lock)
}

fn of_start(error: &StartError) -> bool {
    match error {
        StartError::Templates(_) | StartError::NoRelay | StartError::Sender(_) => true,
        // Certificates that are missing here, or cannot be read.
        StartError::Webhook(_) | StartError::Relay(_) => true,
        StartError::Database(error) => of_database(error),
        StartError::Keys(error) | StartError::AdminToken(AdminTokenError::Keys(error)) => of_keys(error),
        StartError::Admin { source, .. } => is_forbidden(source),
        StartError::Store(_) | StartError::AdminToken(_) | StartError::Hashing(_) => false,
    }
}

fn of_database(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::File(error) => of_file(error),
        DatabaseError::Lock(error) => of_lock(error),
        DatabaseError::Postgres(error) => of_postgres(error),
    }
}

fn of_file(error: &OpenError) -> bool {
    match error {
        OpenError::Io { source, .. } => is_forbidden(source),
        OpenError::Foreign(_) | OpenError::Newer { .. } | OpenError::Altered { .. } => true,
        OpenError::NotDurable { .. } => true,
        // It may be held by another process, or on a disk that is full; the next start brings an older one up to date.
        OpenError::Unusable { .. } | OpenError::Older { .. } | OpenError::Thread(_) => false,
    }
}

fn of_lock(error: &LockError) -> bool {
    match error {
        LockError::InUse(_) => false,
        // A file is where the directory should be made.
        LockError::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists => true,
        LockError::Io { source, .. } => is_forbidden(source),
    }
}

fn of_postgres(error: &PostgresError) -> bool {
    match error {
        PostgresError::Roots { .. } | PostgresError::Tls(_) => true,
        // The program and the database do not belong together.
        PostgresError::Newer { .. } | PostgresError::Altered { .. } => true,
        // It is away, refuses the role, is being set up, moved into or brought up to date.
        PostgresError::Unreachable { .. } | PostgresError::Unusable { .. } | PostgresError::Lent(_) => false,
        PostgresError::Encoding { .. } | PostgresError::Foreign(_) => false,
        PostgresError::NoRight { .. } | PostgresError::NoTableRight { .. } => false,
        PostgresError::Older(_) | PostgresError::Unfinished(_) => false,
    }
}

fn of_keys(error: &KeysError) -> bool {
    match error {
        KeysError::Io { error, .. } => is_forbidden(error),
        KeysError::Unusable { .. } | KeysError::Disagree(_) => true,
        KeysError::NotMade(_) | KeysError::NoRandomness(_) | KeysError::Store(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(kind: ErrorKind) -> StartError {
        let error = LockError::Io { path: "data".into(), source: kind.into() };
        StartError::Database(error.into())
    }

    fn of_another(kind: ErrorKind) -> DatabaseError {
        OpenError::Io { path: "data/regain.db".into(), source: kind.into() }.into()
    }

    #[test]
    fn what_is_mended_on_this_machine_is_not_tried_again() {
        let newer = PostgresError::Newer { database: "d".to_owned(), found: 9, known: 6 };
        let for_good: [anyhow::Error; 6] = [
            misconfigured("no such thing"),
            misconfigured("no such thing").context("while looking"),
            locked(ErrorKind::PermissionDenied).into(),
            of_another(ErrorKind::PermissionDenied).into(),
            StartError::Keys(KeysError::Disagree(Vec::new())).into(),
            DatabaseError::from(newer).into(),
        ];
        for error in for_good {
            assert!(is_for_good(&error), "{error:?}");
        }
    }

    #[test]
    fn what_may_pass_or_is_mended_elsewhere_is_tried_again() {
        let away = PostgresError::Unreachable { database: "d".to_owned(), reason: "refused".to_owned() };
        let taken =
            StartError::Admin { address: ([127, 0, 0, 1], 9081).into(), source: ErrorKind::AddrInUse.into() };
        let for_now: [anyhow::Error; 7] = [
            anyhow::anyhow!("there is no such letter"),
            io::Error::from(ErrorKind::PermissionDenied).into(),
            locked(ErrorKind::StorageFull).into(),
            DatabaseError::from(LockError::InUse("data".into())).into(),
            DatabaseError::from(away).into(),
            DatabaseError::from(PostgresError::Lent("d".to_owned())).into(),
            taken.into(),
        ];
        for error in for_now {
            assert!(!is_for_good(&error), "{error:?}");
        }
    }
}
