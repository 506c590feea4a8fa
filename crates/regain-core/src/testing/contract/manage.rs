//! Clauses on what administrators and operators do to accounts.
#![expect(clippy::expect_used, clippy::panic, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;

use crate::account::{Account, AccountId, AccountRecord, Generation};
use crate::clock::Timestamp;
use crate::letter::{LetterState, Purpose};
use crate::metadata::Metadata;
use crate::name::{KeyMode, Name, NameKey, Provider};
use crate::rng::OsRng;
use crate::store::{
    AccountFilter, Added, AdminStanding, Armed, Confirmation, Deleted, HeldSession, Posted, Put, PutAccount,
    Store, TokenStanding,
};
use crate::testing::contract::fixture::{ANN, Fixture, HOUR, hash, parse, sent, session};

const BOB: &str = "bob@example.org";

fn put(name: &str) -> PutAccount {
    PutAccount {
        name: parse(name),
        id: None,
        id_if_new: AccountId::random(&OsRng).expect("randomness"),
        is_admin: None,
        is_confirmed: None,
        metadata: Metadata::default(),
    }
}

fn metadata(key: &str, value: &str) -> Metadata {
    Metadata::parse([(key.to_owned(), value.to_owned())]).expect("metadata").0
}

fn record(id: &str, name: &str) -> AccountRecord {
    AccountRecord {
        password: Some(hash("imported")),
        ..AccountRecord::new(AccountId::from_stored(id), parse(name))
    }
}

async fn written(f: &Fixture, put: PutAccount) -> Put {
    f.store.put_account(put, f.now()).await.expect("a step")
}

async fn created(f: &Fixture, put: PutAccount) -> Account {
    match written(f, put).await {
        Put::Created(account) => account,
        Put::Updated(_) | Put::OtherId => panic!("the account was not made"),
    }
}

async fn updated(f: &Fixture, put: PutAccount) -> Account {
    match written(f, put).await {
        Put::Updated(account) => account,
        Put::Created(_) | Put::OtherId => panic!("the account was not changed"),
    }
}

async fn delete(f: &Fixture, id: &AccountId, by: Option<HeldSession>) -> Deleted {
    f.store.delete_account(id, by, f.now()).await.expect("a step")
}

async fn add(f: &Fixture, records: Vec<AccountRecord>) -> Vec<Added> {
    f.store.add_accounts(records, f.now()).await.expect("a step")
}

async fn disable(f: &Fixture, id: &AccountId, is_disabled: bool) -> bool {
    f.store.set_disabled(id, is_disabled, f.now()).await.expect("a step")
}

pub async fn an_account_that_is_put_is_made_or_changed(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let new = PutAccount { is_admin: Some(true), metadata: metadata("plan", "free"), ..put(ANN) };
    let made = created(&f, new).await;
    assert!(made.is_admin && !made.is_confirmed && made.password.is_none());
    assert_eq!((made.metadata.clone(), made.created), (metadata("plan", "free"), f.now()));
    assert!(f.claim(10).await.is_empty(), "no letter is posted");
    f.clock.advance(HOUR);
    let change = PutAccount { is_confirmed: Some(true), metadata: metadata("team", "blue"), ..put(ANN) };
    let changed = updated(&f, change).await;
    assert_eq!((&changed.id, changed.created), (&made.id, made.created));
    assert!(changed.is_admin && changed.is_confirmed, "what is left out stays");
    assert_eq!(changed.metadata, metadata("team", "blue"), "metadata is replaced as a whole");
    let demoted = updated(&f, PutAccount { is_admin: Some(false), ..put(ANN) }).await;
    assert!(!demoted.is_admin && demoted.is_confirmed && demoted.metadata.is_empty());
    assert_eq!(f.load(ANN).await.metadata, Metadata::default());
}

