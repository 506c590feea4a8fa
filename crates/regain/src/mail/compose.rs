//! From a parcel to the bytes of a mail.
//!
//! Invariant: equal parcels give equal bytes. Nothing here asks for the time, for chance or for the host's name.

use std::sync::Arc;
use std::time::Duration;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as Header;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use regain_core::mailer::{DeliveryError, LaterKind};
use regain_core::{LetterId, Parcel, Purpose};
use regain_smtp::{DkimError, DkimSigner, Mailbox, Sender};
use zeroize::Zeroizing;

use super::template::Values;
use super::templates::Templates;

/// Longer lines are encoded; RFC 5322 section 2.1.1 allows 998, and some relays count dots and line ends in.
const LONGEST_LINE: usize = 990;
/// More than all that stands around two texts, and what their line ends take, mostly.
const ROOM_FOR_HEADERS: usize = 2048;

/// What all mails have in common.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// Whom they are from.
    pub sender: Sender,
    /// What they say.
    pub templates: Templates,
    /// What links begin with, without a slash at its end (`%BASE_URL%`); empty where no template uses it.
    pub link_base: String,
    /// The application (`%APP_NAME%`).
    pub app_name: String,
    /// How long a reset link is good (`%EXPIRES_IN%`, also in the notice of a changed password).
    pub reset_lifetime: Duration,
    /// How long a confirmation link is good (`%EXPIRES_IN%`).
    pub confirm_lifetime: Duration,
}

/// What mails say, whoever they are from and however they leave.
#[derive(Clone, Debug)]
pub struct Wording {
    /// The texts.
    pub templates: Templates,
    /// What links begin with, without a slash at its end (`%BASE_URL%`); empty where no template uses it.
    pub link_base: String,
    /// The application (`%APP_NAME%`).
    pub app_name: String,
    /// How long a reset link is good (`%EXPIRES_IN%`, also in the notice of a changed password).
    pub reset_lifetime: Duration,
    /// How long a confirmation link is good (`%EXPIRES_IN%`).
    pub confirm_lifetime: Duration,
}

/// The texts of one mail. No `Debug`: they hold a token.
#[derive(Clone)]
pub struct Texts {
    /// The subject, one line.
    pub subject: String,
    /// The text part, with `\n` as line end.
    pub text: String,
    /// The HTML part, with `\n` as line end.
    pub html: String,
}

/// Composes mails.
#[derive(Clone, Debug)]
pub struct Composer {
    sender: Arc<Sender>,
    wording: Arc<Wording>,
    signers: Arc<[DkimSigner]>,
}

/// A mail, ready to be handed over. No `Debug`: it holds a token.
#[derive(Clone)]
pub struct Composed {
    /// `<letter id@sender's domain>`, with its brackets.
    pub message_id: String,
    /// The envelope's sender.
    pub envelope_from: String,
    /// The envelope's one recipient.
    pub envelope_to: String,
    /// The subject, decoded.
    pub subject: String,
    /// The text part, decoded, with `\n` as line end.
    pub text: String,
    /// The HTML part, decoded, with `\n` as line end.
    pub html: String,
    /// The whole mail: lines end in CRLF and are at most 998 bytes long. ASCII, but for an address in the header whose
    /// local part is not (RFC 6532).
    pub raw: Arc<[u8]>,
}

/// Why a parcel makes no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A mail whose purpose is its link would come without, now and ever.
    #[error("there is no token for a mail that needs one")]
    NoToken,
    /// No mail goes out without the signatures that were asked for.
    #[error("the mail is not signed: {0}")]
    NotSigned(#[from] DkimError),
}

impl From<ComposeError> for DeliveryError {
    fn from(error: ComposeError) -> Self {
        let reason = error.to_string();
        match error {
            ComposeError::NoToken => Self::Never { reason, reply: None },
            // It says nothing about the letter.
            ComposeError::NotSigned(_) => Self::Later { reason, reply: None, kind: LaterKind::Other },
        }
    }
}

impl Composer {
    /// A composer of mails with that letterhead.
    pub fn new(letterhead: Letterhead) -> Self {
        let Letterhead { sender, templates, link_base, app_name, reset_lifetime, confirm_lifetime } =
            letterhead;
        let wording = Wording { templates, link_base, app_name, reset_lifetime, confirm_lifetime };
        Self { sender: Arc::new(sender), wording: Arc::new(wording), signers: Arc::default() }
    }

    /// The same composer, whose mails each of these signs (DKIM). The time in a signature is the letter's, so that a copy
    /// stays byte-identical.
    pub fn signed_by(self, signers: Vec<DkimSigner>) -> Self {
        Self { signers: signers.into(), ..self }
    }

