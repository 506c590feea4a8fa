//! Templates: text with placeholders such as `%TOKEN%`, checked when read and filled in one pass.
//!
//! Invariant: a value is never looked at again, so a value that reads `%TOKEN%` stays what it is (ASVS 1.3.7).
//! This must not know where a template comes from, nor what a mail looks like.

mod placeholder;
mod value;

#[cfg(test)]
mod tests;

use regain_core::Purpose;

pub use placeholder::Placeholder;
pub use value::Values;

/// The longest subject that is taken, in characters: mail programs show a third of it.
const LONGEST_SUBJECT: usize = 200;
/// Room for a value, so that a text seldom has to be moved while it grows; a token takes 64.
const TYPICAL_VALUE: usize = 64;

/// Which part of a mail a template is for. It decides how values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One line.
    Subject,
    /// Plain text.
    Text,
    /// HTML; values are escaped for text and for quoted attributes.
    Html,
}

/// What a template must and may hold.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The mail that it belongs to. One with a link must hold `%TOKEN%`, one without must not.
    pub purpose: Purpose,
    /// The part that it is.
    pub part: Part,
    /// There is a value for `%BASE_URL%`.
    pub has_base: bool,
}

/// A template that obeys its [`Rules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    part: Part,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Placeholder),
}

/// Why a text is no template; reads on after the key's name. Lines count from 1 inside the template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing but white space.
    #[error("is empty; leave the key out to have the default")]
    Empty,
    /// A word between percents that is none of ours.
    #[error("has the unknown placeholder %{word}% in line {line}; {advice}")]
    Unknown {
        /// The word, cut to a length that a message can bear.
        word: String,
        /// Where.
        line: usize,
        /// What to write instead.
        advice: String,
    },
    /// The mail would come without its link.
    #[error("has no %TOKEN%; without it the mail has no link, write %BASE_URL%/{path}?token=%TOKEN%")]
    NoToken {
        /// The page that the link leads to.
        path: &'static str,
    },
    /// Subjects are shown on lock screens and kept in logs of relays.
    #[error("has %TOKEN% in line {line}; a token must not stand in a subject")]
    TokenInSubject {
        /// Where.
        line: usize,
    },
    /// The mail has no token.
    #[error("has %TOKEN% in line {line}; the mail that tells of a changed password has no token")]
    NeedlessToken {
        /// Where.
        line: usize,
    },
    /// Nothing to put in place of `%BASE_URL%`.
    #[error("has %BASE_URL% in line {line}, and neither baseUrl nor publicUrl is set")]
    NoBase {
        /// Where.
        line: usize,
    },
    /// NUL, escape and the like, which no mail may carry.
    #[error("has a control character in line {line}; remove it")]
    ControlCharacter {
        /// Where.
        line: usize,
    },
    /// A subject is one line.
    #[error("has more than one line; a subject is one line")]
    SubjectLines,
    /// A subject that nobody could read.
    #[error("is longer than {LONGEST_SUBJECT} characters")]
    SubjectTooLong,
}

impl Template {
    /// Reads a template.
    ///
    /// A placeholder is upper-case letters, digits and underscores between two percents, beginning with a letter;
    /// two hex digits (`%C3%A9`) are part of an encoded URL. Any other percent stands for itself.
    /// All kinds of line ends become `\n`.
    ///
    /// # Errors
    /// Where the text breaks `rules`, the first mistake.
    pub fn parse(text: &str, rules: Rules) -> Result<Self, TemplateError> {
        let unified = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        let text = match rules.part {
            Part::Subject => one_line(&unified)?,
            Part::Text | Part::Html => &unified,
        };
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        let control = |c: char| c.is_control() && c != '\n' && c != '\t';
        if let Some(at) = text.find(control) {
            return Err(TemplateError::ControlCharacter { line: line_of(text, at) });
        }
        let template = Self { part: rules.part, pieces: pieces(text, rules)? };
        let path = match rules.purpose {
            Purpose::Reset => "reset-password",
            Purpose::Confirm => "confirm-email",
            Purpose::PasswordChanged => return Ok(template),
        };
        if rules.part != Part::Subject && !template.has(Placeholder::Token) {
            return Err(TemplateError::NoToken { path });
        }
        Ok(template)
    }

    /// Fills in the values, each written as the part needs it and none looked at again.
    pub fn render(&self, values: &Values<'_>) -> String {
        let literals = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Value(_) => TYPICAL_VALUE,
        });
        let mut out = String::with_capacity(literals.sum());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Value(placeholder) => values.write(*placeholder, self.part, &mut out),
            }
        }
        out
    }

    fn has(&self, placeholder: Placeholder) -> bool {
        self.pieces.contains(&Piece::Value(placeholder))
    }
}

fn one_line(text: &str) -> Result<&str, TemplateError> {
    // A subject kept in a file ends with a line break.
    let line = text.trim();
    if line.contains('\n') {
        return Err(TemplateError::SubjectLines);
    }
    if line.chars().count() > LONGEST_SUBJECT {
        return Err(TemplateError::SubjectTooLong);
    }
    Ok(line)
}

fn pieces(text: &str, rules: Rules) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal_from = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('%') {
        let percent = at + found;
        let Some(word) = placeholder::word(&text[percent + 1..]) else {
            at = percent + 1;
            continue;
        };
        let line = line_of(text, percent);
        let placeholder = Placeholder::of_word(word).ok_or_else(|| unknown(word, line))?;
        allow(placeholder, rules, line)?;
        pieces.push(Piece::Literal(text[literal_from..percent].to_owned()));
        pieces.push(Piece::Value(placeholder));
        at = percent + word.len() + 2;
        literal_from = at;
    }
    pieces.push(Piece::Literal(text[literal_from..].to_owned()));
    Ok(pieces)
}

fn allow(placeholder: Placeholder, rules: Rules, line: usize) -> Result<(), TemplateError> {
    match placeholder {
        Placeholder::Token if rules.part == Part::Subject => Err(TemplateError::TokenInSubject { line }),
        Placeholder::Token if rules.purpose == Purpose::PasswordChanged => {
            Err(TemplateError::NeedlessToken { line })
        }
        Placeholder::BaseUrl if !rules.has_base => Err(TemplateError::NoBase { line }),
        _ => Ok(()),
    }
}

fn unknown(word: &str, line: usize) -> TemplateError {
    let advice = match placeholder::nearest(word) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", Placeholder::ALL.map(|known| known.to_string()).join(" ")),
    };
    TemplateError::Unknown { word: word.chars().take(40).collect(), line, advice }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}
