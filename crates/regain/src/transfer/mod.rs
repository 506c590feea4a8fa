//! Accounts as lines of JSON: brought in from elsewhere, and taken out again.
//!
//! One account a line, so that a file of any size is read in little memory. [`check`] reads a whole [`ImportFile`] and
//! writes nothing; [`write()`] then adds what is not there yet, and may be ended at any moment and begun anew; [`export`]
//! is their inverse. Works on any [`Store`](regain_core::Store); must not know databases, terminals or the command line.
//!
//! Invariant: no message of this module shows a name, a hash or any other value of a file. Keys are shown.

mod check;
mod duplicates;
mod export;
mod file;
mod json;
mod lines;
mod mistakes;
mod record;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use regain_core::StoreError;
use regain_core::hashing::HashError;
use regain_core::rng::NoRandomness;

pub use check::{Checked, check};
pub use export::{ExportError, export};
pub use file::ImportFile;
pub use lines::MAX_LINE_BYTES;
pub use mistakes::{MAX_SHOWN, Mistakes};
pub use record::{MAX_METADATA_BYTES, Mistake};
pub use write::{Written, write};

/// How far a reading of a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Lines read so far.
    pub lines: u64,
    /// Bytes read so far.
    pub bytes: u64,
    /// Bytes in all.
    pub of: u64,
}

/// Why nothing is imported, or not all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A pipe or a directory.
    #[error("it is no regular file: it is read twice, so save what comes from a pipe into a file first")]
    NotAFile,
    /// It is not what was checked.
    #[error("the file was changed while it was read: begin again once it stays as it is")]
    Changed,
    /// Lines are wrong; nothing was written.
    #[error("{} lines are wrong", .0.count())]
    Wrong(Mistakes),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password of an administrator cannot be compared with the empty one.
    #[error(transparent)]
    Hashing(#[from] HashError),
    /// No identity can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}
