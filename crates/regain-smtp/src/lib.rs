//! Sends mail to one relay over kept SMTP connections.
//!
//! This file only names the parts. The crate must not know accounts, templates or queues: it takes a
//! finished message and an envelope and says what the relay answered, and in which phase.

mod error;
mod pool;
mod sender;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Cause, Phase, SendError, StartError};
pub use pool::{Accepted, Pool};
pub use sender::{Mailbox, Sender, SenderError};
pub use session::{Deadlines, EnhancedCode, Envelope, Reply, TrustRoots};
pub use settings::{Settings, SettingsError, StartTls};
