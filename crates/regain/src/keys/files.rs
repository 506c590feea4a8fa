//! Files for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::KeysError;

/// Reads a file; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, KeysError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeysError::Io { path: path.to_owned(), error }),
    }
}

/// Writes a file, in place of one that is there, so that it is there whole, or not at all, whenever the power goes.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), KeysError> {
    write_by(path, text, |part, path| fs::rename(part, path))
}

/// As [`write_new`], but leaves a file that is there as it is: of several processes that write it at once, one does.
pub(super) fn write_missing(path: &Path, text: &str) -> Result<(), KeysError> {
    write_by(path, text, |part, path| {
        if path.symlink_metadata().is_ok() { fs::remove_file(part) } else { fs::rename(part, path) }
    })
}

/// As [`write_new`], and never in place of one that is there.
///
/// # Errors
/// Where the file is there, or cannot be written.
pub(super) fn write_fresh(path: &Path, text: &str) -> Result<(), KeysError> {
    write_by(path, text, |part, path| {
        // Unlike a rename, a link fails where the name is taken.
        let linked = fs::hard_link(part, path);
        fs::remove_file(part)?;
        linked
    })
}

fn write_by(
    path: &Path,
    text: &str,
    put: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> Result<(), KeysError> {
    let write = || {
        let folder = path.parent().map(File::open).transpose()?;
        // One process at a time, until the folder is closed. Where the file system knows no locks, it goes without.
        let _ = folder.as_ref().map(File::lock);
        let part = path.with_extension("part");
        // One that a crash has left may have any mode.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        put(&part, path)?;
        folder.map_or(Ok(()), |folder| folder.sync_all())
    };
    write().map_err(|error| KeysError::Io { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_a_crash_has_left_does_not_lend_its_mode() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("some.key");
        let part = path.with_extension("part");
        fs::write(&part, "half").unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap();
        write_new(&path, "whole").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }

    #[test]
    fn a_fresh_file_takes_no_others_place() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("some.key");
        write_fresh(&path, "first").unwrap();
        assert!(write_fresh(&path, "second").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
