//! The mailer of `regain dev`: keeps mails in memory for the developer to read, and sends none.
//!
//! This must not be reachable when real mail is sent: it holds every token in the clear.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use regain_core::Timestamp;
use regain_core::mailer::{DeliveryError, Mailer, Parcel, Receipt};
use regain_smtp::Mailbox as SenderMailbox;

use super::compose::Composer;

/// How many mails are kept; the oldest make room.
pub const CAPACITY: usize = 1_000;

/// The newest mails, in memory. Clones share them.
#[derive(Clone, Default)]
pub struct Mailbox {
    messages: Arc<Mutex<VecDeque<Arc<Message>>>>,
}

/// A mail that would have gone out. No `Debug`: it holds a token.
pub struct Message {
    /// The letter's id.
    pub id: String,
    /// The recipient's address.
    pub to: String,
    /// The sender: `notes@example.org` or `"Notes" <notes@example.org>`.
    pub from: String,
    /// The subject, decoded.
    pub subject: String,
    /// The text part, decoded.
    pub text: String,
    /// The HTML part, decoded.
    pub html: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// The whole mail as a relay would have had it.
    pub raw: Arc<[u8]>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// All mails, newest first.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.lock().iter().rev().cloned().collect()
    }

    /// The mail with that id.
    pub fn message(&self, id: &str) -> Option<Arc<Message>> {
        self.lock().iter().rev().find(|message| message.id == id).cloned()
    }

    /// Throws all mails away.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn keep(&self, message: Message) {
        let mut messages = self.lock();
        if messages.len() >= CAPACITY {
            messages.pop_front();
        }
        messages.push_back(Arc::new(message));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Message>>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delivers mails into a [`Mailbox`].
pub struct MailboxMailer {
    composer: Composer,
    mailbox: Mailbox,
}

impl MailboxMailer {
    /// A mailer that composes with `composer` and keeps the mails in `mailbox`.
    pub fn new(composer: Composer, mailbox: Mailbox) -> Self {
        Self { composer, mailbox }
    }
}

#[async_trait]
impl Mailer for MailboxMailer {
    async fn deliver(&self, parcel: Parcel) -> Result<Receipt, DeliveryError> {
        let mail = self.composer.compose(&parcel)?;
        self.mailbox.keep(Message {
            id: parcel.letter.to_string(),
            to: mail.envelope_to,
            from: shown(self.composer.sender().envelope()),
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
            at: parcel.posted,
            raw: mail.raw,
        });
        Ok(Receipt { reply: "250 kept in the developer's mailbox".to_owned() })
    }
}

pub(super) fn shown(sender: &SenderMailbox) -> String {
    match sender.name() {
        "" => sender.address().to_owned(),
        name => {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{quoted}\" <{}>", sender.address())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use regain_core::{Address, LetterId, Purpose};
    use regain_smtp::Sender;

    use super::*;
    use crate::mail::compose::Letterhead;
    use crate::mail::templates::{AllOverrides, Templates};

    fn mailer(mailbox: &Mailbox) -> MailboxMailer {
        let composer = Composer::new(Letterhead {
            sender: Sender::parse("\"The \\\"Notes\\\"\" <notes@example.org>").unwrap(),
            templates: Templates::new(AllOverrides::default(), true).unwrap(),
            link_base: "http://localhost:9080".to_owned(),
            app_name: "Notes".to_owned(),
            reset_lifetime: Duration::from_secs(3600),
            confirm_lifetime: Duration::from_secs(86_400),
        });
        MailboxMailer::new(composer, mailbox.clone())
    }

    fn parcel(number: u16) -> Parcel {
        let mut id = [0; 16];
        id[14..].copy_from_slice(&number.to_be_bytes());
        Parcel {
            letter: LetterId::from_bytes(id),
            purpose: Purpose::PasswordChanged,
            to: Address::parse("ann@example.net").unwrap(),
            token: None,
            ip: None,
            agent: None,
            posted: Timestamp::from_millis(i64::from(number)),
        }
    }

    #[tokio::test]
    async fn a_mail_is_kept_with_all_its_parts() {
        let mailbox = Mailbox::new();
        mailer(&mailbox).deliver(parcel(7)).await.unwrap();
        let messages = mailbox.messages();
        let message = &messages[0];
        assert_eq!(message.to, "ann@example.net");
        assert_eq!(message.from, "\"The \\\"Notes\\\"\" <notes@example.org>");
        assert_eq!(message.subject, "Your password was changed");
        assert!(message.text.contains("password") && message.html.contains("</html>"));
        assert!(message.raw.starts_with(b"From: "));
        assert!(mailbox.message(&message.id).is_some());
        assert!(mailbox.message("another").is_none());
        mailbox.clear();
        assert!(mailbox.messages().is_empty());
    }

    #[tokio::test]
    async fn the_newest_thousand_are_kept_newest_first() {
        let mailbox = Mailbox::new();
        let mailer = mailer(&mailbox);
        for number in 0..=1_000 {
            mailer.deliver(parcel(number)).await.unwrap();
        }
        let times: Vec<_> = mailbox.messages().iter().map(|message| message.at.as_millis()).collect();
        assert_eq!(times, (1..=1_000).rev().collect::<Vec<_>>());
    }
}
