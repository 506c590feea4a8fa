//! The programs that are measured, each a process of its own, over one database.

use std::path::{Path, PathBuf};

use anyhow::Result;
use regain::app::{DatabaseOptions, GRACE};
use regain::config::{Config, EmailHandlerConfig, PasswordAuthProvider};
use regain::http::server::{ServerLimits, serve as serve_http};
use regain::{Delivery, Regain};
use regain_core::Limits;
use regain_smtp::{Sender, Settings};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::common::process::{self, Serving};
use crate::common::program;
use crate::database::{Database, runtime};

/// A relay that is not there, for what sends no mail.
const NO_RELAY: &str = "smtp://127.0.0.1:1";

/// A directory in which all programs over one database are started, so that they have the same keys.
pub(crate) struct Home {
    directory: TempDir,
    database: String,
}

impl Home {
    pub(crate) fn of(database: &Database) -> Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, database: database.url.clone() })
    }

    /// The program as an operator starts it, without a courier.
    pub(crate) fn server(&self) -> Result<Serving> {
        let mut command = program::command(["serve", "--no-courier"], self.path(), NO_RELAY);
        Serving::start(self.without_limits(&mut command))
    }

    /// The program as an operator starts it, with its courier.
    pub(crate) fn whole(&self, relay: &str) -> Result<Serving> {
        let mut command = program::command(["serve"], self.path(), relay);
        Serving::start(self.without_limits(&mut command))
    }

    /// The same as the program without a courier, but with a transaction for each request.
    pub(crate) fn single(&self) -> Result<Serving> {
        let mut command = process::myself(["single"])?;
        Serving::start(command.arg(self.data()).arg(&self.database))
    }

    fn without_limits<'a>(&self, command: &'a mut std::process::Command) -> &'a mut std::process::Command {
        command
            .env("REGAIN_LOG", "warn")
            .env("REGAIN_DATABASE", &self.database)
            .env("REGAIN_LIMITS__PER_CLIENT", "false")
            .env("REGAIN_LIMITS__WAITING_LETTERS", "false")
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The settings of the programs.
    pub(crate) fn config(&self) -> Result<Config> {
        config(&self.data(), &self.database)
    }
}

fn config(data: &Path, database: &str) -> Result<Config> {
    let limits =
        Limits { sign_in: None, register: None, mail: None, token_guesses: None, ..Limits::default() };
    let limits = Limits { waiting_letters: None, ..limits };
    let email = EmailHandlerConfig::new(Settings::parse(NO_RELAY)?, Sender::parse("bench@example.org")?);
    Ok(Config {
        data_path: data.to_owned(),
        database: Some(database.parse()?),
        limits,
        auth_provider: PasswordAuthProvider { email_handler_config: Some(email) },
        ..Config::default()
    })
}

/// What a server process with a transaction for each request does: prints its port, and serves until its standard input is
/// closed.
pub(crate) fn serve_single(data: &Path, database: &str) -> Result<()> {
    let mut options = DatabaseOptions::default();
    options.postgres.one_transaction_per_post = true;
    runtime()?.block_on(async {
        let regain = Regain::open_with(&config(data, database)?, Delivery::Relay, options).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        process::announce(listener.local_addr()?.port())?;
        serve_http(listener, regain.router(), ServerLimits::default(), CancellationToken::new(), GRACE).await;
        Ok(())
    })
}
