//! What accounts cost: signing in, completing a reset, memory, a million of them, looking one up, importing.
//! `cargo bench -p regain-cli --bench accounts`; the method is in `docs/benchmarks.md`.
//!
//! What serves is the program itself, as an operator starts it, without limits on clients. What is compared runs
//! interleaved, round by round; ratios within a round are what counts.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod bare;
#[path = "../common/mod.rs"]
mod common;
mod data;
mod import;
mod look_up;
mod memory;
mod million;
mod reset;
mod server;
mod sign_in;
mod wire;

use std::time::Duration;

use anyhow::Result;

use common::{load, null};

/// Rounds of a comparison, and the time of a run.
const ROUNDS: usize = 5;
const RUN: Duration = Duration::from_secs(4);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["null"] => runtime()?.block_on(null::serve()),
        ["load", port, connections, seconds, ref which @ ..] => {
            load::run(port.parse()?, connections.parse()?, seconds.parse()?, &wire::requests(which)?)
        }
        ["sign-in"] => part(sign_in::run),
        ["reset"] => part(reset::run),
        ["memory"] => part(memory::run),
        ["million"] => part(million::run),
        ["look-up"] => part(look_up::run),
        ["import"] => part(import::run),
        [] => {
            for run in [sign_in::run, reset::run, memory::run, million::run, look_up::run, import::run] {
                part(run)?;
            }
            Ok(())
        }
        _ => anyhow::bail!("parts are: sign-in, reset, memory, million, look-up, import"),
    }
}

/// Runs a part and tells how busy the machine was before it.
fn part(run: fn() -> Result<()>) -> Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("\n(load average of the minute before: {})", load.split(' ').next().unwrap_or_default());
    run()
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Connections that keep every hashing thread busy and leave the queue short: two a core.
fn few() -> usize {
    2 * cores()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
