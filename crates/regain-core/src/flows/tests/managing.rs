//! Stories of administrators, of owners who look at or delete their account, and of tokens for others.

use super::*;
use crate::account::Account;
use crate::flows::delete_account::{self, DeleteError};
use crate::flows::find_account::{self, FindError};
use crate::flows::put_account::{self, PutError, Wanted};
use crate::flows::session::{Authenticated, authenticate, revoke};
use crate::flows::user_token::{self, TradeError};
use crate::metadata::Metadata;
use crate::name::{Name, Provider};
use crate::rng::OsRng;
use crate::session::{AdminToken, Kind};

const BOB: &str = "bob@example.org";

/// Puts a new administrator's token in force. Answers it.
async fn admin_token(desk: &Desk) -> String {
    let key = &desk.service.signing_keys;
    let signed = key.sign(&AdminToken::new(&OsRng).unwrap()).unwrap();
    let (_, id) = key.read(&signed.token).unwrap();
    assert!(desk.service.store.put_admin_token(&id, true, desk.service.now()).await.unwrap());
    signed.token.to_string()
}

async fn by(desk: &Desk, token: &str) -> Authenticated {
    authenticate(&desk.service, token).await.ok().unwrap()
}

fn wanted(desk: &Desk, name: &str) -> Wanted {
    Wanted {
        name: desk.service.name(name).unwrap(),
        id: None,
        is_admin: None,
        is_confirmed: None,
        metadata: Metadata::default(),
    }
}

async fn found(desk: &Desk, by: &Authenticated, readings: &[&str]) -> Result<Account, FindError> {
    let readings: Vec<Name> = readings.iter().map(|name| desk.service.name(name).unwrap()).collect();
    find_account::by_name(&desk.service, by, &readings).await
}

#[tokio::test]
async fn an_owner_sees_the_own_account_and_no_other() {
    let desk = desk();
    let mine = desk.register(ANN, OLD).await.unwrap();
    desk.register(BOB, OLD).await.unwrap();
    let me = by(&desk, &mine).await;
    let id = id_of(&desk).await;
    assert_eq!(find_account::by_id(&desk.service, &me, &id).await.unwrap().name, ANN);
    for other in ["nobody", "__admin"] {
        let denied = find_account::by_id(&desk.service, &me, &AccountId::from_stored(other)).await;
        assert!(matches!(denied, Err(FindError::Denied)), "{other}");
    }
    assert_eq!(found(&desk, &me, &["x", "ANN@example.org"]).await.unwrap().id, id);
    for other in [BOB, "eve@example.org"] {
        assert!(matches!(found(&desk, &me, &[other]).await, Err(FindError::Unknown)), "{other}");
    }
}

#[tokio::test]
async fn an_administrator_sees_everybody_and_the_builtin_one() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    let admin = by(&desk, &admin_token(&desk).await).await;
    assert_eq!((admin.is_admin(), admin.id()), (true, "__admin"));
    let id = id_of(&desk).await;
    assert_eq!(find_account::by_id(&desk.service, &admin, &id).await.unwrap().name, ANN);
    assert_eq!(found(&desk, &admin, &[BOB, ANN]).await.unwrap().id, id);
    assert!(matches!(found(&desk, &admin, &[BOB]).await, Err(FindError::Unknown)));
    let nobody = find_account::by_id(&desk.service, &admin, &AccountId::from_stored("nobody")).await;
    assert!(matches!(nobody, Err(FindError::Unknown)));
    let itself = AccountId::from_stored("__admin");
    assert!(find_account::by_id(&desk.service, &admin, &itself).await.unwrap().is_admin);
    let name = Name::of(Provider::Realm, "__admin", desk.service.policy.key_mode).unwrap();
    let by_name = find_account::by_name(&desk.service, &admin, &[name]).await.unwrap();
    assert!(by_name.id.is_builtin_admin());
}

