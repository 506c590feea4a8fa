//! The numbers of the main job. `cargo bench -p regain-cli --bench main_job`; the method is in `docs/benchmarks.md`.
//!
//! Everything runs on one machine: servers and load are processes of their own, and what is compared runs interleaved,
//! round by round, so that a noisy neighbour hits all alike. Ratios within a round are what counts.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

#[path = "../common/mod.rs"]
mod common;
mod latency;
mod servers;

use std::time::Duration;

use anyhow::Result;

use common::load;
use common::program::PROGRAM;
use common::report::Table;
use servers::Kind;

/// Rounds of the comparison, seconds a run, connections.
const ROUNDS: usize = 5;
const RUN: Duration = Duration::from_secs(4);
const CONNECTIONS: [usize; 2] = [64, 256];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", kind, directory] => servers::serve(Kind::of(kind)?, directory.as_ref()),
        ["load", port, connections, seconds] => {
            load::run(port.parse()?, connections.parse()?, seconds.parse()?, &load::resets())
        }
        ["size"] => size(),
        ["latency"] => latency::run(),
        ["requests"] => requests(),
        [] => {
            size()?;
            requests()?;
            latency::run()
        }
        _ => anyhow::bail!("parts are: requests, latency, size"),
    }
}

/// Accepted reset requests a second against a null handler of the same server, and against one transaction a request.
fn requests() -> Result<()> {
    println!("\n## Accepted reset requests a second ({ROUNDS} rounds of {} s a run)\n", RUN.as_secs());
    let kinds = [Kind::Null, Kind::Grouped, Kind::GroupedWithCourier, Kind::Single];
    for connections in CONNECTIONS {
        let mut table = Table::new("per second", kinds.map(Kind::name));
        for _ in 0..ROUNDS {
            let mut round = Vec::new();
            for kind in kinds {
                round.push(kind.measure(connections, RUN)?);
            }
            table.add(round);
        }
        println!("{connections} connections:\n\n{table}");
    }
    Ok(())
}

/// What the program weighs: its file, its memory at rest, its time from start to ready.
fn size() -> Result<()> {
    println!("\n## The program\n");
    println!("size of the binary: {:.1} MiB", std::fs::metadata(PROGRAM)?.len() as f64 / (1 << 20) as f64);
    let weight = servers::weigh()?;
    println!("first start to ready (keys made): {} ms", weight.first_start.as_millis());
    println!(
        "later starts to ready (median of {}): {} ms",
        weight.later_starts.len(),
        weight.median_start().as_millis()
    );
    println!("resident memory when idle: {:.1} MiB", weight.idle_kib as f64 / 1024.0);
    Ok(())
}
