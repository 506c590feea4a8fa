//! The block array that a hashing thread keeps, and what it lends for one hash.
//!
//! The array kept is never larger than today's cost needs. A hash from elsewhere that wants more gets an array of its
//! own, which is gone when that hash is done: one imported row must not raise what the process holds from then on.

use argon2::{Block, Params};

use super::{HashCost, HashError};

/// What one thread hashes in.
pub(super) struct Blocks {
    kept: Vec<Block>,
    most: usize,
}

impl Blocks {
    /// An empty array that grows to what `today` needs and no further.
    pub(super) fn new(today: HashCost) -> Self {
        let most = Params::new(today.memory_kib, today.passes, 1, None).map_or(0, |p| p.block_count());
        Self { kept: Vec::new(), most }
    }

    /// Brings the array to its full size, so that no hash after it pays for fresh memory.
    pub(super) fn make_ready(&mut self) -> Result<(), HashError> {
        grow(&mut self.kept, self.most)
    }

    /// Runs `work` on so many blocks; what they hold before is of no meaning.
    pub(super) fn lend<T>(
        &mut self,
        count: usize,
        work: impl FnOnce(&mut [Block]) -> T,
    ) -> Result<T, HashError> {
        if count <= self.most {
            grow(&mut self.kept, count)?;
            return Ok(work(&mut self.kept[..count]));
        }
        let mut own = Vec::new();
        grow(&mut own, count)?;
        let done = work(&mut own);
        own.fill(Block::default());
        Ok(done)
    }

    /// Gives the memory back, zeroed.
    pub(super) fn give_back(&mut self) {
        self.kept.fill(Block::default());
        self.kept = Vec::new();
    }
}

fn grow(blocks: &mut Vec<Block>, count: usize) -> Result<(), HashError> {
    if blocks.len() < count {
        blocks.try_reserve_exact(count - blocks.len()).map_err(|_| HashError::Failed)?;
        blocks.resize(count, Block::default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_hash_leaves_no_larger_array_behind() {
        let mut blocks = Blocks::new(HashCost { memory_kib: 64, passes: 1 });
        assert_eq!(blocks.lend(1024, |lent| lent.len()).ok(), Some(1024));
        assert_eq!(blocks.kept.capacity(), 0);
        assert_eq!(blocks.lend(64, |lent| lent.len()).ok(), Some(64));
        assert_eq!(blocks.lend(1024, |lent| lent.len()).ok(), Some(1024));
        assert_eq!(blocks.kept.capacity(), 64);
        blocks.give_back();
        assert_eq!(blocks.kept.capacity(), 0);
        assert!(blocks.make_ready().is_ok());
        assert_eq!(blocks.kept.capacity(), 64);
    }

    #[test]
    fn memory_that_is_not_to_be_had_is_an_error() {
        let mut blocks = Blocks::new(HashCost::CHEAP);
        assert_eq!(blocks.lend(usize::MAX / 2, |_| ()).err(), Some(HashError::Failed));
    }
}