#[tokio::test]
async fn only_an_administrator_makes_and_promotes_accounts() {
    let desk = desk();
    let mine = desk.register(ANN, OLD).await.unwrap();
    let me = by(&desk, &mine).await;
    let promoted = || Wanted { is_admin: Some(true), ..wanted(&desk, ANN) };
    assert!(matches!(put_account::put(&desk.service, &me, promoted()).await, Err(PutError::Denied)));
    let admin = by(&desk, &admin_token(&desk).await).await;
    assert!(put_account::put(&desk.service, &admin, promoted()).await.unwrap().is_admin);
    // It takes effect at once, for the session that is there already.
    let made = put_account::put(&desk.service, &by(&desk, &mine).await, wanted(&desk, BOB)).await.unwrap();
    assert!(matches!(desk.sign_in(BOB, OLD).await, Err(SignInError::InvalidCredentials)));
    desk.deliver().await;
    assert_eq!(desk.mails(Purpose::Confirm).len(), 1, "for registering alone");
    let under = |id: &str| Wanted { id: Some(AccountId::from_stored(id)), ..wanted(&desk, BOB) };
    assert!(put_account::put(&desk.service, &admin, under(made.id.as_str())).await.is_ok());
    assert!(matches!(put_account::put(&desk.service, &admin, under("other")).await, Err(PutError::OtherId)));
    let demoted = Wanted { is_admin: Some(false), ..wanted(&desk, ANN) };
    put_account::put(&desk.service, &admin, demoted).await.unwrap();
    let now = put_account::put(&desk.service, &by(&desk, &mine).await, wanted(&desk, BOB)).await;
    assert!(matches!(now, Err(PutError::Denied)));
    let builtin = Name::of(Provider::Realm, "__admin", desk.service.policy.key_mode).unwrap();
    let itself =
        put_account::put(&desk.service, &admin, Wanted { name: builtin, ..wanted(&desk, BOB) }).await;
    assert!(matches!(itself, Err(PutError::OtherId)));
}

