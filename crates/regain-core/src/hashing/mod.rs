//! Compares passwords with hashes of any scheme that is read, and makes new ones with Argon2id.
//!
//! Hashing is the one expensive thing that a stranger can ask for: it happens on as many threads as there are cores,
//! each with one block array that it uses again, and the queue before them is bounded by [`MAX_WAITING`]; beyond that
//! the answer is "busy". A hash from elsewhere may take 256 MiB more on its thread, for as long as it is computed.

mod blocks;
mod even;
pub(crate) mod stored;
mod threads;

use std::sync::Arc;

use phc::{Output, Salt};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

pub use stored::{RosPassword, UnsupportedHash};

use crate::password::{Password, PasswordHash};
use crate::rng::{self, Rng};
use blocks::Blocks;
use even::{Stopwatch, UsualTime};
use stored::{Argon2, Stored};
use threads::{Job, Lane, Queue};

/// How many may wait for a thread.
pub const MAX_WAITING: usize = 64;
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
    /// No randomness, no memory, no hash that is read in the store, or the pool is gone.
    #[error("the password could not be hashed")]
    Failed,
}

/// The threads that hash. Dropping it ends them once their queue is empty.
pub struct HashPool {
    queue: Arc<Queue>,
    rng: Arc<dyn Rng>,
    cost: HashCost,
    dummy: PasswordHash,
    usual: Arc<UsualTime>,
}

impl HashPool {
    /// Starts one thread a core, with a dummy hash so that unknown names cost what known ones do.
    ///
    /// # Errors
    /// When there is no randomness or no thread to be had, or the cost is none that a stored hash may have.
    pub fn start(cost: HashCost, rng: Arc<dyn Rng>) -> Result<Self, HashError> {
        let dummy = dummy(cost, &*rng)?;
        let usual = Arc::new(UsualTime::default());
        let measured = (dummy.clone(), usual.clone());
        // So that the very first password that is compared finds an estimate.
        let queue = threads::start(cost, Box::new(move |blocks| take_time(&measured, cost, blocks)))?;
        Ok(Self { queue, rng, cost, dummy, usual })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// When too many wait, or nothing can be hashed.
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let (password, rng, cost) = (password.clone(), self.rng.clone(), self.cost);
        let usual = self.usual.clone();
        self.run(Lane::Usual, move |blocks| hash(password.expose(), cost, &*rng, blocks, &usual)).await?
    }

    /// Compares a password with a hash; where there is no hash, with a dummy of the same cost.
    ///
    /// A wrong password takes the time of a hash of today's cost, also where the stored one is cheaper. One that is
    /// dearer takes longer, and nothing hides that: it ends with the first sign-in, after which it is hashed again.
    ///
    /// # Errors
    /// When too many wait, or nothing can be hashed, or what is stored is no hash that is read.
    pub async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, HashError> {
        let (password, cost, usual) = (password.clone(), self.cost, self.usual.clone());
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).clone();
        let is_dear = Stored::parse(stored.as_str()).is_ok_and(|stored| stored.is_dear());
        let lane = if is_dear { Lane::Dear } else { Lane::Usual };
        let verdict =
            self.run(lane, move |blocks| verify(password.expose(), &stored, cost, blocks, &usual)).await??;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&mut Blocks) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |blocks| {
            // A client that has gone away is not worth 50 ms of a core.
            if !answer.is_closed() {
                let _ = answer.send(work(blocks));
            }
        });
        self.queue.push(lane, job)?;
        result.await.map_err(|_| HashError::Failed)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Measures a few hashes. A failure here is one that the first password to come will report.
fn take_time((dummy, usual): &(PasswordHash, Arc<UsualTime>), cost: HashCost, blocks: &mut Blocks) {
    for _ in 0..3 {
        let _ = verify(b"", dummy, cost, blocks, usual);
    }
}

fn hash(
    password: &[u8],
    cost: HashCost,
    rng: &dyn Rng,
    blocks: &mut Blocks,
    usual: &UsualTime,
) -> Result<PasswordHash, HashError> {
    blocks.make_ready()?;
    let stopwatch = Stopwatch::start();
    let salt = salt(rng)?;
    let mut output = Zeroizing::new([0; OUTPUT_BYTES]);
    Argon2::of(cost).derive(password, &salt, &mut output[..], blocks)?;
    let hash = written(cost, salt, &output[..])?;
    usual.record(stopwatch.elapsed());
    Ok(hash)
}

