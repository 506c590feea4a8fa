//! What every flow is given: the ports, the policy and the keys.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::{Clock, Timestamp};
use crate::hashing::HashPool;
use crate::limits::Limiter;
use crate::name::{InvalidName, Name};
use crate::policy::Policy;
use crate::rng::Rng;
use crate::signing::SigningKeys;
use crate::store::Store;
use crate::token::TokenKeys;

/// The ports, the policy and the keys.
pub struct Service {
    /// What is durable.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
    /// The threads that hash passwords.
    pub hashing: HashPool,
    /// What the flows obey.
    pub policy: Policy,
    /// Limits per client.
    pub limiter: Limiter,
    /// Sign sessions, and check them.
    pub signing_keys: SigningKeys,
    /// Derive tokens.
    pub token_keys: TokenKeys,
    /// Wakes the courier when a letter was posted.
    pub wake: Arc<Notify>,
}

impl Service {
    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Parses a name as this database compares them.
    ///
    /// # Errors
    /// See [`InvalidName`].
    pub fn name(&self, text: &str) -> Result<Name, InvalidName> {
        Name::parse(text, self.policy.key_mode)
    }

    /// Counts a mail request; `false` where this client has used up its share and the request is to be swallowed.
    pub(crate) fn may_ask_for_mail(&self, client: IpAddr) -> bool {
        let within = self.limiter.mail(client, self.now()).is_ok();
        if !within {
            tracing::info!(event = "rate_limit", limit = "mail", "a mail request was swallowed");
        }
        within
    }
}
