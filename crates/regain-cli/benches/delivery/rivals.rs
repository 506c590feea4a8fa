//! Other programs: `smtp-source` (Postfix) and nodemailer.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::message::Message;
use crate::sink::postfix;

/// Whose dependencies nodemailer is taken from: `npm ci` there installs the version that the lock file names.
const NODE_PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/package.json");
const NODE_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/delivery/nodemailer.mjs");

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
