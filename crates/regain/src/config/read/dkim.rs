//! The keys of `emailHandlerConfig.dkim`, with the names of nodemailer's option `dkim`.

use std::path::PathBuf;

use regain_smtp::{DkimError, DkimFields, DkimKey, DkimSigner};

use super::super::provider::{DkimConfig, TextAt};
use super::super::reader::{Advice, Found, Section};

/// What nodemailer has besides.
const ADVICE: Advice = &[
    ("cacheDir", "is not needed: mails are small and signed in memory; leave it out"),
    ("cacheTreshold", "is not needed: mails are small and signed in memory; leave it out"),
    ("cacheThreshold", "is not needed: mails are small and signed in memory; leave it out"),
];

/// Reads the table: one key, or several under `keys`.
pub(super) fn read(mut section: Section<'_>) -> Vec<DkimConfig> {
    if let Some(found) = section.find("hashAlgo") {
        found.parse(|text| match text {
            "sha256" => Ok(()),
            _ => Err("must be \"sha256\", since receivers take no other hash; or leave it out"),
        });
    }
    let fields = fields(&mut section);
    let mut alone = Written::of(&mut section);
    let mut dkim = Vec::new();
    match section.find_nested("keys") {
        None => dkim.extend(alone.read(&section, &fields)),
        Some(found) => {
            alone.refuse();
            keys(&found, &fields, &mut dkim);
        }
    }
    section.finish_with(ADVICE);
    dkim
}

fn keys(found: &Found<'_>, fields: &DkimFields, dkim: &mut Vec<DkimConfig>) {
    let Some(items) = found.items() else { return };
    if items.is_empty() {
        found.mistake("must list at least one key");
    }
    for item in items {
        let Some(mut section) = item.section() else { continue };
        let mut written = Written::of(&mut section);
        if let Some(read) = written.read(&section, fields) {
            let name = |key: &DkimConfig| key.signer.record().name().to_owned();
            let is_taken = dkim.iter().any(|other| name(other) == name(&read));
            if let Some(selector) = written.selector.filter(|_| is_taken) {
                selector
                    .mistake("is another key's of this domain already; each key has a selector of its own");
            }
            dkim.push(read);
        }
        section.finish_with(ADVICE);
    }
}

/// Which header fields are signed; the usual ones where nothing, or a mistake, is written.
fn fields(section: &mut Section<'_>) -> DkimFields {
    let only = section.find("headerFieldNames");
    let fields = only.and_then(|found| found.parse(|text| DkimFields::only(names(text)))).unwrap_or_default();
    let skipped = section.find("skipFields");
    let rest = skipped.and_then(|found| found.parse(|text| fields.clone().without(names(text))));
    rest.unwrap_or(fields)
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(':').map(str::trim)
}

/// One key as it is written.
struct Written<'a> {
    domain: Option<Found<'a>>,
    selector: Option<Found<'a>>,
    key: Option<Found<'a>>,
}

impl<'a> Written<'a> {
    fn of(section: &mut Section<'a>) -> Self {
        Self {
            domain: section.find("domainName"),
            selector: section.find("keySelector"),
            key: section.find_nested("privateKey"),
        }
    }

    /// What stands beside a list of keys would belong to none of them.
    fn refuse(self) {
        for found in [self.domain, self.selector, self.key].into_iter().flatten() {
            found.mistake("stands beside keys; write it into each table of keys, or leave keys out");
        }
    }

    fn read(&mut self, section: &Section<'_>, fields: &DkimFields) -> Option<DkimConfig> {
        for (found, key, advice) in [
            (&self.domain, "domainName", "write the domain of from, for example \"example.com\""),
            (
                &self.selector,
                "keySelector",
                "write what stands before ._domainkey in DNS, for example \"main\"",
            ),
            (&self.key, "privateKey", "write { file = \"dkim.pem\" }, or the key itself in PEM"),
        ] {
            if found.is_none() {
                section.missing(key, advice);
            }
        }
        let key = self.key.take().and_then(|found| private_key(section, found));
        let (domain, selector) = (self.domain.as_ref()?, self.selector.as_ref()?);
        let names = domain.text().zip(selector.text())?;
        if let Err(error) = DkimSigner::check_names(&names.0, &names.1) {
            match error {
                DkimError::Selector => selector.mistake(error.to_string()),
                _ => domain.mistake(error.to_string()),
            }
            return None;
        }
        let (key, key_file) = key?;
        let signer = DkimSigner::new(&names.0, &names.1, key).ok()?.with_fields(fields.clone());
        Some(DkimConfig { signer, key_file })
    }
}

fn private_key(section: &Section<'_>, found: Found<'_>) -> Option<(DkimKey, Option<PathBuf>)> {
    let (text, file) = found.pem()?;
    let key = parse(&text).map_err(|reason| section.report(text.mistake(reason))).ok()?;
    Some((key, file))
}

/// Variables often hold a key in one line, with `\n` for each line break; PEM itself has no backslash.
fn parse(text: &TextAt) -> Result<DkimKey, String> {
    DkimKey::from_pem(&text.as_str().replace("\\n", "\n")).map_err(|error| error.to_string())
}
