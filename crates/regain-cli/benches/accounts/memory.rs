//! What 64 sign-ins at once do to the memory of the program.

use std::time::Duration;

use anyhow::Result;

use crate::common::program::memory_kib;
use crate::data::Data;
use crate::{cores, server, wire};

const STARTS: usize = 3;
const AT_ONCE: usize = 64;
const RUN: Duration = Duration::from_secs(10);
/// The time it takes to settle.
const REST: Duration = Duration::from_secs(2);
/// Threads that hash give their memory back after a minute without work.
const LONG_REST: Duration = Duration::from_secs(70);
/// What a hash takes, and what everything else may.
const HASH_MIB: usize = 19;
const ALLOWANCE_MIB: usize = 10;

pub(crate) fn run() -> Result<()> {
    println!("## Memory with {AT_ONCE} sign-ins at once for {} s, in MiB ({STARTS} starts)\n", RUN.as_secs());
    println!(
        "| idle | peak | bound | right after | after {} s |\n|---|---|---|---|---|",
        LONG_REST.as_secs()
    );
    let data = Data::with_accounts(AT_ONCE as u64)?;
    for _ in 0..STARTS {
        let server = server::start(data.directory(), server::NO_RELAY)?;
        let now = |which| memory_kib(server.id(), which).map(|kib| kib as f64 / 1024.0);
        std::thread::sleep(REST);
        let idle = now("VmRSS")?;
        server.load(AT_ONCE, RUN, &wire::cycle(&data.sign_ins()))?;
        let (peak, after) = (now("VmHWM")?, now("VmRSS")?);
        std::thread::sleep(LONG_REST);
        let rested = now("VmRSS")?;
        let bound = idle + (cores() * HASH_MIB + ALLOWANCE_MIB) as f64;
        println!("| {idle:.1} | {peak:.1} | {bound:.1} | {after:.1} | {rested:.1} |");
    }
    Ok(())
}
