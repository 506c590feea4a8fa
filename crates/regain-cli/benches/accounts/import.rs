//! `regain users import`: how fast, and whether its memory grows with the file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use regain_core::{AccountId, HashCost, HashPool, OsRng, Password};

use crate::common::report::Table;
use crate::common::{load, program};
use crate::{data, runtime, server};

const ROUNDS: usize = 3;
const SIZES: [u64; 2] = [10_000, 100_000];
const NAMES: [&str; 2] = ["10,000 accounts", "100,000 accounts"];
/// How often the memory is looked at. The kernel keeps the peak, so only what grows after the last look is missed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

pub(crate) fn run() -> Result<()> {
    println!("## regain users import ({ROUNDS} rounds, each into a fresh database)\n");
    let files = tempfile::tempdir()?;
    let hash = one_hash()?;
    let mut rates = Table::new("accounts per second", NAMES);
    let mut peaks = Table::new("peak, MiB", NAMES);
    for size in SIZES {
        write_file(&files.path().join(size.to_string()), size, &hash)?;
    }
    for _ in 0..ROUNDS {
        let (mut rate, mut peak) = (Vec::new(), Vec::new());
        for size in SIZES {
            let (took, kib) = import(&files.path().join(size.to_string()))?;
            rate.push(size as f64 / took.as_secs_f64());
            peak.push(kib as f64 / 1024.0);
        }
        rates.add(rate);
        peaks.add(peak);
    }
    println!("{rates}\n{peaks}");
    Ok(())
}

fn one_hash() -> Result<String> {
    let pool = HashPool::start(HashCost::default(), std::sync::Arc::new(OsRng))?;
    let hash = runtime()?.block_on(pool.hash(&Password::parse(data::PASSWORD)?))?;
    Ok(hash.as_str().to_owned())
}

/// A line an account, as an export writes it.
fn write_file(path: &Path, size: u64, hash: &str) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..size {
        let (id, name) = (AccountId::random(&OsRng)?, load::name(number));
        writeln!(
            file,
            r#"{{"user_id":"{id}","provider":"password","provider_id":"{name}","is_admin":false,"is_disabled":false,"isEmailConfirmed":true,"metadata":{{"plan":"basic"}},"password":"{hash}"}}"#
        )?;
    }
    Ok(file.flush()?)
}

/// From the start of the command to its end, and the most memory it had.
fn import(file: &Path) -> Result<(Duration, u64)> {
    let directory = tempfile::tempdir()?;
    let mut command = program::command(["users", "import"], directory.path(), server::NO_RELAY);
    let begin = Instant::now();
    let mut child = command.arg(file).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // Between its end and our hearing of it there is nothing to read any more.
        peak = program::memory_kib(child.id(), "VmHWM").unwrap_or(peak);
        std::thread::sleep(BETWEEN_LOOKS);
    };
    let took = begin.elapsed();
    ensure!(status.success(), "the import failed: {status}");
    Ok((took, peak))
}
