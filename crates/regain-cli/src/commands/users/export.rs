//! `regain users export`: every account, with its hash, in the form that `regain users import` reads.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use regain::Config;
use regain::transfer::{self, ExportError};
use tempfile::NamedTempFile;

use crate::commands::database::on_store_to_read;
use crate::output::complain;
use crate::settings::ConfigFile;

/// Take all accounts out, in the form that `regain users import` reads.
///
/// The file holds every name and every hash: whoever has it can guess passwords. It is made for its owner alone, and is
/// there whole or not at all. Sessions and links are not in it.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain users export accounts.jsonl\n  regain users export | gpg --encrypt -r ops > accounts.gpg"
)]
pub(crate) struct Export {
    /// The file to make [default: stdout]
    file: Option<PathBuf>,
    /// Replace the file where it is there
    #[arg(long, requires = "file")]
    force: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Export {
    pub(super) fn run(&self) -> Result<()> {
        let config = self.config.load()?;
        let Some(file) = &self.file else {
            export(&config, &mut BufWriter::new(io::stdout().lock()))?;
            return Ok(());
        };
        // Told before the work; what counts is the last step.
        if !self.force && file.try_exists()? {
            bail!("{} is there already: name another file, or replace it with --force", file.display());
        }
        if fs::symlink_metadata(file).is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
            bail!("{} is no regular file, and is not replaced by one", file.display());
        }
        let count = self.make_file(&config, file)?;
        // stdout is for what was asked for, and that is the file.
        complain(&format!("exported {count} accounts to {}", file.display()));
        Ok(())
    }

    fn make_file(&self, config: &Config, file: &Path) -> Result<u64> {
        let directory = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = || format!("{} cannot be written", file.display());
        // Made with mode 0600, and removed where this fails.
        let mut part = NamedTempFile::new_in(directory).with_context(failed)?;
        let count = {
            let mut out = BufWriter::new(part.as_file_mut());
            let count = export(config, &mut out)?;
            out.flush().with_context(failed)?;
            count
        };
        part.as_file().sync_all().with_context(failed)?;
        let kept = if self.force { part.persist(file) } else { part.persist_noclobber(file) };
        kept.with_context(failed)?;
        Ok(count)
    }
}

fn export(config: &Config, out: &mut dyn Write) -> Result<u64> {
    on_store_to_read(config, async |store, _| {
        transfer::export(store, out).await.map_err(|error| match error {
            // As itself: whoever reads our output may have seen enough.
            ExportError::Io(error) => error.into(),
            error => error.into(),
        })
    })
}
