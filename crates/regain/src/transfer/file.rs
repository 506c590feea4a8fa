//! The file of an import: opened once, read from its beginning as often as needed, and watched for changes.

use std::fs::{File, Metadata};
use std::io::{BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::lines::Lines;
use super::{ImportError, Progress};

/// A file of accounts.
pub struct ImportFile {
    file: File,
    stamp: Stamp,
}

/// What a change of its content changes. Another file of the same name does not matter: this one stays open.
#[derive(PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    /// Who changes a file can set its time of modification back, but not this one.
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl ImportFile {
    /// Opens it.
    ///
    /// # Errors
    /// Where it cannot be read, or is none that can be read twice.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        // Before it is opened: opening a pipe waits for whoever writes into it.
        if !std::fs::metadata(path)?.is_file() {
            return Err(ImportError::NotAFile);
        }
        let file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Self { file, stamp })
    }

    /// Its lines from the beginning.
    pub(super) fn lines(&self) -> Result<Lines<BufReader<&File>>, ImportError> {
        const BUFFER: usize = 128 * 1024;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        Ok(Lines::new(BufReader::with_capacity(BUFFER, file)))
    }

    /// Fails where it is not any more what it was when it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), ImportError> {
        if Stamp::of(&self.file.metadata()?) == self.stamp { Ok(()) } else { Err(ImportError::Changed) }
    }

    pub(super) fn progress<R: std::io::BufRead>(&self, lines: &Lines<R>) -> Progress {
        Progress { lines: lines.number(), bytes: lines.bytes(), of: self.stamp.size }
    }
}
