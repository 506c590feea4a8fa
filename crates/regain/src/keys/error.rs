//! Why there are no keys to work with. No message shows a key.

use std::io;
use std::path::PathBuf;

use regain_core::keys::KeyKind;
use regain_core::rng::NoRandomness;
use regain_core::signing::SigningKeyError;
use regain_core::{KeyFingerprint, StoreError};

/// The keys cannot be had, or would disagree with those of other processes. Names the file or the setting.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds no key.
    #[error("{path}: {reason}", path = path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No key could be made.
    #[error(transparent)]
    NotMade(#[from] SigningKeyError),
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The database cannot be asked which keys are in force.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This process would not take what others make, or they not what it makes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Disagree(Vec<Disagreement>),
}

/// A key of this process with which it would disagree with the others over its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Which kind of key.
    pub kind: KeyKind,
    /// The process's own; `None` where it has none.
    pub own: Option<KeyFingerprint>,
    /// Where its own comes from, or would.
    pub source: String,
    /// The one in force in the database.
    pub in_force: KeyFingerprint,
    /// Its own was in force before, and is not taken any more.
    pub has_ended: bool,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, own, source, in_force, has_ended } = self;
        let (name, setting, others, loss) = words(*kind);
        match own {
            None => {
                write!(f, "{source} is not there, but the {name} {in_force} is in force in this database")?
            }
            Some(own) if *has_ended => write!(
                f,
                "the {name} {own} ({source}) was in force in this database before {in_force}, and the processes over it \
                 do not take it any more"
            )?,
            Some(own) => write!(
                f,
                "the {name} {own} ({source}) is not the one in force in this database, {in_force}, and this process does \
                 not know that one"
            )?,
        }
        let remedy = match own {
            None => format!("put it back, or configure it as {setting}"),
            Some(_) => format!("configure the one in force, as {setting} or in its file"),
        };
        write!(f, ": {remedy}")?;
        // One whose time is over cannot be put in the place of another.
        if !has_ended {
            write!(f, "; to put a new one in its place, name the one in force in {others}")?;
        }
        write!(f, "; if that is lost, stop all processes and run `regain keys accept` ({loss})")
    }
}

/// What a kind of key is called, where it is configured, and what its loss means.
fn words(kind: KeyKind) -> (&'static str, &'static str, &'static str, &'static str) {
    match kind {
        KeyKind::Token => (
            "token key",
            "keys.tokenKey",
            "keys.otherTokenKeys",
            "mails that wait for another attempt get new links",
        ),
        KeyKind::Signing => (
            "signing key",
            "keys.signingKey",
            "keys.otherPublicKeys by its public half",
            "everybody signs in again",
        ),
    }
}

/// What a kind of key is called for people.
pub fn name_of(kind: KeyKind) -> &'static str {
    words(kind).0
}
