//! What the clauses are told with.
#![expect(clippy::expect_used, reason = "for tests")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{Account, AccountId, NewAccount};
use crate::clock::{Clock, Timestamp};
use crate::letter::{ClaimId, ClaimedLetter, LetterId, NewLetter, Notice, Purpose};
use crate::limits::Limits;
use crate::name::{KeyMode, Name};
use crate::outbox::courier::LEASE;
use crate::outbox::repeats::Repeats;
use crate::password::PasswordHash;
use crate::rng::{self, OsRng};
use crate::session::SessionId;
use crate::store::{
    Arm, Armed, Batch, ClaimOrder, CompleteReset, LetterFilter, Outcome, PasswordChange, Posted, Registered,
    Settlement, Store,
};
use crate::testing::FakeClock;
use crate::token::{TokenHash, TokenKeyId};

/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// An hour: the lifetime of links in the clauses.
pub const HOUR: Duration = Duration::from_secs(3600);
/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// The name most clauses are about.
pub const ANN: &str = "ann@example.org";

/// A store, a clock, and words for what clauses do.
pub struct Fixture {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// The time that steps are given.
    pub clock: FakeClock,
}

impl Fixture {
    /// Over a fresh store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, clock: FakeClock::default() }
    }

    /// The present of this clause.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Registers `name` with the hash `"hash"`, without a letter.
    pub async fn account(&self, name: &str) -> Account {
        let registered = self.store.register(new_account(name), None, self.now()).await.expect("a step");
        assert_eq!(registered, Registered::Created);
        self.load(name).await
    }

    /// The account of that name.
    pub async fn load(&self, name: &str) -> Account {
        self.store.account_by_name(parse(name).key()).await.expect("a step").expect("an account")
    }

    /// A letter to be posted now, good for an hour.
    pub fn letter(&self, purpose: Purpose, name: &str) -> NewLetter {
        NewLetter {
            id: LetterId::new(self.now(), &OsRng).expect("randomness"),
            purpose,
            name_key: parse(name).key().clone(),
            ip: Some(IpAddr::from([192, 0, 2, 1])),
            agent: None,
            posted: self.now(),
            deadline: self.now() + HOUR,
        }
    }

    /// A notice, as of now.
    pub fn notice(&self) -> Notice {
        Notice {
            id: LetterId::new(self.now(), &OsRng).expect("randomness"),
            ip: IpAddr::from([192, 0, 2, 1]),
            agent: None,
            deadline: self.now() + DAY * 3,
        }
    }

    /// Posts under the default rules.
    pub async fn post(&self, purpose: Purpose, name: &str) -> Posted {
        self.post_under(Repeats::under(&Limits::default()), purpose, name).await
    }

    /// Posts under other rules.
    pub async fn post_under(&self, repeats: Repeats, purpose: Purpose, name: &str) -> Posted {
        self.store.post(self.letter(purpose, name), repeats, self.now()).await.expect("a step")
    }

    /// Claims for the usual lease.
    pub async fn claim(&self, limit: usize) -> Vec<ClaimedLetter> {
        self.claim_by(ClaimOrder { limit, ..self.order() }).await.letters
    }

    /// Claims as ordered.
    pub async fn claim_by(&self, order: ClaimOrder) -> Batch {
        self.store.claim(order, self.now()).await.expect("a step")
    }

    /// Up to ten letters, oldest first, for the usual lease, without a budget.
    pub fn order(&self) -> ClaimOrder {
        let claim = ClaimId::random(&OsRng).expect("randomness");
        ClaimOrder { claim, limit: 10, newest: 0, lease: self.now() + LEASE, budget: None }
    }

    /// The newest letters of any state.
    pub fn newest(&self, limit: usize) -> LetterFilter {
        LetterFilter { limit, ..LetterFilter::default() }
    }

    /// Gives all claims back. Answers how many there were.
    pub async fn free_all_claims(&self) -> usize {
        self.store.free_all_claims(self.now()).await.expect("a step")
    }

    /// Claims the one letter that there must be.
    pub async fn claim_one(&self) -> ClaimedLetter {
        let mut claimed = self.claim(10).await;
        assert_eq!(claimed.len(), 1, "letters claimed");
        claimed.remove(0)
    }

    /// Arms a claimed letter with a token that is named by its letter, good for an hour from now.
    pub async fn arm(&self, claimed: &ClaimedLetter) -> Armed {
        self.arm_as(self.arming(claimed)).await
    }

    /// Arms one letter.
    pub async fn arm_as(&self, arm: Arm) -> Armed {
        self.store.arm(vec![arm], self.now()).await.expect("a step").remove(0)
    }

    /// What [`Fixture::arm`] does.
    pub fn arming(&self, claimed: &ClaimedLetter) -> Arm {
        Arm {
            letter: claimed.letter.id,
            claim: claimed.claim,
            token: (claimed.letter.purpose != Purpose::PasswordChanged).then(|| token_of(claimed.letter.id)),
            token_key: TokenKeyId([1; 8]),
            purpose: claimed.letter.purpose,
            account: claimed.account.id.clone(),
            name_key: claimed.account.name_key.clone(),
            expires: self.now() + HOUR,
            replacement: LetterId::new(self.now(), &OsRng).expect("randomness"),
        }
    }

    /// Settles a claimed letter. Answers whether the claim was still ours.
    pub async fn settle(&self, claimed: &ClaimedLetter, outcome: Outcome) -> bool {
        let settlement = Settlement { letter: claimed.letter.id, claim: claimed.claim, outcome };
        self.store.settle(vec![settlement], self.now()).await.expect("a step").remove(0)
    }

    /// Claims, arms and settles as sent the one letter that there must be. Answers its token's hash.
    pub async fn deliver_one(&self) -> TokenHash {
        let claimed = self.claim_one().await;
        assert_eq!(self.arm(&claimed).await, Armed::Armed);
        assert!(self.settle(&claimed, sent()).await);
        token_of(claimed.letter.id)
    }

    /// Posts and delivers. Answers the token's hash.
    pub async fn mailed(&self, purpose: Purpose, name: &str) -> TokenHash {
        assert_eq!(self.post(purpose, name).await, Posted::Posted);
        self.deliver_one().await
    }

    /// Completes a reset. Answers whether it did.
    pub async fn reset(&self, token: TokenHash, new: &str) -> bool {
        let reset = CompleteReset { token, new: hash(new), notice: Some(self.notice()) };
        self.store.complete_reset(reset, self.now()).await.expect("a step").is_some()
    }

    /// A change of password by an administrator.
    pub fn change(&self, account: &AccountId, new: &str) -> PasswordChange {
        PasswordChange {
            account: account.clone(),
            new: hash(new),
            by: None,
            notice: Some(self.notice()),
            notices_if_unconfirmed: 5,
        }
    }

    /// The letter as it is now, if there is one.
    pub async fn reload_if_there(&self, id: LetterId) -> Option<crate::letter::Letter> {
        self.store.letter(id).await.expect("a step")
    }

    /// The letter as it is now.
    pub async fn reload(&self, id: LetterId) -> crate::letter::Letter {
        self.store.letter(id).await.expect("a step").expect("a letter")
    }
}

/// Parses a name, folded.
pub fn parse(name: &str) -> Name {
    Name::parse(name, KeyMode::Folded).expect("a name")
}

/// What registers `name`, with the hash `"hash"`.
pub fn new_account(name: &str) -> NewAccount {
    NewAccount {
        id: AccountId::random(&OsRng).expect("randomness"),
        name: parse(name),
        password: hash("hash"),
    }
}

/// Stands for a password hash.
pub fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text)
}

/// A hash that a letter's token shall have.
pub fn token_of(letter: LetterId) -> TokenHash {
    let mut hash = [0xaa; 32];
    hash[..16].copy_from_slice(letter.as_bytes());
    TokenHash(hash)
}

/// A random session.
pub fn session() -> SessionId {
    SessionId(rng::bytes(&OsRng).expect("randomness"))
}

/// Accepted by a relay.
pub fn sent() -> Outcome {
    Outcome::Sent { reply: "250 2.0.0 taken".to_owned() }
}

/// Put off until `due`.
pub fn later(due: Timestamp) -> Outcome {
    Outcome::Later { due, error: "rcpt: 451".to_owned(), reply: Some("451 4.7.1 later".to_owned()) }
}
