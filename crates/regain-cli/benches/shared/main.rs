//! What processes over one database in PostgreSQL do: requests against pgbench, several processes, couriers, claims in a long
//! queue, many accounts. `cargo bench -p regain-cli --bench shared`; the method is in `docs/benchmarks.md`.
//!
//! The cluster is the bench's own, with PostgreSQL's default settings but for `--buffers=SIZE`, and waits for the disk. What is compared runs
//! interleaved, round by round; ratios within a round are what counts. With `--quick` everything is small and the numbers
//! say nothing: that only shows that the bench works.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod accounts;
mod claim;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the null handler and memory are for the other benches")]
mod common;
mod database;
mod mails;
mod pgbench;
mod processes;
mod requests;
mod servers;
#[path = "../common/sink.rs"]
mod sink;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use regain_store::testing::Cluster;

use common::load::{self, Requests};

/// How much is done.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    /// How long a run with requests is.
    run: Duration,
    /// Letters that couriers deliver in a run.
    letters: u64,
    /// Letters that wait while some are claimed: few and many.
    waiting: [u64; 2],
    /// How often some are claimed.
    claims: usize,
    /// Accounts: few and many. As many requests as there are few are made in a run.
    accounts: [u64; 2],
}

const WHOLE: Scale = Scale {
    rounds: 3,
    run: Duration::from_secs(4),
    letters: 5_000,
    waiting: [1_000, 1_000_000],
    claims: 20,
    accounts: [10_000, 10_000_000],
};

const QUICK: Scale = Scale {
    rounds: 1,
    run: Duration::from_secs(2),
    letters: 500,
    waiting: [1_000, 20_000],
    claims: 3,
    accounts: [1_000, 20_000],
};

fn main() -> Result<()> {
    let (options, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let mut scale = if options.iter().any(|option| option == "--quick") { QUICK } else { WHOLE };
    let buffers = options.iter().find_map(|option| option.strip_prefix("--buffers="));
    let buffers = format!("shared_buffers={}", buffers.unwrap_or("128MB"));
    let parts = |parts: &[Part], scale| run_parts(&["max_connections=300", &buffers], parts, scale);
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["load", port, connections, seconds, ref which @ ..] => {
            load::run(port.parse()?, connections.parse()?, seconds.parse()?, &requests_of(which)?)
        }
        ["single", directory, database] => servers::serve_single(directory.as_ref(), database),
        ["requests"] => parts(&[requests::run], scale),
        ["processes"] => parts(&[processes::run], scale),
        ["mails"] => parts(&[mails::run], scale),
        ["claim"] => parts(&[claim::run], scale),
        ["accounts"] => parts(&[accounts::run], scale),
        ["accounts", many] => {
            scale.accounts[1] = many.parse()?;
            parts(&[accounts::run], scale)
        }
        [] => parts(&[requests::run, processes::run, mails::run, claim::run, accounts::run], scale),
        _ => bail!("parts are: requests, processes, mails, claim, accounts [HOW MANY]"),
    }
}

type Part = fn(&Cluster, Scale) -> Result<()>;

/// Runs parts and tells how busy the machine was before each and after it, this bench itself counted in.
fn run_parts(settings: &[&str], parts: &[Part], scale: Scale) -> Result<()> {
    let cluster = Cluster::start(settings);
    for run in parts {
        println!("\n(load average of the minute before: {})", load_average()?);
        run(&cluster, scale)?;
        println!("(load average of the last minute of it: {})", load_average()?);
    }
    Ok(())
}

fn load_average() -> Result<String> {
    let averages = std::fs::read_to_string("/proc/loadavg")?;
    Ok(averages.split(' ').next().unwrap_or_default().to_owned())
}

/// What the load is told to send: requests for resets, each for another address; resets of the accounts with these numbers,
/// each once (`resets COUNT STEP`); the lines of a file, from somewhere in it and round and round.
fn requests_of(which: &[&str]) -> Result<Requests> {
    match which {
        [] => Ok(load::resets()),
        ["resets", count, step] => {
            let (count, step) = (count.parse::<usize>()?, step.parse::<u64>()?);
            let next = AtomicUsize::new(0);
            Ok(Arc::new(move || {
                let number = next.fetch_add(1, Ordering::Relaxed);
                (number < count).then(|| load::ask(number as u64 * step))
            }))
        }
        ["cycle", file] => {
            let script = accounts::read_script(Path::new(file))?;
            // Runs that follow each other are to meet other accounts.
            let next = AtomicUsize::new(usize::try_from(std::process::id())?.wrapping_mul(7_919));
            Ok(Arc::new(move || script.get(next.fetch_add(1, Ordering::Relaxed) % script.len()).cloned()))
        }
        _ => bail!("no such requests: {which:?}"),
    }
}
