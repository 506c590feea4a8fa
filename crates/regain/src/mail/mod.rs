//! The mails: templates, composing, and the ways in which a mail leaves.
//!
//! This must not decide when or whether a mail is sent: that is the courier's, in `regain-core`.

mod agent;
pub mod compose;
pub mod handler;
mod link;
pub mod mailbox;
pub mod smtp;
pub mod template;
pub mod templates;
pub mod webhook;

pub use compose::{ComposeError, Composed, Composer, Letterhead, Texts, Wording};
pub use handler::{EmailHandler, HandlerDelivery, HandlerError, HandlerMailer, LetterDetails, Links};
pub use mailbox::{Mailbox, MailboxMailer, Message};
pub use smtp::SmtpMailer;
pub use template::{Part, Placeholder, Rules, Template, TemplateError, Values};
pub use templates::{AllOverrides, DefaultTexts, MailTemplate, Overrides, TemplateMistake, Templates};
pub use webhook::{WebhookMailer, WebhookSettings};
