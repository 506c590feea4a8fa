//! The servers that are measured, each a process of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use regain::app::{DatabaseOptions, GRACE};
use regain::config::{Config, EmailHandlerConfig, PasswordAuthProvider};
use regain::http::server::{ServerLimits, serve as serve_http};
use regain::mail::Mailbox;
use regain::{Delivery, Regain};
use regain_core::Limits;
use regain_smtp::{Sender, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::common::process::{self, Serving};
use crate::common::{null, program};

/// What is behind the port.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// The accept loop and a handler that reads the body, parses the JSON and answers `{}`.
    Null,
    /// Regain, without its courier.
    Grouped,
    /// Regain, with its courier working on what comes in.
    GroupedWithCourier,
    /// Regain without its courier, one transaction a request.
    Single,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Null => "null handler",
            Kind::Grouped => "regain",
            Kind::GroupedWithCourier => "regain, courier busy",
            Kind::Single => "one transaction a request",
        }
    }

    pub(crate) fn of(name: &str) -> Result<Self> {
        let kinds = [Kind::Null, Kind::Grouped, Kind::GroupedWithCourier, Kind::Single];
        kinds.into_iter().find(|k| k.name() == name).context("a kind of server")
    }

    /// Requests a second that were answered 200, by a server with a fresh database.
    pub(crate) fn measure(self, connections: usize, run: Duration) -> Result<f64> {
        let directory = tempfile::tempdir()?;
        let server = Serving::start(process::myself(["serve", self.name()])?.arg(directory.path()))?;
        server.load(connections, run, &[])
    }
}

/// The settings of the servers: no limits, all mail into a mailbox.
pub(crate) fn config(directory: &Path) -> Result<Config> {
    let limits =
        Limits { sign_in: None, register: None, mail: None, token_guesses: None, ..Limits::default() };
    let limits = Limits { waiting_letters: None, ..limits };
    let connection = Settings::parse("smtp://127.0.0.1:25")?;
    let email = EmailHandlerConfig::new(connection, Sender::parse("bench@example.org")?);
    Ok(Config {
        data_path: directory.to_owned(),
        limits,
        auth_provider: PasswordAuthProvider { email_handler_config: Some(email) },
        ..Config::default()
    })
}

/// What a server process does: prints its port, and serves until its standard input is closed.
pub(crate) fn serve(kind: Kind, directory: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if matches!(kind, Kind::Null) {
            return null::serve().await;
        }
        let mut database = DatabaseOptions::default();
        database.file.one_transaction_per_step = matches!(kind, Kind::Single);
        let delivery = Delivery::Mailbox(Mailbox::default());
        let regain = Regain::open_with(&config(directory)?, delivery, database).await.context("regain")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        process::announce(listener.local_addr()?.port())?;
        let stop = CancellationToken::new();
        if matches!(kind, Kind::GroupedWithCourier) {
            regain.serve(listener, None, stop).await;
        } else {
            serve_http(listener, regain.router(), ServerLimits::default(), stop, GRACE).await;
        }
        Ok(())
    })
}

/// What the program weighs.
pub(crate) struct Weight {
    pub(crate) first_start: Duration,
    pub(crate) later_starts: Vec<Duration>,
    pub(crate) idle_kib: u64,
}

impl Weight {
    pub(crate) fn median_start(&self) -> Duration {
        let mut times = self.later_starts.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }
}

/// Starts the real program as an operator does and looks at it.
pub(crate) fn weigh() -> Result<Weight> {
    let directory = tempfile::tempdir()?;
    let start = || -> Result<(Serving, Duration)> {
        let begin = Instant::now();
        let serving =
            Serving::start(&mut program::command(["serve"], directory.path(), "smtp://127.0.0.1:25"))?;
        Ok((serving, begin.elapsed()))
    };
    let (mut serving, first_start) = start()?;
    let mut later_starts = Vec::new();
    for _ in 0..9 {
        drop(serving);
        let (next, took) = start()?;
        serving = next;
        later_starts.push(took);
    }
    // The time it takes to settle is the point here: what is left once start-up is done.
    std::thread::sleep(Duration::from_secs(2));
    let idle_kib = program::memory_kib(serving.id(), "VmRSS")?;
    Ok(Weight { first_start, later_starts, idle_kib })
}
