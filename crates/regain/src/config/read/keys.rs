//! The keys of `keys`: what processes over one database share.

use std::sync::Arc;

use super::super::keys::{ConfiguredKey, KeysConfig};
use super::super::reader::{Found, Section};
use crate::keys::{parse_public_key, parse_signing_key, parse_token_key};

/// More keys are never good at once.
pub(in super::super) const MOST_OTHERS: usize = 8;

/// Reads the table.
pub(super) fn read(mut section: Section<'_>, keys: &mut KeysConfig) {
    if let Some(found) = section.find_nested("tokenKey") {
        keys.token_key = one(&section, found, parse_token_key);
    }
    if let Some(found) = section.find_nested("otherTokenKeys") {
        keys.other_token_keys = several(&section, &found, parse_token_key);
    }
    if let Some(found) = section.find_nested("signingKey") {
        keys.signing_key = one(&section, found, |pem| parse_signing_key(&lines(pem)).map(Arc::new));
    }
    if let Some(found) = section.find_nested("otherPublicKeys") {
        keys.other_public_keys = several(&section, &found, |pem| parse_public_key(&lines(pem)));
    }
    section.finish();
}

fn one<K>(
    section: &Section<'_>,
    found: Found<'_>,
    parse: impl Fn(&str) -> Result<K, String>,
) -> Option<ConfiguredKey<K>> {
    let (text, file) = found.key()?;
    let key = parse(text.as_str()).map_err(|reason| section.report(text.mistake(reason))).ok()?;
    Some(ConfiguredKey { key, file })
}

fn several<K>(
    section: &Section<'_>,
    found: &Found<'_>,
    parse: impl Fn(&str) -> Result<K, String>,
) -> Vec<ConfiguredKey<K>> {
    let items = found.items().unwrap_or_default();
    if items.len() > MOST_OTHERS {
        found.mistake(format!("must list at most {MOST_OTHERS} keys"));
        return Vec::new();
    }
    items.into_iter().filter_map(|item| one(section, item, &parse)).collect()
}

/// Variables often hold a key in one line, with `\n` for each line break; PEM itself has no backslash.
fn lines(pem: &str) -> String {
    pem.replace("\\n", "\n")
}
