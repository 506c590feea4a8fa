//! The parameters of pages, from a query, a form or JSON. Each is one string, given once: lists and
//! objects (`token=a&token=b`, `token[x]=b`) are refused, not guessed at.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use percent_encoding::percent_decode;

use super::super::body;
use super::super::error::Problem;
use super::super::json;

/// The parameters that a page knows, by name. Others are left unread.
pub(super) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Reads the query of a link.
    pub(super) fn of_query(parts: &Parts, known: &[&'static str]) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default().as_bytes(), known)
    }

    /// Reads the body of a submission. As in ROS, JSON does as well as a form, and any other type counts as empty.
    pub(super) async fn of_body(
        parts: &Parts,
        content: Body,
        known: &[&'static str],
    ) -> Result<Self, Problem> {
        let Some((media_type, charset)) = body::media_type(&parts.headers) else {
            return Ok(Self(Vec::new()));
        };
        let is_json = media_type == "application/json";
        if !is_json && media_type != "application/x-www-form-urlencoded" {
            return Ok(Self(Vec::new()));
        }
        body::check_charset(charset.as_deref())?;
        let bytes = body::read(parts, content).await?;
        if !is_json {
            return parse(&bytes, known);
        }
        let mut object = json::parse(&bytes)?;
        let mut fields = Vec::new();
        for name in known {
            fields.extend(object.text(name, name)?.map(|value| (*name, value)));
        }
        Ok(Self(fields))
    }

    /// A value; empty ones count as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_empty())
    }
}

fn parse(bytes: &[u8], known: &[&'static str]) -> Result<Fields, Problem> {
    let mut fields: Vec<(&'static str, String)> = Vec::new();
    for pair in bytes.split(|byte| *byte == b'&') {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        // A name that is not even text is none that we know.
        let Ok(name) = decode(name) else { continue };
        let base = name.split('[').next().unwrap_or_default();
        let Some(known) = known.iter().find(|known| **known == base) else { continue };
        if name.len() != base.len() || fields.iter().any(|(have, _)| have == known) {
            return Err(Problem::plain(
                StatusCode::BAD_REQUEST,
                "A part of the request was given more than once.",
            ));
        }
        let value = decode(value)
            .map_err(|()| Problem::plain(StatusCode::BAD_REQUEST, "The request is not in UTF-8."))?;
        fields.push((known, value));
    }
    Ok(Fields(fields))
}

/// Decodes `application/x-www-form-urlencoded`. Never lossily: two passwords must not become one.
fn decode(bytes: &[u8]) -> Result<String, ()> {
    let spaced: Cow<'_, [u8]> = if bytes.contains(&b'+') {
        bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<u8>>().into()
    } else {
        bytes.into()
    };
    let text = percent_decode(&spaced).decode_utf8().map_err(|_| ())?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(query: &str) -> Result<Option<String>, StatusCode> {
        parse(query.as_bytes(), &["token", "email"])
            .map(|mut fields| fields.take("token"))
            .map_err(|problem| problem.status())
    }

    #[test]
    fn a_parameter_is_decoded_once() {
        assert_eq!(token("token=a%2Bb+c%2525&x=1&x=2"), Ok(Some("a+b c%25".to_owned())));
        assert_eq!(token("email=x&token=100%"), Ok(Some("100%".to_owned())));
        assert_eq!(token("tok%65n=a"), Ok(Some("a".to_owned())));
        for absent in ["", "token", "token=", "&&", "x=token", "%ff=1"] {
            assert_eq!(token(absent), Ok(None), "{absent}");
        }
    }

    #[test]
    fn repeated_bracketed_and_undecodable_parameters_are_refused() {
        for bad in
            ["token=a&token=b", "token=a&token=a", "token[]=a", "token[x]=a", "token%5B%5D=a", "token=%ff"]
        {
            assert_eq!(token(bad), Err(StatusCode::BAD_REQUEST), "{bad}");
        }
    }
}
