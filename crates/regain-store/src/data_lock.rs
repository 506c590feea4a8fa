//! The lock of a data path: one running server at a time.
//!
//! It does not keep the command line out: that works beside a server, through the database's own locks.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held by the process that serves from a data path. Let go when it is dropped, or when the process ends in any way.
///
/// Whoever holds it may free all claims ([`regain_core::Store::free_all_claims`]): nobody else can hold one.
#[derive(Debug)]
pub struct DataLock {
    // An advisory lock lives as long as its open file.
    _directory: File,
}

/// The data path was not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process is running on the data path {0}; stop it first or use another data path")]
    InUse(PathBuf),
    /// The data path cannot be made or locked.
    #[error("cannot lock the data path {path}")]
    Io {
        /// The data path.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

impl DataLock {
    /// Locks `dir`, making it (for its owner alone) where it is missing. Does not wait.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire(dir: &Path) -> Result<DataLock, LockError> {
        let failed = |source| LockError::Io { path: dir.to_owned(), source };
        make_private_dir(dir).map_err(failed)?;
        // The directory itself: a lock file could be deleted under its holder, and a second process would find none.
        let directory = File::open(dir).map_err(failed)?;
        match directory.try_lock() {
            Ok(()) => Ok(Self { _directory: directory }),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Makes a directory that only its owner may enter; one that is there stays as it is.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataLock::acquire(&path).unwrap();
        let refused = DataLock::acquire(&path).unwrap_err();
        assert!(matches!(&refused, LockError::InUse(at) if *at == path), "{refused}");
        assert!(refused.to_string().contains("another process is running on the data path"));
        drop(first);
        DataLock::acquire(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn the_data_path_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let _lock = DataLock::acquire(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_path_that_cannot_be_made_is_an_error_with_its_cause() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataLock::acquire(&file.join("below")).unwrap_err();
        assert!(std::error::Error::source(&error).is_some(), "{error}");
    }
}