pub async fn an_account_is_put_under_its_own_identity_alone(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let [mine, other] = ["mine", "other"].map(AccountId::from_stored);
    let under =
        |name, id: &AccountId| PutAccount { id: Some(id.clone()), id_if_new: id.clone(), ..put(name) };
    assert_eq!(created(&f, under(ANN, &mine)).await.id, mine);
    assert_eq!(updated(&f, under(ANN, &mine)).await.id, mine);
    let with_flag = PutAccount { is_admin: Some(true), ..under(ANN, &other) };
    assert!(matches!(written(&f, with_flag).await, Put::OtherId));
    assert!(matches!(written(&f, under(BOB, &mine)).await, Put::OtherId), "the identity is another's");
    assert!(!f.load(ANN).await.is_admin, "nothing was changed");
    assert!(f.store.account_by_name(parse(BOB).key()).await.expect("a step").is_none());
}

pub async fn a_name_of_realm_is_another_account_and_gets_no_mail(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let realm = Name::of(Provider::Realm, ANN, KeyMode::Folded).expect("a name");
    let served = created(&f, PutAccount { name: realm.clone(), ..put(ANN) }).await;
    assert_eq!((served.provider(), served.name.as_str(), &served.address), (Provider::Realm, ANN, &None));
    assert!(f.store.account_by_name(parse(ANN).key()).await.expect("a step").is_none());
    f.post(Purpose::Reset, ANN).await;
    assert!(f.claim(10).await.is_empty(), "nobody of that name can be mailed to");
    let owner = f.account(ANN).await;
    assert!(owner.id != served.id);
    let found = f.store.account_by_name(realm.key()).await.expect("a step").expect("an account");
    assert_eq!(found.id, served.id);
}

pub async fn a_deleted_account_leaves_no_session_link_or_letter(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let ann = f.account(ANN).await;
    let reset = f.mailed(Purpose::Reset, ANN).await;
    let confirmation = f.mailed(Purpose::Confirm, ANN).await;
    f.clock.advance(HOUR / 4);
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim_one().await;
    assert_eq!(f.arm(&claimed).await, Armed::Armed);
    f.post(Purpose::Confirm, ANN).await;
    assert_eq!(delete(&f, &ann.id, None).await, Deleted::Deleted);
    assert_eq!(delete(&f, &ann.id, None).await, Deleted::Unknown);
    assert!(f.store.session(&ann.id, &session()).await.expect("a step").is_none());
    assert!(!f.settle(&claimed, sent()).await, "a claimed letter was closed, too");
    assert_eq!(f.reload(claimed.letter.id).await.state, LetterState::Dropped);
    assert!(f.claim(10).await.is_empty());
    // The same name, and even the same identity, is another account.
    let again = AccountRecord { id: ann.id.clone(), ..record("x", ANN) };
    assert_eq!(add(&f, vec![again]).await, [Added::Added]);
    assert_eq!(f.load(ANN).await.generation, Generation(1), "sessions of the old one have ended");
    let standing = f.store.token(&reset, Purpose::Reset, f.now()).await.expect("a step");
    assert_eq!(standing, TokenStanding::Spent);
    let confirmed = f.store.confirm_email(&confirmation, f.now()).await.expect("a step");
    assert_eq!(confirmed, Confirmation::Refused);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted, "its owner is not made to wait");
}

pub async fn an_identity_that_is_given_away_again_and_again_never_goes_back(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    for generation in [0, 2, 4] {
        assert_eq!(add(&f, vec![record("fixed", ANN)]).await, [Added::Added]);
        let account = f.load(ANN).await;
        assert_eq!(account.generation, Generation(generation));
        assert!(f.store.change_password(f.change(&account.id, "new"), f.now()).await.expect("a step"));
        assert_eq!(delete(&f, &account.id, None).await, Deleted::Deleted);
    }
    let brought = |generation| AccountRecord { generation: Generation(generation), ..record("fixed", ANN) };
    assert_eq!(add(&f, vec![brought(3)]).await, [Added::Added]);
    assert_eq!(f.load(ANN).await.generation, Generation(6), "the higher one counts");
    assert_eq!(delete(&f, &f.load(ANN).await.id, None).await, Deleted::Deleted);
    assert_eq!(add(&f, vec![brought(30)]).await, [Added::Added]);
    assert_eq!(f.load(ANN).await.generation, Generation(30));
}