/// A hash of no password: random where others have a result, so comparing with it costs the same and never matches.
fn dummy(cost: HashCost, rng: &dyn Rng) -> Result<PasswordHash, HashError> {
    let output: [u8; OUTPUT_BYTES] = rng::bytes(rng).map_err(|_| HashError::Failed)?;
    let dummy = written(cost, salt(rng)?, &output)?;
    Stored::parse(dummy.as_str()).map_err(|_| HashError::Failed)?;
    Ok(dummy)
}

fn salt(rng: &dyn Rng) -> Result<Salt, HashError> {
    let salt: [u8; SALT_BYTES] = rng::bytes(rng).map_err(|_| HashError::Failed)?;
    Salt::new(&salt).map_err(|_| HashError::Failed)
}

fn written(cost: HashCost, salt: Salt, output: &[u8]) -> Result<PasswordHash, HashError> {
    let expected = Output::new(output).map_err(|_| HashError::Failed)?;
    Ok(PasswordHash::from_stored(Stored::made_here(cost, salt, expected).text()))
}

fn verify(
    password: &[u8],
    stored: &PasswordHash,
    today: HashCost,
    blocks: &mut Blocks,
    usual: &UsualTime,
) -> Result<Verdict, HashError> {
    // Before the time is taken: who finds a thread without its array waits for it, whatever the stored hash is.
    blocks.make_ready()?;
    let stopwatch = Stopwatch::start();
    let stored = Stored::parse(stored.as_str()).map_err(|_| HashError::Failed)?;
    let is_right = stored.matches(password, blocks)?;
    if stored.costs(today) {
        usual.record(stopwatch.elapsed());
    } else if !is_right {
        even::spend_the_rest(
            usual.get(),
            today,
            || stopwatch.elapsed(),
            |cost| {
                let mut output = Zeroizing::new([0; OUTPUT_BYTES]);
                Argon2::of(cost).derive(password, stored.salt(), &mut output[..], blocks)
            },
        )?;
    }
    Ok(match is_right {
        true if stored.is_todays(today) => Verdict::Right,
        true => Verdict::RightButOutdated,
        false => Verdict::Wrong,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

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
        let (begun, begins) = std::sync::mpsc::channel();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let push = || {
            let (gate, begun) = (gate.clone(), begun.clone());
            let job: Job = Box::new(move |_| {
                begun.send(()).unwrap();
                assert!(gate.lock().unwrap().recv().is_err());
            });
            pool.queue.push(Lane::Usual, job)
        };
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            push().unwrap();
            begins.recv().unwrap();
        }
        for _ in 0..MAX_WAITING {
            push().unwrap();
        }
        assert_eq!(push(), Err(HashError::Busy));
        assert_eq!(pool.hash(&password("correct horse")).await.err(), Some(HashError::Busy));
        drop(open);
    }

    #[tokio::test]
    async fn dear_hashes_hold_up_nobody_but_each_other() {
        let pool = pool(HashCost::CHEAP);
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let gate = Arc::new(Mutex::new(gate));
        let push = || {
            let (gate, begun) = (gate.clone(), begun.clone());
            let job: Job = Box::new(move |_| {
                begun.send(()).unwrap();
                let _ = gate.lock().unwrap().recv();
            });
            pool.queue.push(Lane::Dear, job)
        };
        push().unwrap();
        begins.recv().unwrap();
        for _ in 0..threads::MAX_DEAR_WAITING {
            push().unwrap();
        }
        assert_eq!(push(), Err(HashError::Busy));
        let dear = PasswordHash::import(
            "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        );
        let refused = pool.verify(&password("x"), dear.ok().as_ref()).await;
        assert_eq!(refused, Err(HashError::Busy));
        if std::thread::available_parallelism().map_or(1, usize::from) > 1 {
            // A thread is left for the others.
            assert!(pool.hash(&password("correct horse")).await.is_ok());
        }
        assert!(begins.try_recv().is_err(), "one at a time");
        drop(open);
        for _ in 0..threads::MAX_DEAR_WAITING {
            begins.recv().unwrap();
        }
    }

    #[test]
    fn what_takes_several_times_as_long_is_dear() {
        let is_dear = |text: &str| Stored::parse(text).ok().unwrap().is_dear();
        let hash = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(!is_dear(&format!("$argon2id$v=19$m=19456,t=2,p=1${hash}")));
        assert!(!is_dear(&format!("$argon2id$v=19$m=65536,t=2,p=1${hash}")));
        assert!(is_dear(&format!("$argon2id$v=19$m=65536,t=3,p=4${hash}")));
        assert!(!is_dear(&format!("$pbkdf2-sha512$i=10000${hash}")));
        assert!(is_dear(&format!("$pbkdf2-sha256$i=600000${hash}")));
        assert!(!is_dear(&format!("$scrypt$ln=14,r=8,p=1${hash}")));
        assert!(is_dear(&format!("$scrypt$ln=17,r=8,p=1${hash}")));
        let bcrypt = "abcdefghijklmnopqrstuuHLKEYQzlIz3ElxOGyEn0r3Xh4RjHpVi";
        assert!(!is_dear(&format!("$2b$10${bcrypt}")));
        assert!(is_dear(&format!("$2b$12${bcrypt}")));
    }

    #[tokio::test]
    async fn a_job_that_panics_takes_no_thread_with_it() {
        let pool = pool(HashCost::CHEAP);
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let panicked: Result<(), _> = pool.run(Lane::Usual, |_| panic!("on purpose")).await;
            assert_eq!(panicked, Err(HashError::Failed));
        }
        assert!(pool.hash(&password("correct horse")).await.is_ok());
    }

    #[test]
    fn a_cost_that_no_stored_hash_may_have_starts_nothing() {
        for cost in [HashCost { memory_kib: 257 * 1024, passes: 1 }, HashCost { memory_kib: 7, passes: 1 }] {
            assert_eq!(HashPool::start(cost, Arc::new(OsRng)).err(), Some(HashError::Failed));
        }
    }

    #[test]
    fn a_wrong_password_for_a_cheaper_hash_spends_the_rest_of_a_full_one() {
        let today = HashCost { memory_kib: 1024, passes: 2 };
        let (mut blocks, measured, usual) = (Blocks::new(today), UsualTime::default(), UsualTime::default());
        // The first one takes longer: its memory is new.
        hash(b"x", today, &OsRng, &mut blocks, &UsualTime::default()).unwrap();
        let todays = hash(b"x", today, &OsRng, &mut blocks, &measured).unwrap();
        // Twice what it takes, so that it cannot come out by doing a full hash whatever is missing.
        let goal = measured.get().unwrap() * 2;
        usual.record(goal);
        let cheap = PasswordHash::import("$pbkdf2-sha256$i=1,l=10$c2FsdCBmb3I$AAAAAAAAAAAAAA").unwrap();
        let stopwatch = Stopwatch::start();
        assert_eq!(verify(b"x", &cheap, today, &mut blocks, &usual), Ok(Verdict::Wrong));
        assert!(stopwatch.elapsed() > goal.mul_f64(0.9), "{:?} of {goal:?}", stopwatch.elapsed());
        // Only full hashes are measurements.
        assert_eq!(usual.get(), Some(goal));
        assert_eq!(verify(b"y", &todays, today, &mut blocks, &usual), Ok(Verdict::Wrong));
        assert!(usual.get() != Some(goal));
    }

    #[test]
    fn a_broken_hash_is_an_error_and_never_a_match() {
        let (mut blocks, usual) = (Blocks::new(HashCost::CHEAP), UsualTime::default());
        for broken in
            ["", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=19$c29tZXNhbHQ", "plain"]
        {
            let broken = PasswordHash::from_stored(broken);
            let verdict = verify(b"x", &broken, HashCost::CHEAP, &mut blocks, &usual);
            assert_eq!(verdict, Err(HashError::Failed), "{}", broken.as_str());
        }
    }
}
