//! `regain users import`: from another system, or from an export. What the lines mean is `regain::transfer`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use regain::app::{Database, DatabaseOptions};
use regain::transfer::{self, Checked, ImportError, ImportFile, Mistakes, Written};
use regain::{Config, transfer::Progress};
use regain_core::{KeyMode, OsRng, Rng};
use serde_json::json;

use crate::commands::progress::Teller;
use crate::output::{self, complain, printable};
use crate::running;
use crate::settings::ConfigFile;

/// A server that is busy may keep a batch waiting for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bring accounts in from another system.
///
/// FILE has one JSON object a line. It is read twice: first everything is checked, and where anything is wrong every bad
/// line is named and nothing is written; then what is not there yet is added. Accounts that are there stay as they are,
/// so an import that was interrupted is simply run again. It may run beside a server. No mail is sent, and passwords go
/// on working: they are hashed anew when their owners sign in.
#[derive(Args)]
#[command(after_help = KEYS)]
pub(crate) struct Import {
    /// The file; a pipe cannot be read twice
    file: PathBuf,
    /// Check the file and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep names apart that differ by ASCII case alone, as ROS does. Decided when the database is made, for good
    #[arg(long)]
    exact_names: bool,
    /// JSON: dryRun, accounts, added, alreadyThere, skipped, conflicts, withoutPassword, schemes, seconds, perSecond
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

const KEYS: &str = r#"A line, of which only provider_id must be there:
  {"user_id": "9f83c1", "provider": "password", "provider_id": "ann@example.org", "is_admin": false,
   "is_disabled": false, "isEmailConfirmed": true, "metadata": {"key": "value"}, "password": ...}
  user_id     1 to 128 letters, digits or -_.!~*'(); a random one where it is left out
  provider    "password", or "realm" for accounts that nobody signs in to
  metadata    texts by key; its isEmailConfirmed counts where the key itself is left out
  password    a hash as text: PHC ($argon2id$..., $pbkdf2-sha512$..., $scrypt$...) or crypt ($2b$..., $7$...); a record
              of ROS: {"salt": "<base64>", "iterations": 10000, "keyLength": 512, "digest": "sha512",
              "hash": "<base64>"}; or null: nobody signs in until one is set
  generation  as an export has it: sessions of an earlier one have ended; 0 where it is left out

Examples:
  regain users import accounts.jsonl --dry-run
  regain users import accounts.jsonl
  regain users import accounts.jsonl --exact-names     (into a new database)"#;

impl Import {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        if self.file == Path::new("-") {
            bail!("the file is read twice, so stdin cannot be imported: save it into a file first");
        }
        let file = ImportFile::open(&self.file).map_err(|error| self.told(error))?;
        running::block_on(async {
            let is_new = Database::pending_migrations(&config).await?.is_none();
            let there = if is_new { None } else { Some(self.open(&config).await?) };
            let outcome = self.import(&config, &file, there).await;
            outcome.map_err(|error| match error.downcast::<ImportError>() {
                Ok(error) => self.told(error),
                Err(error) => error,
            })
        })
    }

    /// Checks and writes, and closes the store whatever comes of it.
    async fn import(&self, config: &Config, file: &ImportFile, there: Option<Database>) -> Result<String> {
        let begun = Instant::now();
        let checked = self.check(file, there.as_ref()).await;
        if self.dry_run || checked.is_err() {
            if let Some(database) = &there {
                database.close().await;
            }
            return self.summary(&checked?, None, begun.elapsed());
        }
        let checked = checked?;
        let database = match there {
            Some(database) => database,
            None => self.open(config).await?,
        };
        let written = self.write(file, &checked, &database).await;
        database.close().await;
        let written = written?;
        self.name(&written.conflicts);
        let summary = self.summary(&checked, Some(&written), begun.elapsed())?;
        match written.conflicts.count() {
            0 => Ok(summary),
            count => {
                crate::output::say(&summary)?;
                bail!("{count} accounts came into the way of others while this ran, and were not added")
            }
        }
    }

    async fn check(&self, file: &ImportFile, there: Option<&Database>) -> Result<Checked> {
        let there = there.map(Database::store);
        let mode = there.as_ref().map_or(self.mode(), |store| store.key_mode());
        let rng: Arc<dyn Rng> = Arc::new(OsRng);
        let mut teller = Teller::start();
        let mut tell = |progress: Progress| teller.tell(|| line("checking", progress));
        let checked = transfer::check(file, mode, there.as_deref(), &rng, &mut tell).await;
        teller.end();
        Ok(checked?)
    }

