//! The yardstick for sign-ins and resets: Argon2id and nothing else, at Regain's cost, on as many threads as cores, each
//! with one block array that it uses again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use regain_core::HashCost;

use crate::{cores, data};

/// Hashes a second on all cores together.
pub(crate) fn rate(run: Duration) -> Result<f64> {
    let begin = Instant::now();
    let hashed: Result<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(|| hash_until(begin + run))).collect();
        threads.into_iter().map(|thread| thread.join().ok().context("a thread panicked")?).sum()
    });
    Ok(hashed? as f64 / begin.elapsed().as_secs_f64())
}

fn hash_until(end: Instant) -> Result<usize> {
    let HashCost { memory_kib, passes } = HashCost::default();
    let params = Params::new(memory_kib, passes, 1, Some(32)).ok().context("the cost of a hash")?;
    let mut blocks = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hashed = 0;
    while Instant::now() < end {
        let mut output = [0; 32];
        let done = argon2.hash_password_into_with_memory(
            data::PASSWORD.as_bytes(),
            &[7; 16],
            &mut output,
            &mut blocks[..],
        );
        done.ok().context("a hash")?;
        std::hint::black_box(output);
        hashed += 1;
    }
    Ok(hashed)
}
