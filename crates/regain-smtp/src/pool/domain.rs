//! Owns when two recipients are at the same domain.

use std::sync::Arc;

/// A recipient's domain in A-labels and lower case, so that all spellings are one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Domain(Arc<str>);

impl Domain {
    /// The domain of an address; of text that is none, the text itself.
    pub(super) fn of(address: &str) -> Self {
        let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain);
        let domain = domain.trim_end_matches('.');
        if domain.is_ascii() {
            return Self(domain.to_ascii_lowercase().into());
        }
        Self(idna::domain_to_ascii_strict(domain).unwrap_or_else(|_| domain.to_lowercase()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_domain_are_one() {
        let domains = |addresses: &[&str]| addresses.iter().map(|one| Domain::of(one)).collect::<Vec<_>>();
        for same in [
            domains(&["ada@example.org", "bob@EXAMPLE.org", "\"a@b\"@example.org."]),
            domains(&["ada@jõgeva.ee", "ада@JÕGEVA.ee", "ada@xn--jgeva-dua.ee"]),
        ] {
            assert!(same.iter().all(|domain| *domain == same[0]));
        }
        assert!(Domain::of("ada@example.org") != Domain::of("ada@mail.example.org"));
    }
}
