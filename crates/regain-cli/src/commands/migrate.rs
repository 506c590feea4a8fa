//! `regain migrate`: the schema, apart from any start; and the way from SQLite to PostgreSQL.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use regain::Config;
use regain::app::{Database, DatabaseOptions, database_path};
use regain_core::OsRng;
use regain_store::PostgresSettings;
use regain_store::moving::{MoveOptions, Moved, Phase, Progress, move_to_postgres};

use super::progress::Teller;
use crate::exit::misconfigured;
use crate::output::{self, grouped};
use crate::settings::ConfigFile;
use crate::{logging, running};

/// Bring the database's schema up to date, or move from SQLite to PostgreSQL.
///
/// A server brings the schema up to date itself when it starts; this is for those who want it done before, or by another
/// user of PostgreSQL.
#[derive(Args)]
#[command(after_help = WALK)]
pub(crate) struct Migrate {
    /// Move everything from regain.db in the data path into the empty PostgreSQL database that `database` names
    #[arg(long)]
    to_postgres: bool,
    #[command(flatten)]
    config: ConfigFile,
}

const WALK: &str = "From SQLite to PostgreSQL:
  1. Stop the server.
  2. Make an empty database, and name it in the configuration: database = \"postgres://...\"
  3. regain migrate --to-postgres
  4. Start the server.
  Where the third step is interrupted, run it again: it goes on where it was. In the end both sides are read and compared;
  until they are the same, no server starts on the database. The file stays as it is. Way back: take `database` out of the
  configuration again; what came after the move is in PostgreSQL alone.

Examples:
  regain migrate
  regain migrate --config /etc/regain/regain.toml
  regain migrate --to-postgres";

impl Migrate {
    pub(crate) fn run(&self) -> Result<()> {
        // What is waited for is told there.
        logging::start()?;
        let config = self.config.load()?;
        let told = if self.to_postgres { moving(&config)? } else { migrating(&config)? };
        output::say(&told)?;
        Ok(())
    }
}

fn migrating(config: &Config) -> Result<String> {
    running::block_on(async {
        let pending = Database::pending_migrations(config).await?;
        let database = Database::open(config, DatabaseOptions::default()).await?;
        let place = database.place();
        database.close().await;
        Ok(match pending {
            None => format!("{place} was made"),
            Some(0) => format!("{place} has the schema of this version already"),
            Some(1) => format!("{place}: 1 migration was applied"),
            Some(count) => format!("{place}: {count} migrations were applied"),
        })
    })
}

fn moving(config: &Config) -> Result<String> {
    let Some(settings) = &config.database else {
        return Err(misconfigured(
            "the configuration names no PostgreSQL database to move to: write database = \"postgres://USER@HOST/NAME\" \
             into it (or set REGAIN_DATABASE)",
        ));
    };
    let begun = Instant::now();
    let moved = running::block_on(async {
        let mut teller = Teller::start();
        let mut tell = |progress| {
            teller.tell(|| line(progress));
            ControlFlow::Continue(())
        };
        let file = database_path(config);
        let moved = move_to_postgres(&file, settings, &OsRng, MoveOptions::default(), &mut tell).await;
        teller.end();
        Ok(moved?)
    })?;
    Ok(summary(config, settings, &moved, begun.elapsed()))
}

fn line(progress: Progress) -> String {
    let what = match progress.phase {
        Phase::Copying => "copying",
        Phase::Verifying => "comparing",
    };
    let (rows, of) = (grouped(progress.rows), grouped(progress.of));
    format!("{what} {}: {rows} of {of} rows", progress.table)
}

fn summary(config: &Config, settings: &PostgresSettings, moved: &Moved, took: Duration) -> String {
    let mut rows = vec![["table".to_owned(), "rows".to_owned(), "SHA-256".to_owned()]];
    let shortened = |checksum: String| checksum.chars().take(12).collect();
    rows.extend(
        moved
            .tables
            .iter()
            .map(|sum| [sum.table.to_owned(), grouped(sum.rows), shortened(sum.checksum.to_string())]),
    );
    let goes_on = if moved.was_begun { ", going on with an earlier run" } else { "" };
    let mut told = format!(
        "{}\nmoved to {settings} in {:.1} s{goes_on}; both sides were read again, and are the same\n",
        output::table(&rows),
        took.as_secs_f64()
    );
    if moved.given_back > 0 {
        let letters = if moved.given_back == 1 { "letter that was" } else { "letters that were" };
        told += &format!("{} {letters} in hand when the server ended wait again\n", moved.given_back);
    }
    told + &format!(
        "{} is left as it is, and is not used any more as long as the configuration names `database`; keys/ stays in use. \
         The server can be started",
        database_path(config).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_done_and_how_far() {
        let half = Progress { phase: Phase::Copying, table: "accounts", rows: 5000, of: 1_000_000 };
        assert_eq!(line(half), "copying accounts: 5,000 of 1,000,000 rows");
        let half = Progress { phase: Phase::Verifying, ..half };
        assert_eq!(line(half), "comparing accounts: 5,000 of 1,000,000 rows");
    }
}
