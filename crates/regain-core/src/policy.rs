//! The settings that the flows obey. The configuration fills them; the defaults live there.

use std::time::Duration;

use crate::letter::Purpose;
use crate::limits::Limits;
use crate::name::KeyMode;
use crate::password::PasswordPolicy;

/// What the flows obey.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Mail is configured. Without it the mail actions are not enabled and no letter is posted.
    pub mail: bool,
    /// How names are compared; fixed when the database was made.
    pub key_mode: KeyMode,
    /// How long a reset link is good.
    pub reset_lifetime: Duration,
    /// How long a confirmation link is good.
    pub confirm_lifetime: Duration,
    /// How long the notice of a changed password is tried.
    pub notice_lifetime: Duration,
    /// How long a session lasts.
    pub session_lifetime: Duration,
    /// How long a user token lasts.
    pub user_token_lifetime: Duration,
    /// The administrator's token is taken.
    pub admin_token: bool,
    /// No session before the address is confirmed.
    pub require_confirmation: bool,
    /// Signing in with an unknown name registers it where the client does not say otherwise.
    pub register_by_login: bool,
    /// What a new password must be.
    pub password: PasswordPolicy,
    /// Limits against abuse.
    pub limits: Limits,
}

impl Policy {
    /// How long a letter of that purpose, and the token in it, is good.
    pub fn lifetime(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Reset => self.reset_lifetime,
            Purpose::Confirm => self.confirm_lifetime,
            Purpose::PasswordChanged => self.notice_lifetime,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            mail: true,
            key_mode: KeyMode::Folded,
            reset_lifetime: HOUR,
            confirm_lifetime: HOUR * 24,
            notice_lifetime: HOUR * 72,
            session_lifetime: HOUR * 24 * 90,
            user_token_lifetime: HOUR,
            admin_token: true,
            require_confirmation: false,
            register_by_login: true,
            password: PasswordPolicy::default(),
            limits: Limits::default(),
        }
    }
}
