//! What is wrong with a file, line by line, in bounded memory.

use super::record::Mistake;

/// So many lines are named; of more only the count is kept.
pub const MAX_SHOWN: usize = 1_000;

/// The wrong lines of a file. Holds no value of any line.
#[derive(Debug, Default)]
pub struct Mistakes {
    shown: Vec<(u64, Mistake)>,
    more: u64,
}

impl Mistakes {
    pub(super) fn add(&mut self, line: u64, mistake: Mistake) {
        if self.shown.len() < MAX_SHOWN { self.shown.push((line, mistake)) } else { self.more += 1 }
    }

    pub(super) fn add_uncounted(&mut self, more: u64) {
        self.more += more;
    }

    /// In the order of the lines.
    pub(super) fn sort(&mut self) {
        self.shown.sort_by_key(|(line, _)| *line);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many lines are wrong.
    pub fn count(&self) -> u64 {
        self.more + self.shown.len() as u64
    }

    /// How many of them [`Mistakes::iter`] leaves out.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// The first [`MAX_SHOWN`], by the number of their line.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Mistake)> {
        self.shown.iter().map(|(line, mistake)| (*line, mistake))
    }
}
