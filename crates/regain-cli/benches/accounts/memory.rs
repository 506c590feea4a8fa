//! What 64 sign-ins at once do to the memory of the program.

use std::time::Duration;

use anyhow::Result;

use crate::common::process::Serving;
use crate::common::program::memory_kib;
use crate::data::Data;
use crate::{cores, server, wire};

const STARTS: usize = 3;
const AT_ONCE: u64 = 64;
const RUN: Duration = Duration::from_secs(10);
/// The time it takes to start.
const SHORT_REST: Duration = Duration::from_secs(2);
/// Threads that hash give their memory back after a minute without work, and one of them hashes at the start.
const REST: Duration = Duration::from_secs(70);
/// What a hash takes, and what everything else may.
const HASH_MIB: usize = 19;
const ALLOWANCE_MIB: usize = 10;

pub(crate) fn run() -> Result<()> {
    println!(
        "## Memory with {AT_ONCE} sign-ins at once for {} s, in MiB ({STARTS} processes)\n",
        RUN.as_secs()
    );
    println!(
        "| just started | idle | peak | bound | right after | after {0} s |\n|---|---|---|---|---|---|",
        REST.as_secs()
    );
    let data: Vec<Data> = (0..STARTS).map(|_| Data::with_accounts(AT_ONCE)).collect::<Result<_>>()?;
    let start = |data: &Data| server::start(data.directory(), server::NO_RELAY);
    let servers: Vec<Serving> = data.iter().map(start).collect::<Result<_>>()?;
    std::thread::sleep(SHORT_REST);
    let started = all(&servers, "VmRSS")?;
    std::thread::sleep(REST);
    let idle = all(&servers, "VmRSS")?;
    let mut peak = Vec::new();
    let mut after = Vec::new();
    for (server, data) in servers.iter().zip(&data) {
        server.load(usize::try_from(AT_ONCE)?, RUN, &wire::cycle(&data.sign_ins()))?;
        peak.push(mib(server, "VmHWM")?);
        after.push(mib(server, "VmRSS")?);
    }
    std::thread::sleep(REST);
    let rested = all(&servers, "VmRSS")?;
    for i in 0..STARTS {
        let bound = idle[i] + (cores() * HASH_MIB + ALLOWANCE_MIB) as f64;
        println!(
            "| {:.1} | {:.1} | {:.1} | {bound:.1} | {:.1} | {:.1} |",
            started[i], idle[i], peak[i], after[i], rested[i]
        );
    }
    Ok(())
}

fn all(servers: &[Serving], which: &str) -> Result<Vec<f64>> {
    servers.iter().map(|server| mib(server, which)).collect()
}

fn mib(server: &Serving, which: &str) -> Result<f64> {
    Ok(memory_kib(server.id(), which)? as f64 / 1024.0)
}
