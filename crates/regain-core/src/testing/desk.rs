//! A whole service on fakes, with the words that stories are told in.
#![expect(clippy::expect_used, reason = "for tests")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::caller::Caller;
use crate::flows::{confirm_email, register, reset_password, session, sign_in};
use crate::hashing::{HashCost, HashPool};
use crate::letter::Purpose;
use crate::limits::{Limiter, Limits};
use crate::mailer::Parcel;
use crate::outbox::courier::Courier;
use crate::outbox::relays::Relay;
use crate::password::Password;
use crate::policy::Policy;
use crate::service::Service;
use crate::session::AppId;
use crate::signing::SigningKey;
use crate::store::Store;
use crate::testing::{CountingRng, FakeClock, ScriptedMailer, caller};
use crate::token::{TokenKey, TokenKeys};

/// A service, its courier, and hold of all fakes behind them.
pub struct Desk {
    /// What flows are given.
    pub service: Arc<Service>,
    /// Delivers when told to.
    pub courier: Courier,
    /// Moves time.
    pub clock: Arc<FakeClock>,
    /// Remembers what was mailed.
    pub mailer: Arc<ScriptedMailer>,
    /// Who asks.
    pub caller: Caller,
}

/// More letters than any story has.
const MANY: usize = 1000;

/// Making an RSA key takes a while: one for all tests.
static SIGNING_KEY: LazyLock<Vec<u8>> =
    LazyLock::new(|| SigningKey::generate().expect("a key").to_pkcs8().expect("a key").to_vec());

impl Desk {
    /// Over `store`, with the default policy but no limits per client.
    pub fn over(store: Arc<dyn Store>) -> Self {
        let per_client_off =
            Limits { sign_in: None, register: None, mail: None, token_guesses: None, ..Limits::default() };
        Self::under(store, Policy { limits: per_client_off, ..Policy::default() })
    }

    /// Over `store`, under `policy`.
    pub fn under(store: Arc<dyn Store>, policy: Policy) -> Self {
        Self::with_token_keys(store, policy, TokenKey::from_bytes([7; 32]).into())
    }

    /// Over `store`, under `policy`, with token keys of one's own.
    pub fn with_token_keys(store: Arc<dyn Store>, policy: Policy, token_keys: TokenKeys) -> Self {
        let clock = Arc::new(FakeClock::default());
        let mailer = Arc::new(ScriptedMailer::default());
        let rng = Arc::new(CountingRng::default());
        let service = Arc::new(Service {
            store,
            clock: clock.clone(),
            hashing: HashPool::start(HashCost::CHEAP, rng.clone()).expect("threads"),
            limiter: Limiter::new(policy.limits),
            policy,
            signing_keys: SigningKey::from_pkcs8(&SIGNING_KEY).expect("a key").into(),
            token_keys,
            rng,
            wake: Arc::default(),
        });
        let courier = Courier::new(service.clone(), vec![Relay::new(mailer.clone(), MANY)]);
        Self { service, courier, clock, mailer, caller: caller() }
    }

    /// Registers. Answers the session token.
    pub async fn register(&self, name: &str, password: &str) -> Result<String, register::RegisterError> {
        let name = self.service.name(name).expect("a name");
        let signed =
            register::register(&self.service, &self.caller, &name, &secret(password), &AppId::default())
                .await?;
        Ok(signed.token.to_string())
    }

    /// Signs in. Answers the session token.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<String, sign_in::SignInError> {
        let name = self.service.name(name).expect("a name");
        let signed =
            sign_in::sign_in(&self.service, &self.caller, &name, &secret(password), &AppId::default())
                .await?;
        Ok(signed.token.to_string())
    }

    /// Whether a session token still holds.
    pub async fn holds(&self, token: &str) -> bool {
        session::authenticate(&self.service, token).await.is_ok()
    }

    /// Asks for a reset link.
    pub async fn ask_reset(&self, name: &str) -> Result<(), reset_password::RequestError> {
        let name = self.service.name(name).expect("a name");
        reset_password::request(&self.service, &self.caller, &name).await
    }

    /// Asks for a confirmation link.
    pub async fn ask_confirmation(&self, name: &str) -> Result<(), reset_password::RequestError> {
        let name = self.service.name(name).expect("a name");
        confirm_email::request(&self.service, &self.caller, &name).await
    }

    /// Uses a reset link.
    pub async fn reset(&self, token: &str, new: &str) -> Result<(), reset_password::CompleteError> {
        reset_password::complete(&self.service, &self.caller, token, &secret(new)).await
    }

    /// Uses a confirmation link.
    pub async fn confirm(
        &self,
        token: &str,
    ) -> Result<confirm_email::Confirmed, confirm_email::CompleteError> {
        confirm_email::complete(&self.service, &self.caller, token).await
    }

    /// Delivers everything that is due.
    pub async fn deliver(&self) {
        while self.courier.step(10).await.expect("a step") > 0 {}
    }

    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// What was mailed for that purpose.
    pub fn mails(&self, purpose: Purpose) -> Vec<Parcel> {
        self.mailer.accepted().into_iter().filter(|p| p.purpose == purpose).collect()
    }

    /// The token in the last mail of that purpose.
    pub fn last_token(&self, purpose: Purpose) -> String {
        let mails = self.mails(purpose);
        let token = mails.last().expect("a mail").token.as_ref().expect("a token");
        token.expose().to_string()
    }
}

/// A password.
pub fn secret(text: &str) -> Password {
    Password::parse(text).expect("a password")
}
