//! The port that letters leave by, and the three ways in which that fails.

use std::net::IpAddr;

use async_trait::async_trait;

use crate::caller::UserAgent;
use crate::clock::Timestamp;
use crate::letter::{LetterId, Purpose};
use crate::name::Address;
use crate::token::Token;

/// Composes the mail of a letter and hands it to a relay.
///
/// Invariant: two calls with equal parcels give byte-identical mails, so that a copy can be recognised as one.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Delivers one mail. Returns only when the relay has taken responsibility for it.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    async fn deliver(&self, parcel: Parcel) -> Result<Receipt, DeliveryError>;
}

/// All that a mail is made of. No `Debug`: it holds a token.
#[derive(Clone)]
pub struct Parcel {
    /// The letter; names the mail (`Message-ID`).
    pub letter: LetterId,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it goes: the address stored on the account.
    pub to: Address,
    /// The secret of the link; absent where the purpose has none.
    pub token: Option<Token>,
    /// Who asked.
    pub ip: Option<IpAddr>,
    /// What asked.
    pub agent: Option<UserAgent>,
    /// When it was asked for: the `Date` of the mail.
    pub posted: Timestamp,
}

/// A relay has accepted a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What the relay said, without addresses, to find the mail in its log.
    pub reply: String,
}

/// Whose fault it is that a mail was not delivered decides what happens next (design, section 8).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The relay's: unreachable, refuses everybody, speaks nonsense. The letter keeps its attempts.
    #[error("relay: {reason}")]
    Relay {
        /// What went wrong, and in which phase; no address in it.
        reason: String,
        /// The relay says that this will not pass by itself (5xx): a matter of configuration.
        permanent: bool,
    },
    /// Nobody's: the mailer had no place for it in time, and nothing was tried. Nothing is charged.
    #[error("not begun")]
    NotBegun,
    /// Nobody's: the relay hangs at the recipient's domain, and the mailer keeps its places for others. Nothing was tried,
    /// and nothing is charged.
    #[error("held back")]
    HeldBack,
    /// Nobody's, or unknown: this letter again later.
    #[error("later: {reason}")]
    Later {
        /// What went wrong; no address in it.
        reason: String,
        /// What the relay said.
        reply: Option<String>,
        /// How the relay put it off.
        kind: LaterKind,
    },
    /// The letter's: it will never be accepted.
    #[error("never: {reason}")]
    Never {
        /// What is wrong with it; no address in it.
        reason: String,
        /// What the relay said.
        reply: Option<String>,
    },
}

/// How a relay put a letter off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaterKind {
    /// A mailbox or the relay is busy, or greylists (45x): not again within a minute.
    Greylisted,
    /// The relay refuses the recipient by policy (530, 5.7.x): perhaps it refuses everybody.
    Policy,
    /// The relay was lost or fell silent at this letter, before it can have taken it.
    Lost,
    /// Nobody knows whether the relay took it: the connection was lost behind the final dot. A copy may follow.
    Unknown,
    /// Anything else.
    Other,
}
