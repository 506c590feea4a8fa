#![doc = include_str!("docs/crate.md")]
// This file only names the parts. The crate must not know accounts, templates or queues that last.

mod dkim;
mod error;
mod pool;
mod sender;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod trial;

pub use dkim::{
    DkimAlgorithm, DkimError, DkimFields, DkimKey, DkimKeyError, DkimRecord, DkimSigner, PublishedFault,
};
pub use error::{Cause, Phase, SendError, StartError};
pub use pool::{Accepted, Pool};
pub use sender::{Mailbox, Sender, SenderError};
pub use session::{Deadlines, EnhancedCode, Envelope, Reply, TrustRoots};
pub use settings::{AuthMethod, Settings, SettingsError, StartTls, TlsCa, TlsVersion};
pub use trial::{Step, trial};

/// Compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
