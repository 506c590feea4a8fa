//! Other programs: `smtp-sink`, `smtp-source` (Postfix), and nodemailer.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::message::Message;

/// Where Debian puts what only administrators run.
const SBIN: &str = "/usr/sbin";
const PATIENCE: Duration = Duration::from_secs(10);
/// Whose dependencies nodemailer is taken from: `npm ci` there installs the version that the lock file names.
const NODE_PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/package.json");
const NODE_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/delivery/nodemailer.mjs");

/// A relay that takes everything. Ends when it is dropped.
pub(crate) struct Sink {
    child: Child,
    pub(crate) port: u16,
}

impl Sink {
    pub(crate) fn start() -> Result<Self> {
        // The port is free again for the moment until the sink has it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = postfix("smtp-sink");
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .args([&format!("127.0.0.1:{port}"), "1024"])
            .spawn()
            .context("smtp-sink of Postfix is needed")?;
        let sink = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "smtp-sink does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(sink)
    }

    pub(crate) fn url(&self, connections: usize) -> String {
        format!("smtp://127.0.0.1:{}?maxConnections={connections}", self.port)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Messages a second of `smtp-source`, which keeps its connections and does not pipeline.
pub(crate) fn smtp_source(port: u16, connections: usize, messages: u64, message: &Message) -> Result<f64> {
    let mut command = postfix("smtp-source");
    command
        .args(["-d", "-s", &connections.to_string(), "-m", &messages.to_string()])
        .args(["-f", &message.from, "-t", &message.to])
        .arg("-F")
        .arg(&message.source)
        .arg(format!("127.0.0.1:{port}"));
    let begin = Instant::now();
    let status = command.status().context("smtp-source of Postfix is needed")?;
    let took = begin.elapsed();
    ensure!(status.success(), "smtp-source ended with {status}");
    Ok(messages as f64 / took.as_secs_f64())
}

/// What nodemailer is given.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    /// Text and HTML, of which it makes a mail.
    Parts,
    /// The whole mail.
    Raw,
}

/// Messages a second of nodemailer's pool, without the time that Node takes to start.
pub(crate) fn nodemailer(
    port: u16,
    connections: usize,
    messages: u64,
    message: &Message,
    given: Given,
) -> Result<f64> {
    let given = match given {
        Given::Parts => "parts",
        Given::Raw => "raw",
    };
    let output = Command::new("node")
        .args([Path::new(NODE_SCRIPT), Path::new(NODE_PROJECT), &message.parts])
        .args([port.to_string(), connections.to_string(), messages.to_string()])
        .arg(given)
        .stderr(Stdio::inherit())
        .output()
        .context("Node is needed")?;
    ensure!(output.status.success(), "nodemailer is needed: npm ci in e2e");
    let took: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(messages as f64 / took * 1e3)
}

fn postfix(name: &str) -> Command {
    let installed = Path::new(SBIN).join(name);
    Command::new(if installed.exists() { installed } else { name.into() })
}
