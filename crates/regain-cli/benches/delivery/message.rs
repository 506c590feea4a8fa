//! The mail that is measured: a reset mail as Regain composes it, for other clients to send.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use regain::mail::{AllOverrides, Composed, Composer, Letterhead, Templates};
use regain_core::{Address, LetterId, OsRng, Parcel, Purpose, Timestamp, Token, UserAgent};
use regain_smtp::Sender;

use crate::common::load;

/// Who asks, in every letter.
pub(crate) const IP: &str = "192.0.2.1";
pub(crate) const AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// A mail in files.
pub(crate) struct Message {
    /// The bytes of the mail.
    pub(crate) length: usize,
    pub(crate) from: String,
    pub(crate) to: String,
    /// The whole mail with Unix line ends, as `smtp-source -F` wants it.
    pub(crate) source: PathBuf,
    /// Its parts, and the whole, as JSON for nodemailer.
    pub(crate) parts: PathBuf,
}

impl Message {
    pub(crate) fn write(directory: &Path) -> Result<Self> {
        let Composed { envelope_from: from, envelope_to: to, subject, text, html, raw, .. } = compose()?;
        let raw = String::from_utf8(raw.to_vec())?;
        let source = directory.join("message.eml");
        std::fs::write(&source, raw.replace("\r\n", "\n"))?;
        let parts = directory.join("message.json");
        let json = serde_json::json!({
            "from": from, "to": to, "subject": subject, "text": text, "html": html, "raw": raw,
        });
        std::fs::write(&parts, json.to_string())?;
        Ok(Self { length: raw.len(), from, to, source, parts })
    }
}

fn compose() -> Result<Composed> {
    let hour = std::time::Duration::from_secs(3600);
    let composer = Composer::new(Letterhead {
        sender: Sender::parse("bench@example.org")?,
        templates: Templates::new(AllOverrides::default(), true).ok().context("the default templates")?,
        link_base: "http://localhost:9080".to_owned(),
        app_name: "localhost".to_owned(),
        reset_lifetime: hour,
        confirm_lifetime: hour,
    });
    let now = Timestamp::from_millis(1_800_000_000_000);
    let parcel = Parcel {
        letter: LetterId::new(now, &OsRng)?,
        purpose: Purpose::Reset,
        to: Address::parse(&load::name(0)).context("an address")?,
        token: Token::parse(&"7".repeat(64)),
        ip: Some(IP.parse()?),
        agent: UserAgent::parse(AGENT),
        posted: now,
    };
    Ok(composer.compose(&parcel)?)
}