    async fn write(&self, file: &ImportFile, checked: &Checked, database: &Database) -> Result<Written> {
        let (store, clock) = (database.store(), database.clock());
        if store.key_mode() != checked.mode {
            bail!("the database was made by another process in between, and compares names in another way");
        }
        let mut teller = Teller::start();
        let mut tell = |progress: Progress| teller.tell(|| line("adding", progress));
        let written = transfer::write(file, checked, &*store, &*clock, &OsRng, &mut tell).await;
        teller.end();
        Ok(written?)
    }

    fn mode(&self) -> KeyMode {
        if self.exact_names { KeyMode::Exact } else { KeyMode::default() }
    }

    async fn open(&self, config: &Config) -> Result<Database> {
        let mut options = DatabaseOptions::with_key_mode(self.mode());
        options.file.busy_timeout = PATIENCE;
        options.postgres.patience = PATIENCE;
        let database = Database::open(config, options).await?;
        if self.exact_names && database.store().key_mode() != KeyMode::Exact {
            bail!(
                "{} takes names that differ by case alone for the same, and that cannot be changed any more: import into \
                 a new database, or leave --exact-names out",
                database.place()
            );
        }
        Ok(database)
    }

    /// An error with the name of the file; what is wrong with its lines is told before.
    fn told(&self, error: ImportError) -> anyhow::Error {
        let file = self.file.display();
        match error {
            ImportError::Wrong(mistakes) => {
                self.name(&mistakes);
                let lines = if mistakes.count() == 1 { "line is" } else { "lines are" };
                anyhow!("{} {lines} wrong in {file}: nothing was imported", mistakes.count())
            }
            error @ (ImportError::Io(_) | ImportError::NotAFile | ImportError::Changed) => {
                anyhow::Error::new(error).context(file.to_string())
            }
            error => error.into(),
        }
    }

    fn name(&self, mistakes: &Mistakes) {
        for (line, mistake) in mistakes.iter() {
            complain(&printable(&format!("{}:{line}: {mistake}", self.file.display())));
        }
        if mistakes.more() > 0 {
            complain(&format!("... and {} more", mistakes.more()));
        }
    }

    fn summary(&self, checked: &Checked, written: Option<&Written>, took: Duration) -> Result<String> {
        let already_there = written.map_or(checked.already_there, |written| written.already_there);
        let added = written.map_or(0, |written| written.added);
        let per_second = rate(checked.accounts, took);
        if self.json {
            return output::pretty(&json!({
                "dryRun": written.is_none(),
                "accounts": checked.accounts,
                "added": added,
                "alreadyThere": already_there,
                "skipped": checked.skipped,
                "conflicts": written.map_or(0, |written| written.conflicts.count()),
                "withoutPassword": checked.without_password,
                "schemes": checked.schemes,
                "seconds": took.as_secs_f64(),
                "perSecond": per_second,
            }))
            .context("the summary cannot be written");
        }
        let mut lines = match written {
            Some(_) => vec![format!("added {added}, already there {already_there} (left as they were)")],
            None => vec![
                format!("{} accounts, and nothing is wrong", checked.accounts),
                format!(
                    "an import would add {}, already there {already_there}",
                    checked.accounts.saturating_sub(already_there)
                ),
            ],
        };
        if checked.skipped > 0 {
            lines.push(format!(
                "left out {}: ROS's built-in administrator; Regain has its own, with a token in keys/admin.json",
                checked.skipped
            ));
        }
        let schemes = checked.schemes.iter().map(|(scheme, count)| format!("{scheme} {count}"));
        let passwords: Vec<String> = schemes.chain([format!("none {}", checked.without_password)]).collect();
        lines.push(format!("passwords: {}", passwords.join(", ")));
        lines.push(format!("took {:.1} s, {per_second} accounts/s", took.as_secs_f64()));
        Ok(lines.join("\n"))
    }
}

fn rate(accounts: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    accounts.saturating_mul(1000) / millis
}

fn line(what: &str, progress: Progress) -> String {
    let percent = progress.bytes * 100 / progress.of.max(1);
    format!("{what}: {} lines, {}%", progress.lines, percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_bytes() {
        let half = Progress { lines: 7, bytes: 50, of: 100 };
        assert_eq!(line("checking", half), "checking: 7 lines, 50%");
        assert_eq!(line("adding", Progress { lines: 0, bytes: 0, of: 0 }), "adding: 0 lines, 0%");
    }
}
