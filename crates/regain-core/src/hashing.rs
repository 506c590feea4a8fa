//! Argon2id on as many threads as there are cores, each with one block array that it uses again.
//!
//! Hashing is the one expensive thing that a stranger can ask for, so its memory is bounded by the threads and
//! its queue by [`MAX_WAITING`]; beyond that the answer is "busy".

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use phc::{Ident, Output, ParamsString, Salt};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::password::{Password, PasswordHash};
use crate::rng::{self, Rng};

/// How many may wait for a thread.
pub const MAX_WAITING: usize = 64;
/// How long a thread keeps its block array without work.
const IDLE: Duration = Duration::from_secs(60);
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// The cost of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for HashCost {
    /// 19 MiB, two passes, one lane (OWASP Password Storage).
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl HashCost {
    /// As little as Argon2id allows: for tests alone.
    #[cfg(any(test, feature = "testing"))]
    pub const CHEAP: Self = Self { memory_kib: 8, passes: 1 };
}

/// What came of comparing a password with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password, and the hash is of today's cost.
    Right,
    /// It is the password, but it should be hashed again.
    RightButOutdated,
    /// It is not the password, or there is none.
    Wrong,
}

/// Why a password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many are waiting.
    #[error("too many passwords are being hashed")]
    Busy,
    /// No randomness, no memory, or the pool is gone.
    #[error("the password could not be hashed")]
    Failed,
}

/// The threads that hash. Dropping it ends them once their queue is empty.
pub struct HashPool {
    queue: Arc<Queue>,
    rng: Arc<dyn Rng>,
    cost: HashCost,
    dummy: PasswordHash,
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl HashPool {
    /// Starts one thread a core, with a dummy hash so that unknown names cost what known ones do.
    ///
    /// # Errors
    /// When there is no randomness or no thread to be had.
    pub fn start(cost: HashCost, rng: Arc<dyn Rng>) -> Result<Self, HashError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let queue = Arc::new(Queue::default());
        for i in 0..threads {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("hash-{i}"))
                .spawn(move || queue.work())
                .map_err(|_| HashError::Failed)?;
        }
        let dummy = dummy(cost, &*rng)?;
        Ok(Self { queue, rng, cost, dummy })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// When too many wait, or nothing can be hashed.
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let (password, rng, cost) = (password.clone(), self.rng.clone(), self.cost);
        self.run(move |blocks| hash(password.expose(), cost, &*rng, blocks)).await?
    }

    /// Compares a password with a hash; where there is no hash, with a dummy of the same cost.
    ///
    /// # Errors
    /// When too many wait, or nothing can be hashed.
    pub async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, HashError> {
        let (password, cost) = (password.clone(), self.cost);
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).clone();
        let verdict = self.run(move |blocks| verify(password.expose(), &stored, cost, blocks)).await??;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, result) = oneshot::channel();
        self.queue.push(Box::new(move |blocks| {
            // A client that has gone away is not worth 50 ms of a core.
            if !answer.is_closed() {
                let _ = answer.send(work(blocks));
            }
        }))?;
        result.await.map_err(|_| HashError::Failed)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), HashError> {
        let mut state = self.lock();
        if state.jobs.len() >= MAX_WAITING {
            return Err(HashError::Busy);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut blocks = Vec::new();
        while let Some(job) = self.next(&mut blocks) {
            job(&mut blocks);
        }
    }

    /// Waits for a job; gives the memory back after a while without one.
    fn next(&self, blocks: &mut Vec<Block>) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            let (next, waited) =
                self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if waited.timed_out() && !blocks.is_empty() {
                blocks.fill(Block::default());
                *blocks = Vec::new();
            }
        }
    }
}

fn hash(
    password: &[u8],
    cost: HashCost,
    rng: &dyn Rng,
    blocks: &mut Vec<Block>,
) -> Result<PasswordHash, HashError> {
    let salt: [u8; SALT_BYTES] = rng::bytes(rng).map_err(|_| HashError::Failed)?;
    let params = params(cost)?;
    let output = argon2id(password, &salt, &params, OUTPUT_BYTES, blocks)?;
    written(&params, &salt, &output)
}

/// A hash of no password: random where others have a result, so comparing with it costs the same and never matches.
fn dummy(cost: HashCost, rng: &dyn Rng) -> Result<PasswordHash, HashError> {
    let salt: [u8; SALT_BYTES] = rng::bytes(rng).map_err(|_| HashError::Failed)?;
    let output: [u8; OUTPUT_BYTES] = rng::bytes(rng).map_err(|_| HashError::Failed)?;
    written(&params(cost)?, &salt, &output)
}

fn params(cost: HashCost) -> Result<Params, HashError> {
    Params::new(cost.memory_kib, cost.passes, 1, Some(OUTPUT_BYTES)).map_err(|_| HashError::Failed)
}