pub async fn only_a_session_that_holds_deletes_its_account(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let ann = f.account(ANN).await;
    let held = HeldSession { session: session(), generation: Generation(0) };
    assert!(f.store.change_password(f.change(&ann.id, "new"), f.now()).await.expect("a step"));
    assert_eq!(delete(&f, &ann.id, Some(held)).await, Deleted::SessionEnded);
    let current = HeldSession { generation: Generation(1), ..held };
    f.store.revoke(&current.session, &ann.id, f.now() + HOUR, f.now()).await.expect("a step");
    assert_eq!(delete(&f, &ann.id, Some(current)).await, Deleted::SessionEnded, "a revoked session");
    let fresh = HeldSession { session: session(), generation: Generation(1) };
    assert_eq!(delete(&f, &ann.id, Some(fresh)).await, Deleted::Deleted);
    assert_eq!(delete(&f, &ann.id, Some(fresh)).await, Deleted::Unknown);
}

pub async fn disabling_ends_sessions_and_links_for_good(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let ann = f.account(ANN).await;
    let held = HeldSession { session: session(), generation: Generation(0) };
    let change = crate::store::PasswordChange { by: Some(held), notice: None, ..f.change(&ann.id, "hash") };
    assert!(f.store.change_password(change, f.now()).await.expect("a step"));
    let token = f.mailed(Purpose::Reset, ANN).await;
    let confirmation = f.mailed(Purpose::Confirm, ANN).await;
    assert!(disable(&f, &ann.id, true).await);
    assert!(disable(&f, &ann.id, true).await, "twice is fine");
    let disabled = f.load(ANN).await;
    assert!(disabled.is_disabled);
    assert_eq!((disabled.generation, disabled.kept_session), (Generation(2), None));
    assert!(!f.reset(token, "new").await);
    assert_eq!(f.store.confirm_email(&confirmation, f.now()).await.expect("a step"), Confirmation::Refused);
    f.clock.advance(HOUR / 4);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted, "asking works as ever");
    assert!(f.claim(10).await.is_empty(), "and nothing is mailed");
    assert!(disable(&f, &ann.id, false).await);
    let enabled = f.load(ANN).await;
    assert!(!enabled.is_disabled && enabled.password == Some(hash("hash")));
    assert_eq!(enabled.generation, Generation(2), "no session comes back");
    assert!(!f.reset(token, "new").await, "no link comes back");
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted, "the owner is not made to wait");
    assert_eq!(f.store.confirm_email(&confirmation, f.now()).await.expect("a step"), Confirmation::Refused);
    assert!(!disable(&f, &AccountId::from_stored("nobody"), true).await);
}

pub async fn an_administrator_is_made_and_unmade_and_nothing_else_changes(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let made = created(&f, PutAccount { metadata: metadata("plan", "free"), ..put(ANN) }).await;
    let set = async |id: &AccountId, is| f.store.set_admin(id, is, f.now()).await.expect("a step");
    assert!(set(&made.id, true).await);
    let admin = f.load(ANN).await;
    assert!(admin.is_admin && admin.metadata == metadata("plan", "free"));
    assert_eq!(admin.generation, made.generation);
    assert!(set(&made.id, false).await && !f.load(ANN).await.is_admin);
    assert!(!set(&AccountId::from_stored("nobody"), true).await);
}

