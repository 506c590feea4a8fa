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
use regain_core::{LetterId, Parcel, Purpose};
use regain_smtp::{Mailbox, Sender};
use zeroize::Zeroizing;

use super::template::Values;
use super::templates::Templates;

/// Longer lines are encoded; RFC 5322 section 2.1.1 allows 998, and some relays count dots and line ends in.
const LONGEST_LINE: usize = 990;

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
    /// The whole mail: ASCII, lines end in CRLF and are at most 998 bytes long.
    pub raw: Arc<[u8]>,
}

/// Why a parcel makes no mail. It never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// Local parts beyond ASCII need SMTPUTF8 (RFC 6531), also in the header.
    #[error("the address is not ASCII before its @, which needs SMTPUTF8")]
    AddressNotAscii,
    /// A mail whose purpose is its link would come without.
    #[error("there is no token for a mail that needs one")]
    NoToken,
}

impl Composer {
    /// A composer of mails with that letterhead.
    pub fn new(letterhead: Letterhead) -> Self {
        let Letterhead { sender, templates, link_base, app_name, reset_lifetime, confirm_lifetime } =
            letterhead;
        let wording = Wording { templates, link_base, app_name, reset_lifetime, confirm_lifetime };
        Self { sender: Arc::new(sender), wording: Arc::new(wording) }
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
        if !parcel.to.as_str().is_ascii() {
            return Err(ComposeError::AddressNotAscii);
        }
        let Texts { subject, text, html } = self.wording.texts(parcel)?;
        let id = message_id(parcel.letter, self.sender.envelope().domain());
        let mut raw = Vec::new();
        message(&self.sender, parcel, &id, &subject, &text, &html).serialize(&mut raw);
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

/// The same for every attempt, so that a copy is known as one (RFC 5322, 3.6.4).
fn message_id(letter: LetterId, domain: &str) -> String {
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
    // A body cannot hold this by accident: quoted-printable has no `=_`, and no template knows the letter.
    let boundary = format!("=_{}", parcel.letter);
    message
        .to(parcel.to.as_str())
        .subject(subject)
        .date(Date::new(parcel.posted.as_secs()))
        .message_id(id)
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .header("X-Auto-Response-Suppress", Raw::new("All"))
        .body(MimePart::new(
            ContentType::new("multipart/alternative").attribute("boundary", boundary),
            vec![part("text/plain", text), part("text/html", html)],
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
fn part(kind: &'static str, text: &str) -> MimePart<'static> {
    let lines = text.replace('\n', "\r\n");
    let part = MimePart::new(kind, lines);
    let plain = text.is_ascii() && text.lines().all(|line| line.len() <= LONGEST_LINE);
    if plain { part.transfer_encoding("7bit") } else { part }
}

#[cfg(test)]
mod tests;