fn written(params: &Params, salt: &[u8], output: &[u8]) -> Result<PasswordHash, HashError> {
    let text = || -> phc::Result<String> {
        let mut costs = ParamsString::new();
        costs.add_decimal("m", params.m_cost())?;
        costs.add_decimal("t", params.t_cost())?;
        costs.add_decimal("p", params.p_cost())?;
        Ok(phc::PasswordHash {
            algorithm: Ident::new("argon2id")?,
            version: Some(Version::V0x13.into()),
            params: costs,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        }
        .to_string())
    };
    text().map(PasswordHash::from_stored).map_err(|_| HashError::Failed)
}

fn verify(
    password: &[u8],
    stored: &PasswordHash,
    today: HashCost,
    blocks: &mut Vec<Block>,
) -> Result<Verdict, HashError> {
    let stored = phc::PasswordHash::new(stored.as_str()).map_err(|_| HashError::Failed)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Err(HashError::Failed) };
    let number = |name: &str| stored.params.get_decimal(name).ok_or(HashError::Failed);
    if stored.algorithm.as_str() != "argon2id" || stored.version != Some(Version::V0x13.into()) {
        return Err(HashError::Failed);
    }
    let params = Params::new(number("m")?, number("t")?, number("p")?, Some(expected.len()))
        .map_err(|_| HashError::Failed)?;
    let output = argon2id(password, salt, &params, expected.len(), blocks)?;
    if verify_slices_are_equal(&output, expected.as_bytes()).is_err() {
        return Ok(Verdict::Wrong);
    }
    let is_todays =
        (params.m_cost(), params.t_cost(), params.p_cost()) == (today.memory_kib, today.passes, 1);
    Ok(if is_todays { Verdict::Right } else { Verdict::RightButOutdated })
}

fn argon2id(
    password: &[u8],
    salt: &[u8],
    params: &Params,
    bytes: usize,
    blocks: &mut Vec<Block>,
) -> Result<Zeroizing<Vec<u8>>, HashError> {
    let needed = params.block_count();
    if blocks.len() < needed {
        blocks.try_reserve_exact(needed - blocks.len()).map_err(|_| HashError::Failed)?;
        blocks.resize(needed, Block::default());
    }
    let mut output = Zeroizing::new(vec![0; bytes]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, &mut output, &mut blocks[..])
        .map_err(|_| HashError::Failed)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::OsRng;

    fn pool(cost: HashCost) -> HashPool {
        HashPool::start(cost, Arc::new(OsRng)).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_recognised_and_another_is_not() {
        let pool = pool(HashCost::CHEAP);
        let hash = pool.hash(&password(" correct horse")).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", hash.as_str());
        assert_eq!(pool.verify(&password(" correct horse"), Some(&hash)).await, Ok(Verdict::Right));
        assert_eq!(pool.verify(&password("correct horse"), Some(&hash)).await, Ok(Verdict::Wrong));
        assert_eq!(pool.verify(&password("correct horse"), None).await, Ok(Verdict::Wrong));
        assert!(hash != pool.hash(&password(" correct horse")).await.unwrap());
    }

    #[tokio::test]
    async fn the_default_is_what_owasp_asks_and_older_hashes_are_outdated() {
        let old = pool(HashCost::CHEAP).hash(&password("correct horse")).await.unwrap();
        let pool = pool(HashCost::default());
        let new = pool.hash(&password("correct horse")).await.unwrap();
        assert!(new.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(pool.verify(&password("correct horse"), Some(&old)).await, Ok(Verdict::RightButOutdated));
    }

    #[tokio::test]
    async fn a_hash_of_the_reference_implementation_is_recognised() {
        // printf password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 -e, with the C implementation
        let reference = PasswordHash::from_stored(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        );
        let verdict = pool(HashCost::CHEAP).verify(&password("password"), Some(&reference)).await;
        assert_eq!(verdict, Ok(Verdict::RightButOutdated));
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let pool = pool(HashCost::CHEAP);
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let push = || {
            let gate = gate.clone();
            pool.queue.push(Box::new(move |_| assert!(gate.lock().unwrap().recv().is_err())))
        };
        let taken = std::iter::from_fn(|| push().ok()).take(10_000).count();
        assert!((MAX_WAITING..=MAX_WAITING + threads).contains(&taken), "{taken}");
        assert_eq!(pool.hash(&password("correct horse")).await.err(), Some(HashError::Busy));
        drop(open);
    }

    #[test]
    fn a_broken_hash_is_an_error_and_never_a_match() {
        for broken in
            ["", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=19$c29tZXNhbHQ", "plain"]
        {
            let verdict = verify(b"x", &PasswordHash::from_stored(broken), HashCost::CHEAP, &mut Vec::new());
            assert_eq!(verdict, Err(HashError::Failed), "{broken}");
        }
    }
}
