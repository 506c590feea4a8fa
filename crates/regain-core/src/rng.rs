//! Chance as a port.

/// A source of unpredictable bytes.
pub trait Rng: Send + Sync + 'static {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// When the operating system gives no random bytes; nothing may then be made of `buffer`.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// The cryptographic generator of aws-lc, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRng;

impl Rng for OsRng {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| NoRandomness)
    }
}

/// `N` random bytes.
///
/// # Errors
/// When there is no randomness.
pub fn bytes<const N: usize>(rng: &dyn Rng) -> Result<[u8; N], NoRandomness> {
    let mut buffer = [0; N];
    rng.fill(&mut buffer)?;
    Ok(buffer)
}

/// A number in `0..=max`, near enough to evenly spread for jitter; not for secrets.
///
/// # Errors
/// When there is no randomness.
pub fn up_to(rng: &dyn Rng, max: u64) -> Result<u64, NoRandomness> {
    let wide = u128::from(u64::from_le_bytes(bytes(rng)?)) * (u128::from(max) + 1);
    Ok(u64::try_from(wide >> 64).unwrap_or(max))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}
