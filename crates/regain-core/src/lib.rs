//! The rules of Regain: accounts, passwords, tokens, sessions, the flows and the outbox.
//!
//! Everything that touches the world goes through one of four ports, [`Clock`], [`Rng`], [`Store`] and
//! [`Mailer`], so that each rule can be tested without it. This crate must not know HTTP, SQL, SMTP or files.
//!
//! Start reading at [`flows::reset_password`].

pub mod account;
pub mod caller;
pub mod clock;
pub mod fail_point;
pub mod flows;
pub mod hashing;
pub mod keys;
pub mod letter;
pub mod limits;
pub mod mailer;
pub mod metadata;
pub mod name;
pub mod outbox;
pub mod password;
pub mod policy;
pub mod relay_code;
pub mod rng;
pub mod service;
pub mod session;
pub mod signing;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;

pub use account::{Account, AccountId, AccountRecord, Generation};
pub use caller::{Caller, UserAgent};
pub use clock::{Clock, SystemClock, Timestamp};
pub use hashing::{HashCost, HashPool};
pub use keys::{KeyAgreement, KeyFingerprint, KeyIntent, KeyOffer};
pub use letter::{ClaimId, Letter, LetterId, LetterState, Purpose};
pub use limits::{Limits, PerMinute};
pub use mailer::{DeliveryError, Mailer, Parcel, Receipt};
pub use metadata::Metadata;
pub use name::{Address, KeyMode, Name, NameKey, Provider};
pub use password::{Password, PasswordHash, PasswordPolicy, PasswordRefusal};
pub use policy::Policy;
pub use relay_code::RelayCode;
pub use rng::{OsRng, Rng};
pub use service::Service;
pub use session::{AppId, Session, SessionId};
pub use signing::{PublicKey, SignedToken, SigningKey, SigningKeys};
pub use store::{Store, StoreError};
pub use token::{Token, TokenHash, TokenKey, TokenKeyId, TokenKeys};
