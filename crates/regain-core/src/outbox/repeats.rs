//! When a request for a mail needs no letter of its own.
//!
//! A request that meets an open letter of its purpose and name only extends that letter's deadline. One that comes
//! within [`Repeats::cooldown`] of a letter's end is swallowed, but not after `expired`; likewise, once
//! [`Repeats::mails`] mails were handed to a relay within [`Repeats::window`], while the last link mailed is good.
//! So nobody is flooded, and nobody can shut an owner out: there always is a good link in the mailbox or one to come.

use std::time::Duration;

use crate::limits::Limits;

/// The rules that [`crate::Store::post`] applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// Apply the rules of the address. Without them each request posts a letter.
    pub per_address: bool,
    /// After a letter's end.
    pub cooldown: Duration,
    /// Mails handed to a relay for one address and purpose.
    pub mails: u32,
    /// In this time.
    pub window: Duration,
    /// Open letters in the whole outbox, beyond which nothing is posted.
    pub max_open: Option<u64>,
}

impl Repeats {
    /// The rules under `limits`: 60 seconds, five mails in 24 hours.
    pub fn under(limits: &Limits) -> Self {
        Self {
            per_address: limits.per_address,
            cooldown: Duration::from_secs(60),
            mails: 5,
            window: Duration::from_secs(24 * 3600),
            max_open: limits.waiting_letters,
        }
    }
}

/// Notices of a changed password in 24 hours to an address that is not confirmed.
pub const NOTICES_IF_UNCONFIRMED: u32 = 5;