pub async fn accounts_are_added_each_that_meets_no_other(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let full = AccountRecord {
        is_admin: true,
        is_confirmed: true,
        is_disabled: true,
        metadata: metadata("plan", "free"),
        generation: Generation(7),
        ..record("1", ANN)
    };
    let bare = AccountRecord { password: None, ..record("2", BOB) };
    assert_eq!(add(&f, vec![full, bare]).await, [Added::Added, Added::Added]);
    let ann = f.load(ANN).await;
    assert!(ann.is_admin && ann.is_confirmed && ann.is_disabled && ann.password == Some(hash("imported")));
    assert_eq!(
        (ann.metadata, ann.address.map(|a| a.as_str().to_owned())),
        (metadata("plan", "free"), Some(ANN.to_owned()))
    );
    assert_eq!(ann.generation, Generation(7));
    assert!(f.load(BOB).await.password.is_none());
    let again = AccountRecord { password: Some(hash("other")), ..record("1", ANN) };
    let rerun = vec![
        again,
        record("3", "ANN@example.org"),
        record("2", "eve@example.org"),
        record("4", "dan@example.org"),
    ];
    assert_eq!(add(&f, rerun).await, [Added::AlreadyThere, Added::NameTaken, Added::IdTaken, Added::Added]);
    assert!(f.load(ANN).await.password == Some(hash("imported")), "what is there is left as it was");
    assert!(f.claim(10).await.is_empty(), "no letter is posted");
}

pub async fn accounts_are_listed_by_name_and_by_page(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let names = ["dan@example.org", ANN, "carl", BOB];
    let records = names.iter().enumerate().map(|(i, name)| AccountRecord {
        is_admin: i == 0,
        is_disabled: i == 1,
        is_confirmed: i == 2,
        ..record(&i.to_string(), name)
    });
    add(&f, records.collect()).await;
    let list = |filter| async {
        let found: Vec<Account> = f.store.accounts(filter).await.expect("a step");
        found.into_iter().map(|a| a.name).collect::<Vec<_>>()
    };
    let all = AccountFilter { limit: 10, ..AccountFilter::default() };
    assert_eq!(list(all.clone()).await, [ANN, BOB, "carl", "dan@example.org"]);
    assert_eq!(list(AccountFilter { limit: 2, ..all.clone() }).await, [ANN, BOB]);
    let after = Some(NameKey::from_stored(BOB));
    assert_eq!(list(AccountFilter { after, ..all.clone() }).await, ["carl", "dan@example.org"]);
    assert_eq!(list(AccountFilter { is_admin: Some(true), ..all.clone() }).await, ["dan@example.org"]);
    assert_eq!(list(AccountFilter { is_disabled: Some(true), ..all.clone() }).await, [ANN]);
    assert_eq!(list(AccountFilter { is_confirmed: Some(false), limit: 2, ..all }).await, [ANN, BOB]);
}

pub async fn one_administrators_token_is_in_force(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let (first, second) = (session(), session());
    let admin = AccountId::from_stored("__admin");
    let in_force =
        async |id: &_, replace| f.store.put_admin_token(id, replace, f.now()).await.expect("a step");
    let standing = async |id: &_| f.store.admin_token(id).await.expect("a step");
    assert_eq!(standing(&first).await, AdminStanding::Unknown);
    assert!(in_force(&first, false).await && in_force(&first, false).await);
    assert!(!in_force(&second, false).await, "there is one already");
    assert_eq!(
        (standing(&first).await, standing(&second).await),
        (AdminStanding::InForce, AdminStanding::Unknown)
    );
    assert!(in_force(&second, true).await);
    assert_eq!(
        (standing(&first).await, standing(&second).await),
        (AdminStanding::Unknown, AdminStanding::InForce)
    );
    f.store.revoke(&second, &admin, Timestamp::MAX, f.now()).await.expect("a step");
    assert_eq!(standing(&second).await, AdminStanding::Revoked);
    f.clock.advance(HOUR * 24 * 365 * 200);
    f.store.purge(crate::store::Retention::default(), 100, f.now()).await.expect("a step");
    assert_eq!(standing(&second).await, AdminStanding::Revoked, "for ever");
}
