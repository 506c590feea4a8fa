//! "Did you mean": the known word that a mistyped one is nearest to.

/// The candidate that differs least, if it is near enough to be what was meant. Case and separators do not
/// count, so that `base_url` finds `baseUrl`.
pub(super) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    let wanted = plain(word);
    // A third of the letters wrong is another word.
    let most = (wanted.len() / 3).clamp(1, 4);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        let keys = ["from", "baseUrl", "connectionString", "subject", "port"];
        let nearest = |word| nearest(word, keys.into_iter());
        assert_eq!(nearest("form"), Some("from"));
        assert_eq!(nearest("base_url"), Some("baseUrl"));
        assert_eq!(nearest("BaseURL"), Some("baseUrl"));
        assert_eq!(nearest("conectionstring"), Some("connectionString"));
        assert_eq!(nearest("prot"), Some("port"));
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest(""), None);
    }
}
