//! The words that a template may hold between percents, and how one is found in a text.

use std::fmt;

/// What a template leaves room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The secret of the link, 64 hex digits.
    Token,
    /// What links begin with.
    BaseUrl,
    /// The IP address that asked.
    Ip,
    /// The mail address of the account.
    Email,
    /// The name of the application.
    AppName,
    /// How long the link is good: `1 hour`.
    ExpiresIn,
    /// What asked: `Firefox on Windows`.
    UserAgent,
}

impl Placeholder {
    /// All of them.
    pub const ALL: [Placeholder; 7] = [
        Placeholder::Token,
        Placeholder::BaseUrl,
        Placeholder::Ip,
        Placeholder::Email,
        Placeholder::AppName,
        Placeholder::ExpiresIn,
        Placeholder::UserAgent,
    ];

    /// The word between the percents.
    pub fn word(self) -> &'static str {
        match self {
            Placeholder::Token => "TOKEN",
            Placeholder::BaseUrl => "BASE_URL",
            Placeholder::Ip => "IP",
            Placeholder::Email => "EMAIL",
            Placeholder::AppName => "APP_NAME",
            Placeholder::ExpiresIn => "EXPIRES_IN",
            Placeholder::UserAgent => "USER_AGENT",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|placeholder| placeholder.word() == word)
    }
}

/// With its percents.
impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}%", self.word())
    }
}

/// The word at the start of `rest`, which follows a percent, where it is meant as a placeholder.
pub(super) fn word(rest: &str) -> Option<&str> {
    let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
    let word = &rest[..end];
    // `%C3%A9` is a letter in a URL, not a placeholder `C3`.
    let is_encoded_byte = word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit());
    (rest[end..].starts_with('%') && word.starts_with(|c: char| c.is_ascii_uppercase()) && !is_encoded_byte)
        .then_some(word)
}

/// The placeholder that a mistyped word is nearest to, if it is near enough to be what was meant.
pub(super) fn nearest(word: &str) -> Option<Placeholder> {
    let plain = |text: &str| text.replace('_', "");
    let wanted = plain(word);
    let most = (wanted.len() / 3).clamp(1, 3);
    Placeholder::ALL
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known.word())), known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