    /// Whom the mails are from.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Composes the mail of a parcel.
    ///
    /// # Errors
    /// See [`ComposeError`].
    pub fn compose(&self, parcel: &Parcel) -> Result<Composed, ComposeError> {
        let Texts { subject, text, html } = self.wording.texts(parcel)?;
        let id = message_id(parcel.letter, self.sender.envelope().domain());
        let mut raw = Vec::with_capacity(text.len() + html.len() + ROOM_FOR_HEADERS);
        message(&self.sender, parcel, &id, &subject, &text, &html).serialize(&mut raw);
        if !self.signers.is_empty() {
            raw = DkimSigner::sign_with_all(&self.signers, &raw, seconds(parcel))?;
        }
        Ok(Composed {
            message_id: format!("<{id}>"),
            envelope_from: self.sender.envelope().address().to_owned(),
            envelope_to: parcel.to.as_str().to_owned(),
            subject,
            text,
            html,
            raw: raw.into(),
        })
    }
}

impl Wording {
    /// How long the link of a mail is good; for the notice of a changed password, one that is asked for then.
    pub fn lifetime(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Confirm => self.confirm_lifetime,
            Purpose::Reset | Purpose::PasswordChanged => self.reset_lifetime,
        }
    }

    /// Fills the texts in. Equal parcels give equal texts.
    ///
    /// # Errors
    /// [`ComposeError::NoToken`].
    pub fn texts(&self, parcel: &Parcel) -> Result<Texts, ComposeError> {
        let token = match (parcel.purpose, &parcel.token) {
            (Purpose::Reset | Purpose::Confirm, Some(token)) => token.expose(),
            (Purpose::Reset | Purpose::Confirm, None) => return Err(ComposeError::NoToken),
            (Purpose::PasswordChanged, _) => Zeroizing::default(),
        };
        let values = Values {
            token: &token,
            base_url: &self.link_base,
            ip: parcel.ip,
            email: &parcel.to,
            app_name: &self.app_name,
            expires_in: self.lifetime(parcel.purpose),
            agent: parcel.agent.as_ref(),
        };
        let template = self.templates.of(parcel.purpose);
        Ok(Texts {
            subject: template.subject.render(&values),
            text: template.text.render(&values),
            html: template.html.render(&values),
        })
    }
}

/// When the letter was posted, in seconds since 1970.
fn seconds(parcel: &Parcel) -> u64 {
    u64::try_from(parcel.posted.as_secs()).unwrap_or_default()
}

/// The same for every attempt, so that a copy is known as one (RFC 5322, 3.6.4).
pub(super) fn message_id(letter: LetterId, domain: &str) -> String {
    format!("{letter}@{domain}")
}

fn message<'m>(
    sender: &'m Sender,
    parcel: &'m Parcel,
    id: &'m str,
    subject: &'m str,
    text: &str,
    html: &str,
) -> MessageBuilder<'m> {
    let from: Vec<_> = sender.mailboxes().iter().map(mailbox).collect();
    let mut message = MessageBuilder::new().from(Header::new_list(from));
    if sender.mailboxes().len() > 1 {
        // Several authors need one who sends (RFC 5322, 3.6.2).
        message = message.sender(mailbox(sender.envelope()));
    }
    let boundary = format!("=_{}", parcel.letter);
    let parts = [("text/plain", text), ("text/html", html)].map(|(kind, text)| part(kind, text, &boundary));
    message
        .to(parcel.to.as_str())
        .subject(subject)
        .date(Date::new(parcel.posted.as_secs()))
        .message_id(id)
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .header("X-Auto-Response-Suppress", Raw::new("All"))
        .body(MimePart::new(
            ContentType::new("multipart/alternative").attribute("boundary", boundary),
            Vec::from(parts),
        ))
}

fn mailbox(mailbox: &Mailbox) -> Header<'_> {
    Header::new_address(Some(mailbox.name()).filter(|name| !name.is_empty()), mailbox.address())
}

/// A text part with CRLF line ends.
///
/// ASCII in lines of a length that SMTP allows goes as it is, so that the link stands in the raw mail in one piece,
/// for people who look at a source and for programs that look for links without decoding. The library alone would
/// use quoted-printable from 77 characters on, and cut every link in two. Everything else is encoded by it.
///
/// So is a text with the boundary in it, which quoted-printable cannot hold: some parsers look for it within lines.
fn part(kind: &'static str, text: &str, boundary: &str) -> MimePart<'static> {
    let mut lines = String::with_capacity(text.len() + text.len() / 16);
    let mut is_short = true;
    // Faster than `str::replace`: one search for each line, and one copy.
    for line in text.split_inclusive('\n') {
        let words = line.strip_suffix('\n');
        is_short &= words.unwrap_or(line).len() <= LONGEST_LINE;
        lines.push_str(words.unwrap_or(line));
        if words.is_some() {
            lines.push_str("\r\n");
        }
    }
    let part = MimePart::new(kind, lines);
    if text.is_ascii() && is_short && !text.contains(boundary) {
        part.transfer_encoding("7bit")
    } else {
        part
    }
}

#[cfg(test)]
mod tests;
