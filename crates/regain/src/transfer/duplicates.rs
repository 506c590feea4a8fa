//! Finds names and identities that come twice in a file without keeping any: 16 bytes an account.
//!
//! Kept are fingerprints of 64 bits under a random key. Two that are equal are only suspects: a second reading looks at
//! the lines themselves. Must not decide what a line means.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use regain_core::{KeyMode, Name, NameKey};

use super::mistakes::{MAX_SHOWN, Mistakes};
use super::record::{Entry, Mistake};

/// The fingerprints of all lines.
#[derive(Default)]
pub(super) struct Fingerprints {
    key: RandomState,
    ids: Vec<u64>,
    names: Vec<u64>,
}

/// Fingerprints that came more than once.
pub(super) struct Suspects {
    key: RandomState,
    ids: HashSet<u64>,
    names: HashSet<u64>,
    unchecked: u64,
}

/// What is known of the lines behind the suspects, as they are read again.
pub(super) struct Confirming {
    suspects: Suspects,
    ids: HashMap<String, u64>,
    names: HashMap<String, (u64, String)>,
}

impl Fingerprints {
    pub(super) fn add(&mut self, entry: &Entry) {
        if let Some(id) = &entry.id {
            self.ids.push(self.key.hash_one(id.as_str()));
        }
        self.names.push(self.key.hash_one(entry.name.key().as_str()));
    }

    /// Those that came more than once; `None` where there are none.
    pub(super) fn suspects(self) -> Option<Suspects> {
        let mut unchecked = 0;
        let ids = repeated(self.ids, &mut unchecked);
        let names = repeated(self.names, &mut unchecked);
        let is_any = !ids.is_empty() || !names.is_empty();
        is_any.then_some(Suspects { key: self.key, ids, names, unchecked })
    }
}

/// As many as can be told apart from each other; of more only the count.
fn repeated(mut prints: Vec<u64>, unchecked: &mut u64) -> HashSet<u64> {
    prints.sort_unstable();
    let mut repeated = HashSet::new();
    for pair in prints.windows(2).filter(|pair| pair[0] == pair[1]) {
        if repeated.len() < MAX_SHOWN {
            repeated.insert(pair[0]);
        } else if !repeated.contains(&pair[0]) {
            *unchecked += 1;
        }
    }
    repeated
}

impl Suspects {
    pub(super) fn confirming(self) -> Confirming {
        Confirming { suspects: self, ids: HashMap::new(), names: HashMap::new() }
    }
}

impl Confirming {
    /// Takes a line of the second reading.
    pub(super) fn add(&mut self, line: u64, entry: &Entry, mistakes: &mut Mistakes) {
        let Suspects { key, ids, names, .. } = &self.suspects;
        if let Some(id) = &entry.id
            && ids.contains(&key.hash_one(id.as_str()))
        {
            let first = *self.ids.entry(id.as_str().to_owned()).or_insert(line);
            if first != line {
                mistakes.add(line, Mistake::IdTwice(first));
                // One mistake a line is enough.
                return;
            }
        }
        let name_key = entry.name.key().as_str();
        if names.contains(&key.hash_one(name_key)) {
            let text = entry.name.as_str();
            let (first, name) =
                self.names.entry(name_key.to_owned()).or_insert_with(|| (line, text.to_owned()));
            if *first != line {
                let mistake =
                    if exact(name) == exact(text) { Mistake::NameTwice } else { Mistake::NameTwiceByCase };
                mistakes.add(line, mistake(*first));
            }
        }
    }

    /// How many more there are than were looked at.
    pub(super) fn unchecked(&self) -> u64 {
        self.suspects.unchecked
    }
}

/// What tells a name apart where names are compared exactly. The case of a domain does not, even there.
fn exact(name: &str) -> Option<NameKey> {
    Name::parse(name, KeyMode::Exact).ok().map(|name| name.key().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_is_kept_up_to_a_bound_and_counted_beyond() {
        let mut unchecked = 0;
        assert!(repeated(vec![3, 1, 2], &mut unchecked).is_empty());
        assert_eq!(repeated(vec![3, 1, 3, 2, 3], &mut unchecked), HashSet::from([3]));
        assert_eq!(unchecked, 0);
        let many = (0..MAX_SHOWN as u64 + 5).flat_map(|print| [print; 3]).collect();
        assert_eq!(repeated(many, &mut unchecked).len(), MAX_SHOWN);
        assert_eq!(unchecked, 10);
    }
}