#[tokio::test]
async fn a_deleted_account_is_gone_with_its_sessions_and_its_name_is_free() {
    let desk = desk();
    let mine = desk.register(ANN, OLD).await.unwrap();
    let bob = desk.register(BOB, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    let link = desk.last_token(Purpose::Reset);
    let id = id_of(&desk).await;
    let denied = delete_account::delete(&desk.service, &by(&desk, &bob).await, &id).await;
    assert!(matches!(denied, Err(DeleteError::Denied)));
    let me = by(&desk, &mine).await;
    delete_account::delete(&desk.service, &me, &id).await.unwrap();
    assert!(!desk.holds(&mine).await);
    assert!(matches!(delete_account::delete(&desk.service, &me, &id).await, Err(DeleteError::Unknown)));
    assert!(is_invalid_token(desk.reset(&link, NEW).await));
    desk.register(ANN, NEW).await.unwrap();
    assert!(id_of(&desk).await != id && is_invalid_token(desk.reset(&link, OLD).await));
    let admin = by(&desk, &admin_token(&desk).await).await;
    let again = id_of(&desk).await;
    delete_account::delete(&desk.service, &admin, &again).await.unwrap();
    let builtin = AccountId::from_stored("__admin");
    let itself = delete_account::delete(&desk.service, &admin, &builtin).await;
    assert!(matches!(itself, Err(DeleteError::Denied)));
}

#[tokio::test]
async fn a_thief_whose_session_was_ended_by_a_reset_deletes_nothing() {
    let desk = desk();
    let stolen = desk.register(ANN, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    let thief = by(&desk, &stolen).await;
    desk.reset(&desk.last_token(Purpose::Reset), NEW).await.unwrap();
    let late = delete_account::delete(&desk.service, &thief, &id_of(&desk).await).await;
    assert!(matches!(late, Err(DeleteError::SessionEnded)));
    assert!(desk.sign_in(ANN, NEW).await.is_ok());
}

#[tokio::test]
async fn a_session_that_holds_is_traded_for_an_hours_proof() {
    let store = Arc::new(MemoryStore::default());
    let desk = Desk::over(store.clone());
    let mine = desk.register(ANN, OLD).await.unwrap();
    let trade = async |token: &str| user_token::trade(&desk.service, &AppId::default(), token).await;
    let user = trade(&mine).await.unwrap();
    let (claims, _) = desk.service.signing_keys.read(&user.token).unwrap();
    assert_eq!((claims.kind, claims.account.clone()), (Kind::User, id_of(&desk).await));
    assert_eq!(claims.expires.unwrap().as_secs(), (desk.service.now() + HOUR).as_secs());
    assert!(!desk.holds(&user.token).await, "it is for others to check, and opens nothing here");
    revoke(&desk.service, &by(&desk, &mine).await, &user.token).await.unwrap();
    let (_, id) = desk.service.signing_keys.read(&user.token).unwrap();
    let remembered = store.session(&claims.account, &id).await.unwrap().unwrap().1;
    assert!(!remembered, "and nothing is kept of its end");
    store.edit_account(&claims.account, |a| a.is_admin = true);
    assert!(trade(&mine).await.unwrap().json.contains("\"is_admin\":true"), "rights are those of now");
    for bad in ["", "a:b", &user.token, &admin_token(&desk).await] {
        assert!(matches!(trade(bad).await, Err(TradeError::Denied)));
    }
    store.edit_account(&claims.account, |a| a.is_disabled = true);
    assert!(matches!(trade(&mine).await, Err(TradeError::Denied)));
    store.edit_account(&claims.account, |a| a.is_disabled = false);
    revoke(&desk.service, &by(&desk, &mine).await, &mine).await.unwrap();
    assert!(matches!(trade(&mine).await, Err(TradeError::Denied)));
    let another = desk.sign_in(ANN, OLD).await.unwrap();
    desk.advance(HOUR * 24 * 91);
    assert!(matches!(trade(&another).await, Err(TradeError::Denied)));
}

#[tokio::test]
async fn the_administrators_token_acts_until_it_is_revoked_replaced_or_switched_off() {
    let desk = desk();
    let bob = desk.register(BOB, OLD).await.unwrap();
    let token = admin_token(&desk).await;
    let admin = by(&desk, &token).await;
    revoke(&desk.service, &admin, &bob).await.unwrap();
    assert!(matches!(authenticate(&desk.service, &bob).await, Err(AuthenticateError::Revoked)));
    let own = change_password::target(&desk.service, &admin, None).await;
    assert!(matches!(own, Err(ChangeError::UnknownAccount)), "it has no password");
    let newer = admin_token(&desk).await;
    assert!(matches!(authenticate(&desk.service, &token).await, Err(AuthenticateError::Invalid)));
    let carl = desk.register("carl@example.org", OLD).await.unwrap();
    let denied = revoke(&desk.service, &by(&desk, &carl).await, &newer).await;
    assert!(matches!(denied, Err(RevokeError::Denied)));
    revoke(&desk.service, &by(&desk, &newer).await, &newer).await.unwrap();
    desk.advance(HOUR * 24 * 3650);
    assert!(matches!(authenticate(&desk.service, &newer).await, Err(AuthenticateError::Revoked)));

    let without = under(Policy { admin_token: false, ..Policy::default() });
    let token = admin_token(&without).await;
    assert!(matches!(authenticate(&without.service, &token).await, Err(AuthenticateError::Invalid)));
}

#[tokio::test]
async fn an_account_of_realm_gets_no_password() {
    let desk = desk();
    let admin = by(&desk, &admin_token(&desk).await).await;
    let name = Name::of(Provider::Realm, "worker", desk.service.policy.key_mode).unwrap();
    let worker =
        put_account::put(&desk.service, &admin, Wanted { name, ..wanted(&desk, ANN) }).await.unwrap();
    let target = change_password::target(&desk.service, &admin, Some(&worker.id)).await;
    assert!(matches!(target, Err(ChangeError::UnknownAccount)));
}

#[tokio::test]
async fn a_disabled_account_is_compared_with_no_password_at_all() {
    let store = Arc::new(MemoryStore::default());
    let desk = Desk::over(store.clone());
    desk.register(ANN, OLD).await.unwrap();
    // A hash that cannot be read fails whoever is compared with it.
    let broken = crate::password::PasswordHash::from_stored("no hash");
    store.edit_account(&id_of(&desk).await, |a| a.password = Some(broken));
    assert!(matches!(desk.sign_in(ANN, OLD).await, Err(SignInError::Trouble(_))));
    store.edit_account(&id_of(&desk).await, |a| a.is_disabled = true);
    assert!(matches!(desk.sign_in(ANN, OLD).await, Err(SignInError::InvalidCredentials)));
}

#[tokio::test]
async fn confirming_leaves_metadata_alone() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    let admin = by(&desk, &admin_token(&desk).await).await;
    let metadata = Metadata::parse([("plan".to_owned(), "free".to_owned())]).unwrap().0;
    let kept = Wanted { metadata: metadata.clone(), ..wanted(&desk, ANN) };
    put_account::put(&desk.service, &admin, kept).await.unwrap();
    desk.deliver().await;
    desk.confirm(&desk.last_token(Purpose::Confirm)).await.unwrap();
    desk.sign_in(ANN, OLD).await.unwrap();
    let account = found(&desk, &admin, &[ANN]).await.unwrap();
    assert!(account.is_confirmed && account.metadata == metadata);
}

#[tokio::test]
async fn an_identity_that_is_given_away_again_revives_no_session() {
    let desk = desk();
    let old = desk.register(ANN, OLD).await.unwrap();
    let id = id_of(&desk).await;
    let admin = by(&desk, &admin_token(&desk).await).await;
    delete_account::delete(&desk.service, &admin, &id).await.unwrap();
    let again = Wanted { id: Some(id.clone()), is_admin: Some(true), ..wanted(&desk, BOB) };
    assert_eq!(put_account::put(&desk.service, &admin, again).await.unwrap().id, id);
    assert!(!desk.holds(&old).await);
}
