//! The servers that are measured, each a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use regain::app::GRACE;
use regain::config::{Config, EmailHandlerConfig, PasswordAuthProvider};
use regain::http::server::{ServerLimits, serve as serve_http};
use regain::mail::Mailbox;
use regain::{Delivery, Regain};
use regain_core::Limits;
use regain_smtp::{Sender, Settings};
use regain_store::Options;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
}

/// A server process; ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    // Closing it tells the child to end.
    _stdin: ChildStdin,
    pub(crate) port: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind.name()])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("a pipe")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        Ok(Self { child, _stdin: stdin, port: line.trim().parse()?, _directory: directory })
    }

    /// Requests a second that were answered 200.
    pub(crate) fn load(&self, connections: usize, run: Duration) -> Result<f64> {
        let arguments =
            ["load".to_owned(), self.port.to_string(), connections.to_string(), run.as_secs().to_string()];
        let output =
            Command::new(std::env::current_exe()?).args(arguments).stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let accepted: f64 = text.split_whitespace().next().context("the load failed")?.parse()?;
        Ok(accepted / run.as_secs_f64())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let stop = CancellationToken::new();
        let announce = move || {
            println!("{port}");
            std::io::stdout().flush()
        };
        let database =
            Options { one_transaction_per_step: matches!(kind, Kind::Single), ..Options::default() };
        let open = async || {
            Regain::open_with(&config(directory)?, Delivery::Mailbox(Mailbox::default()), database)
                .await
                .context("regain")
        };
        let limits = ServerLimits::default();
        match kind {
            Kind::Null => {
                let router = Router::new().route("/auth/password/updateAccount", post(null));
                announce()?;
                serve_http(listener, router, limits, stop, GRACE).await;
            }
            Kind::Grouped | Kind::Single => {
                let regain = open().await?;
                announce()?;
                serve_http(listener, regain.router(), limits, stop, GRACE).await;
            }
            Kind::GroupedWithCourier => {
                let regain = open().await?;
                announce()?;
                regain.serve(listener, None, stop).await;
            }
        }
        Ok(())
    })
}

async fn null(body: Bytes) -> ([(header::HeaderName, &'static str); 1], &'static str) {
    let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&body);
    let answer = if parsed.is_ok_and(|v| v["provider_id"].is_string()) { "{}" } else { "" };
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], answer)
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
pub(crate) fn weigh(binary: &str) -> Result<Weight> {
    let directory = tempfile::tempdir()?;
    let start = || -> Result<(Child, Duration)> {
        let begin = Instant::now();
        let mut child = Command::new(binary)
            .arg("serve")
            .current_dir(directory.path())
            .env("REGAIN_PORT", "0")
            .env("REGAIN_DATA_PATH", "data")
            .env("REGAIN_AUTH_PROVIDERS__0__TYPE", "password")
            .env("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__CONNECTION_STRING", "smtp://127.0.0.1:25")
            .env("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__FROM", "bench@example.org")
            .env("REGAIN_PUBLIC_URL", "http://localhost:9080")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let took = begin.elapsed();
        if !line.contains("listening") {
            bail!("the program does not start: {line}");
        }
        Ok((child, took))
    };
    let (mut child, first_start) = start()?;
    let mut later_starts = Vec::new();
    for _ in 0..9 {
        end(&mut child)?;
        let (next, took) = start()?;
        child = next;
        later_starts.push(took);
    }
    // The time it takes to settle is the point here: what is left once start-up is done.
    std::thread::sleep(Duration::from_secs(2));
    let idle_kib = resident_kib(child.id())?;
    end(&mut child)?;
    Ok(Weight { first_start, later_starts, idle_kib })
}

fn end(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn resident_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}
