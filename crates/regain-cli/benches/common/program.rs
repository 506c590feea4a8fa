//! The real program, as an operator starts it, and what it weighs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The path of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_regain");

/// The program with these arguments, in a directory of its own, with its data under `data` and mail to this relay.
pub(crate) fn command<const N: usize>(arguments: [&str; N], directory: &Path, relay: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(directory)
        .env("REGAIN_PORT", "0")
        .env("REGAIN_DATA_PATH", "data")
        .env("REGAIN_AUTH_PROVIDERS__0__TYPE", "password")
        .env("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__CONNECTION_STRING", relay)
        .env("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__FROM", "bench@example.org")
        .env("REGAIN_PUBLIC_URL", "http://localhost:9080")
        .stderr(Stdio::null());
    command
}

/// `VmRSS` (memory that is resident now) or `VmHWM` (the most that ever was) of a process, in KiB.
pub(crate) fn memory_kib(process: u32, which: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    Ok(line.context("no such line")?.split_whitespace().next().context("a number")?.parse()?)
}
