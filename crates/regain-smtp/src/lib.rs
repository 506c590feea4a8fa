//! Sends mail to one relay over kept SMTP connections.
//!
//! This file only names the parts. The crate must not know accounts, templates or queues: it takes a
//! finished message and an envelope and says what the relay answered, and in which phase.

mod sender;
mod settings;

pub use sender::{Mailbox, Sender, SenderError};
pub use settings::{Settings, SettingsError, StartTls};
