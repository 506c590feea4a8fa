//! What delivering costs: a full outbox against other clients, a relay far away, the time of one mail, a million letters.
//! `cargo bench -p regain-cli --bench delivery`; the method is in `docs/benchmarks.md`.
//!
//! What delivers is the program itself, as an operator starts it, from a data path that was filled before. What is compared
//! runs interleaved, round by round; ratios within a round are what counts. With `--quick` everything is small and
//! the numbers say nothing: that only shows that the bench works.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the load and the null handler are for the other benches")]
mod common;
mod effort;
mod far;
mod full;
mod latency;
mod message;
mod million;
mod outbox;
mod relay;
mod rivals;
#[path = "../common/sink.rs"]
mod sink;

use std::time::Duration;

use anyhow::Result;

/// How much is done.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    /// Letters of a run against a relay nearby, and as many messages of other clients.
    letters: u64,
    /// Messages of a run of nodemailer, which is slower.
    nodemailer: u64,
    /// Letters of a run against a relay far away, and messages of the other client.
    far: u64,
    far_rival: u64,
    /// Time of a run with requests.
    requests: Duration,
    /// Letters that are many, that are few, and that are delivered of each.
    many: u64,
    few: u64,
    delivered: u64,
}

const WHOLE: Scale = Scale {
    rounds: 5,
    letters: 10_000,
    nodemailer: 2_000,
    far: 10_000,
    far_rival: 3_000,
    requests: Duration::from_secs(30),
    many: 1_000_000,
    few: 1_000,
    delivered: 20_000,
};

const QUICK: Scale = Scale {
    rounds: 1,
    letters: 500,
    nodemailer: 100,
    far: 500,
    far_rival: 300,
    requests: Duration::from_secs(2),
    many: 5_000,
    few: 200,
    delivered: 500,
};

fn main() -> Result<()> {
    let (options, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let scale = if options.iter().any(|option| option == "--quick") { QUICK } else { WHOLE };
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["relay", late] => relay::serve(Duration::from_millis(late.parse()?)),
        ["full"] => part(full::run, scale),
        ["far"] => part(far::run, scale),
        ["latency"] => part(latency::run, scale),
        ["million"] => part(million::run, scale),
        [] => {
            for run in [full::run, far::run, latency::run, million::run] {
                part(run, scale)?;
            }
            Ok(())
        }
        _ => anyhow::bail!("parts are: full, far, latency, million"),
    }
}

/// Runs a part and tells how busy the machine was before it and after it, this bench itself counted in.
fn part(run: fn(Scale) -> Result<()>, scale: Scale) -> Result<()> {
    println!("\n(load average of the minute before: {})", load_average()?);
    run(scale)?;
    println!("(load average of the last minute of it: {})", load_average()?);
    Ok(())
}

fn load_average() -> Result<String> {
    let averages = std::fs::read_to_string("/proc/loadavg")?;
    Ok(averages.split(' ').next().unwrap_or_default().to_owned())
}
