//! Owns how a sender is cut into words, quoted parts, bracketed parts and comments. It must not know what an
//! address is.

use super::SenderError;

/// One piece of a sender.
pub(super) enum Token {
    /// A run without spaces, outside everything else.
    Word(String),
    /// The inside of `"..."`, unescaped, without control characters.
    Quoted(String),
    /// The inside of `<...>`, trimmed.
    Bracketed(String),
    /// The inside of `(...)`.
    Comment(String),
    /// A comma or a semicolon.
    Separator,
    /// A colon.
    Colon,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SenderError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let behind = &rest[first.len_utf8()..];
        rest = match first {
            ' ' => behind,
            ',' | ';' => {
                tokens.push(Token::Separator);
                behind
            }
            ':' => {
                tokens.push(Token::Colon);
                behind
            }
            '"' => {
                let (inside, behind) = quoted(behind)?;
                tokens.push(Token::Quoted(inside));
                behind
            }
            '<' => {
                let (inside, behind) = bracketed(behind)?;
                tokens.push(Token::Bracketed(inside));
                behind
            }
            '(' => {
                let (inside, behind) = comment(behind)?;
                tokens.push(Token::Comment(inside));
                behind
            }
            '>' => return Err(SenderError::Unbalanced { what: "bracket" }),
            ')' => return Err(SenderError::Unbalanced { what: "parenthesis" }),
            _ => {
                let (word, behind) = word(rest)?;
                tokens.push(Token::Word(word));
                behind
            }
        };
    }
    Ok(tokens)
}

/// A line break becomes a space and other control characters go, so that a name cannot end a header.
fn quoted(text: &str) -> Result<(String, &str), SenderError> {
    let mut inside = String::new();
    let mut chars = text.char_indices();
    while let Some((at, next)) = chars.next() {
        let next = match next {
            '"' => return Ok((inside, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped)) => escaped,
                None => break,
            },
            other => other,
        };
        match next {
            '\n' | '\t' => inside.push(' '),
            control if control.is_control() => {}
            other => inside.push(other),
        }
    }
    Err(SenderError::Unbalanced { what: "double quote" })
}

fn bracketed(text: &str) -> Result<(String, &str), SenderError> {
    let Some((inside, behind)) = text.split_once('>') else {
        return Err(SenderError::Unbalanced { what: "bracket" });
    };
    if inside.contains('<') {
        return Err(SenderError::Unbalanced { what: "bracket" });
    }
    no_control(inside)?;
    Ok((inside.trim_matches(' ').to_owned(), behind))
}

/// A comment may hold others (RFC 5322 section 3.2.2); their parentheses are kept.
fn comment(text: &str) -> Result<(String, &str), SenderError> {
    let mut depth = 1_usize;
    let end = text.find(|next| {
        match next {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let Some((inside, behind)) = end.map(|end| (&text[..end], &text[end + 1..])) else {
        return Err(SenderError::Unbalanced { what: "parenthesis" });
    };
    no_control(inside)?;
    Ok((inside.trim_matches(' ').to_owned(), behind))
}

/// A word ends at a space or at anything that begins another token; a colon within the brackets of a domain
/// literal (`a@[IPv6:::1]`) belongs to the word.
fn word(text: &str) -> Result<(String, &str), SenderError> {
    let mut in_literal = false;
    let end = text
        .find(|next: char| {
            match next {
                '[' => in_literal = true,
                ']' => in_literal = false,
                _ => {}
            }
            matches!(next, ' ' | ',' | ';' | '"' | '<' | '>' | '(' | ')') || (next == ':' && !in_literal)
        })
        .unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    no_control(word)?;
    Ok((word.to_owned(), behind))
}

fn no_control(text: &str) -> Result<(), SenderError> {
    if text.chars().any(char::is_control) { Err(SenderError::ControlCharacter) } else { Ok(()) }
}
