//! Sends mail to one relay over kept SMTP connections.
//!
//! This file only names the parts. The crate must not know accounts, templates or queues: it takes a
//! finished message and an envelope and says what the relay answered, and in which phase.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use regain_smtp::{Deadlines, Envelope, Pool, Sender, Settings, TrustRoots};
//! # use regain_smtp::testing::ScriptedServer;
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = ScriptedServer::start().await;
//! # let url = server.url();
//! // let url = "smtps://user:password@smtp.example.com";
//! let pool = Pool::start(Settings::parse(&url)?, Deadlines::default(), TrustRoots::System)?;
//! let sender = Sender::parse(r#""Example" <noreply@example.org>"#)?;
//! let envelope = Envelope { from: sender.envelope().address().into(), to: "ada@example.org".into() };
//! let message: Arc<[u8]> = b"Subject: hello\r\n\r\nDear Ada\r\n".as_slice().into();
//! match pool.send(envelope, message).await {
//!     Ok(accepted) => println!("accepted: {}", accepted.reply.codes()),
//!     Err(error) => println!("{} ({})", error, error.code()),
//! }
//! pool.close(Duration::from_secs(5)).await;
//! # assert_eq!(server.messages().len(), 1);
//! # Ok(())
//! # }
//! ```

mod dkim;
mod error;
mod pool;
mod sender;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use dkim::{DkimAlgorithm, DkimError, DkimKey, DkimKeyError, DkimRecord, DkimSigner, PublishedFault};
pub use error::{Cause, Phase, SendError, StartError};
pub use pool::{Accepted, Pool};
pub use sender::{Mailbox, Sender, SenderError};
pub use session::{Deadlines, EnhancedCode, Envelope, Reply, TrustRoots};
pub use settings::{AuthMethod, Settings, SettingsError, StartTls, TlsCa, TlsVersion};
