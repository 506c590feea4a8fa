//! Owns the meaning of a sender (`sender@server.com`, `"Name" sender@server.com`, `"Name" <a@b.co>`).
//!
//! It reads what nodemailer reads clearly and refuses what nodemailer guesses. It must not write headers:
//! quoting and encoding a name is for whoever composes the message.

mod address;
mod lexer;
#[cfg(test)]
mod tests;

use address::Address;
use lexer::Token;

/// A sender longer than this is refused before anything else looks at it.
const LONGEST_SENDER: usize = 2 * 1024;

/// One address with its display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: String,
    address: String,
    domain: String,
}

impl Mailbox {
    /// The display name, decoded; empty when there is none. Never has a line break or control character.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `local@domain`, the domain in lower case. All of it is ASCII, with A-labels, unless
    /// [`Mailbox::needs_smtputf8`]: then the domain is in U-labels.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The part behind the `@`, always in A-labels: the name in DNS.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether the part before the `@` goes beyond ASCII, so that only a relay with SMTPUTF8 (RFC 6531) can take it.
    pub fn needs_smtputf8(&self) -> bool {
        !self.address.is_ascii()
    }
}

/// Whom mail comes from: one mailbox or more, of which the first is the envelope's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    first: Mailbox,
    all: Vec<Mailbox>,
}

/// Why a sender was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// The text is longer than any real sender.
    #[error("the sender is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A line break or control character outside quotes.
    #[error("the sender contains a line break or another control character: remove it")]
    ControlCharacter,
    /// No address at all, or one entry of the list has none.
    #[error("the sender has no mail address: write \"Sender Name\" <sender@example.com>")]
    NoAddress,
    /// Two addresses without a comma, or with several brackets.
    #[error("the sender has several addresses in one entry: put all but the address itself in double quotes")]
    SeveralAddresses,
    /// A quote, bracket or comment that is not closed.
    #[error("the sender has an unbalanced {what}: write \"Sender Name\" <sender@example.com>")]
    Unbalanced {
        /// What is not balanced.
        what: &'static str,
    },
    /// The address is not valid.
    #[error("the sender's address is not valid: {reason}")]
    Address {
        /// What is wrong.
        reason: &'static str,
    },
}

impl Sender {
    /// Reads a sender; several are separated by commas, and groups are taken apart.
    pub fn parse(text: &str) -> Result<Self, SenderError> {
        if text.len() > LONGEST_SENDER {
            return Err(SenderError::TooLong { limit: LONGEST_SENDER });
        }
        let mut all = Vec::new();
        // Parts without an address belong to the next one: `Sender, Name <a@b.co>` has one comma too many.
        let mut entry = Vec::new();
        for token in lexer::tokens(text)? {
            match token {
                Token::Separator if has_address(&entry) => all.push(mailbox(std::mem::take(&mut entry))?),
                Token::Separator if entry.is_empty() => {}
                Token::Separator => entry.push(Token::Separator),
                // What stands before the colon is the name of a group, which the envelope has no use for.
                Token::Colon if has_address(&entry) || entry.is_empty() || is_mailto(&entry) => {
                    return Err(SenderError::Address {
                        reason: "a colon may only follow the name of a group; write the address without `mailto:`",
                    });
                }
                Token::Colon => entry.clear(),
                other => entry.push(other),
            }
        }
        if entry.iter().any(|token| !matches!(token, Token::Separator)) {
            all.push(mailbox(entry)?);
        }
        let first = all.first().cloned().ok_or(SenderError::NoAddress)?;
        Ok(Self { first, all })
    }

    /// All mailboxes, in the order written; at least one.
    pub fn mailboxes(&self) -> &[Mailbox] {
        &self.all
    }

    /// The mailbox whose address is the envelope sender: the first.
    pub fn envelope(&self) -> &Mailbox {
        &self.first
    }
}

fn has_address(entry: &[Token]) -> bool {
    entry.iter().any(|token| match token {
        Token::Bracketed(_) => true,
        Token::Word(word) => word.contains('@'),
        _ => false,
    })
}

fn is_mailto(entry: &[Token]) -> bool {
    matches!(entry, [Token::Word(word)] if word.eq_ignore_ascii_case("mailto"))
}

/// Makes one mailbox of one entry: the bracketed part is the address, or else the one bare word with an
/// `@`; what is quoted is never the address, and beside brackets no word is; the rest is the name, and a comment is one if nothing else is.
fn mailbox(entry: Vec<Token>) -> Result<Mailbox, SenderError> {
    let bracketed = entry.iter().any(|token| matches!(token, Token::Bracketed(_)));
    let mut address = None;
    let mut name = String::new();
    let mut comment = String::new();
    for token in entry {
        let found = match token {
            Token::Bracketed(inside) => inside,
            Token::Word(word) if word.contains('@') && !bracketed => word,
            Token::Word(word) | Token::Quoted(word) => {
                append(&mut name, &word);
                continue;
            }
            Token::Comment(text) => {
                append(&mut comment, &text);
                continue;
            }
            Token::Separator => {
                name.push(',');
                continue;
            }
            Token::Colon => continue,
        };
        if address.replace(found).is_some() {
            return Err(SenderError::SeveralAddresses);
        }
    }
    let written = address.ok_or(SenderError::NoAddress)?;
    let Address { text, domain } = address::parse(&written)?;
    let mut name = if name.is_empty() { comment } else { name };
    // The address once more is no name: `noreply@example.com <noreply@example.com>`.
    if name == written || name == text {
        name.clear();
    }
    Ok(Mailbox { name, address: text, domain })
}

fn append(text: &mut String, word: &str) {
    if !text.is_empty() && !word.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}
