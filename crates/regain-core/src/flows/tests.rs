//! Stories: the flows and the courier together, on fakes.

mod delivering;
mod failover;
mod managing;

use std::sync::Arc;
use std::time::Duration;

use crate::account::AccountId;
use crate::flows::Trouble;
use crate::flows::change_password::{self, ChangeError};
use crate::flows::confirm_email::{self, Confirmed};
use crate::flows::register::RegisterError;
use crate::flows::reset_password::{CompleteError, RequestError};
use crate::flows::session::{self, AuthenticateError, RevokeError};
use crate::flows::sign_in::{self, SignInError};
use crate::letter::{LetterState, Purpose};
use crate::limits::Limits;
use crate::mailer::{DeliveryError, LaterKind};
use crate::outbox::courier::{Claimed, Courier, LEASE};
use crate::outbox::relays::Relay;
use crate::password::PasswordRefusal;
use crate::policy::Policy;
use crate::session::AppId;
use crate::store::{LetterFilter, Store};
use crate::testing::desk::{Desk, secret};
use crate::testing::{MemoryStore, ScriptedMailer};

const ANN: &str = "ann@example.org";
const OLD: &str = "old password";
const NEW: &str = "new password";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn desk() -> Desk {
    Desk::over(Arc::new(MemoryStore::default()))
}

fn under(policy: Policy) -> Desk {
    Desk::under(Arc::new(MemoryStore::default()), policy)
}

async fn id_of(desk: &Desk) -> AccountId {
    let name = desk.service.name(ANN).unwrap();
    desk.service.store.account_by_name(name.key()).await.unwrap().unwrap().id
}

async fn states(desk: &Desk, purpose: Purpose) -> Vec<LetterState> {
    let filter = LetterFilter { purpose: Some(purpose), limit: 100, ..LetterFilter::default() };
    desk.service.store.letters(filter).await.unwrap().iter().map(|l| l.state).collect()
}

fn is_invalid_token(result: Result<(), CompleteError>) -> bool {
    matches!(result, Err(CompleteError::InvalidToken))
}

#[tokio::test]
async fn a_lost_password_is_reset_by_the_mailed_link() {
    let desk = desk();
    let session = desk.register(ANN, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    let token = desk.last_token(Purpose::Reset);
    assert_eq!(token.len(), 64);
    desk.reset(&token, NEW).await.unwrap();
    assert!(!desk.holds(&session).await, "older sessions are over");
    assert!(matches!(desk.sign_in(ANN, OLD).await, Err(SignInError::InvalidCredentials)));
    let session = desk.sign_in(ANN, NEW).await.unwrap();
    assert!(desk.holds(&session).await);
    assert!(is_invalid_token(desk.reset(&token, "another password").await), "a link works once");
    desk.deliver().await;
    let notice = desk.mails(Purpose::PasswordChanged);
    assert_eq!(notice.len(), 1);
    assert!(notice[0].token.is_none() && notice[0].to.as_str() == ANN);
}

#[tokio::test]
async fn a_refused_password_does_not_burn_the_token() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    let token = desk.last_token(Purpose::Reset);
    let refused = desk.reset(&token, "short").await;
    assert!(matches!(refused, Err(CompleteError::Password(PasswordRefusal::TooShort { min_length: 8 }))));
    desk.reset(&token, NEW).await.unwrap();
}

#[tokio::test]
async fn a_reset_link_dies_after_its_lifetime() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    desk.advance(HOUR);
    assert!(is_invalid_token(desk.reset(&desk.last_token(Purpose::Reset), NEW).await));
    assert!(desk.sign_in(ANN, OLD).await.is_ok());
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_link_mailed_at_registration() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    let token = desk.last_token(Purpose::Confirm);
    assert!(is_invalid_token(desk.reset(&token, NEW).await), "it is good for nothing else");
    assert_eq!(desk.confirm(&token).await.unwrap(), Confirmed::Now);
    assert_eq!(desk.confirm(&token).await.unwrap(), Confirmed::Already);
    desk.advance(MINUTE);
    desk.ask_confirmation(ANN).await.unwrap();
    desk.deliver().await;
    assert_eq!(desk.mails(Purpose::Confirm).len(), 1, "there is nothing left to confirm");
}

#[tokio::test]
async fn a_confirmation_can_be_asked_for_again() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    let first = desk.last_token(Purpose::Confirm);
    desk.advance(MINUTE);
    desk.ask_confirmation(ANN).await.unwrap();
    desk.deliver().await;
    let second = desk.last_token(Purpose::Confirm);
    assert_ne!(first, second);
    assert_eq!(desk.confirm(&first).await.unwrap(), Confirmed::Now, "a new link does not kill the old one");
    assert!(matches!(desk.confirm("00").await, Err(confirm_email::CompleteError::InvalidToken)));
}

#[tokio::test]
async fn nobody_is_mailed_for_an_unknown_name_or_one_that_is_no_address() {
    let desk = desk();
    desk.register("ann", OLD).await.unwrap();
    for name in ["ann", "nobody@example.org", "%TOKEN%", "ann@example.org, eve@example.org"] {
        desk.ask_reset(name).await.unwrap();
        desk.ask_confirmation(name).await.unwrap();
    }
    // Where so many were closed that a claim has had enough, there may be others behind them.
    assert!(matches!(desk.courier.claim(10, true).await.unwrap(), Claimed::Passed));
    assert!(matches!(desk.courier.claim(10, true).await.unwrap(), Claimed::Nothing));
    desk.deliver().await;
    assert!(desk.mailer.attempted().is_empty());
}

#[tokio::test]
async fn mail_goes_to_the_address_stored_whatever_spelling_asks() {
    let desk = desk();
    desk.register("Ann@Example.org", OLD).await.unwrap();
    desk.ask_reset("aNN@eXample.ORG").await.unwrap();
    desk.deliver().await;
    assert_eq!(desk.mails(Purpose::Reset)[0].to.as_str(), "Ann@example.org");
    assert!(desk.sign_in("ANN@EXAMPLE.ORG", OLD).await.is_ok());
    assert!(matches!(desk.register("ann@example.org", NEW).await, Err(RegisterError::NameTaken)));
}

#[tokio::test]
async fn a_stranger_asking_every_second_cannot_keep_an_owner_out() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    for _ in 0..600 {
        desk.ask_reset(ANN).await.unwrap();
        desk.deliver().await;
        desk.advance(SECOND);
    }
    let mails = desk.mails(Purpose::Reset).len();
    assert!((1..=5).contains(&mails), "{mails} mails");
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    desk.reset(&desk.last_token(Purpose::Reset), NEW).await.unwrap();
    assert!(desk.sign_in(ANN, NEW).await.is_ok());
}

#[tokio::test]
async fn copies_carry_the_same_token_and_date() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    desk.ask_reset(ANN).await.unwrap();
    let lost =
        DeliveryError::Later { reason: "final dot: lost".to_owned(), reply: None, kind: LaterKind::Other };
    desk.mailer.fail_next(lost);
    desk.deliver().await;
    desk.advance(MINUTE);
    desk.deliver().await;
    let copies: Vec<_> =
        desk.mailer.attempted().into_iter().filter(|p| p.purpose == Purpose::Reset).collect();
    assert_eq!(copies.len(), 2);
    let parts = |i: usize| {
        let p = &copies[i];
        (p.letter, p.posted, p.token.as_ref().unwrap().expose().to_string(), p.to.as_str().to_owned())
    };
    assert_eq!(parts(0), parts(1));
}

#[tokio::test]
async fn a_link_used_while_its_letter_is_retried_stays_used() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    desk.ask_reset(ANN).await.unwrap();
    let lost =
        DeliveryError::Later { reason: "final dot: lost".to_owned(), reply: None, kind: LaterKind::Other };
    desk.mailer.fail_next(lost);
    desk.deliver().await;
    let token = desk.mailer.attempted().pop().unwrap().token.unwrap().expose().to_string();
    desk.reset(&token, NEW).await.unwrap();
    desk.advance(MINUTE);
    desk.deliver().await;
    assert_eq!(states(&desk, Purpose::Reset).await, [LetterState::Superseded]);
    assert!(desk.mails(Purpose::Reset).is_empty());
    assert!(is_invalid_token(desk.reset(&token, "another password").await));
}

#[tokio::test]
async fn a_reset_while_a_sign_in_is_hashing_leaves_no_live_session() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    // What a sign-in has read before it hashes:
    let name = desk.service.name(ANN).unwrap();
    let account = desk.service.store.account_by_name(name.key()).await.unwrap().unwrap();
    desk.reset(&desk.last_token(Purpose::Reset), NEW).await.unwrap();
    let late = session::open(&desk.service, &account, &AppId::default()).unwrap();
    assert!(!desk.holds(&late.token).await);
}

#[tokio::test]
async fn a_change_of_password_keeps_the_session_that_asked_alone() {
    let desk = desk();
    let mine = desk.register(ANN, OLD).await.unwrap();
    let other = desk.sign_in(ANN, OLD).await.unwrap();
    let by = session::authenticate(&desk.service, &mine).await.unwrap();
    let target = change_password::target(&desk.service, &by, None).await.unwrap();
    change_password::change(&desk.service, &desk.caller, &by, &target, None, &secret(NEW)).await.unwrap();
    assert!(desk.holds(&mine).await && !desk.holds(&other).await);
    assert!(desk.sign_in(ANN, NEW).await.is_ok());
    desk.deliver().await;
    assert_eq!(desk.mails(Purpose::PasswordChanged).len(), 1);
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    desk.reset(&desk.last_token(Purpose::Reset), OLD).await.unwrap();
    assert!(!desk.holds(&mine).await, "a reset ends the kept session too");
    let late = change_password::change(&desk.service, &desk.caller, &by, &target, None, &secret(NEW)).await;
    assert!(matches!(late, Err(ChangeError::SessionEnded)));
    assert!(desk.sign_in(ANN, OLD).await.is_ok(), "and cannot undo it");
}

#[tokio::test]
async fn another_account_is_changed_by_an_administrator_only() {
    let store = Arc::new(MemoryStore::default());
    let desk = Desk::over(store.clone());
    desk.register(ANN, OLD).await.unwrap();
    let ann = id_of(&desk).await;
    let bob = desk.register("bob@example.org", OLD).await.unwrap();
    let by = session::authenticate(&desk.service, &bob).await.unwrap();
    assert!(matches!(
        change_password::target(&desk.service, &by, Some(&ann)).await,
        Err(ChangeError::Denied)
    ));
    store.edit_account(&by.owner().unwrap().id, |a| a.is_admin = true);
    let by = session::authenticate(&desk.service, &bob).await.unwrap();
    let target = change_password::target(&desk.service, &by, Some(&ann)).await.unwrap();
    change_password::change(&desk.service, &desk.caller, &by, &target, None, &secret(NEW)).await.unwrap();
    assert!(desk.sign_in(ANN, NEW).await.is_ok());
    let nobody = AccountId::from_stored("nobody");
    let unknown = change_password::target(&desk.service, &by, Some(&nobody)).await;
    assert!(matches!(unknown, Err(ChangeError::UnknownAccount)));
}

#[tokio::test]
async fn the_current_password_is_asked_for_where_the_policy_says_so() {
    let mut policy = Policy::default();
    policy.password.require_current = true;
    let desk = under(policy);
    let mine = desk.register(ANN, OLD).await.unwrap();
    let by = session::authenticate(&desk.service, &mine).await.unwrap();
    let change = async |current: Option<&str>| {
        let current = current.map(secret);
        change_password::change(
            &desk.service,
            &desk.caller,
            &by,
            by.owner().unwrap(),
            current.as_ref(),
            &secret(NEW),
        )
        .await
    };
    assert!(matches!(change(None).await, Err(ChangeError::CurrentMissing)));
    assert!(matches!(change(Some("wrong password")).await, Err(ChangeError::CurrentWrong)));
    change(Some(OLD)).await.unwrap();
}

#[tokio::test]
async fn a_session_is_revoked_alone_and_by_its_owner() {
    let desk = desk();
    let one = desk.register(ANN, OLD).await.unwrap();
    let two = desk.sign_in(ANN, OLD).await.unwrap();
    let bob = desk.register("bob@example.org", OLD).await.unwrap();
    let bob = session::authenticate(&desk.service, &bob).await.unwrap();
    assert!(matches!(session::revoke(&desk.service, &bob, &one).await, Err(RevokeError::Denied)));
    let by = session::authenticate(&desk.service, &one).await.unwrap();
    assert!(matches!(session::revoke(&desk.service, &by, "nonsense").await, Err(RevokeError::InvalidToken)));
    session::revoke(&desk.service, &by, &one).await.unwrap();
    let gone = session::authenticate(&desk.service, &one).await;
    assert!(matches!(gone, Err(AuthenticateError::Revoked)));
    assert!(desk.holds(&two).await);
    desk.advance(HOUR * 24 * 91);
    assert!(!desk.holds(&two).await, "sessions end");
    session::revoke(&desk.service, &by, &two).await.expect("an expired one of your own is fine");
}

#[tokio::test]
async fn leaving_register_out_signs_in_or_registers() {
    let desk = desk();
    let name = desk.service.name(ANN).unwrap();
    let try_it = async |desk: &Desk, password: &str| {
        sign_in::sign_in_or_register(&desk.service, &desk.caller, &name, &secret(password), &AppId::default())
            .await
    };
    assert!(matches!(try_it(&desk, "short").await, Err(SignInError::InvalidCredentials)), "registers nobody");
    assert!(desk.service.store.account_by_name(name.key()).await.unwrap().is_none());
    assert!(try_it(&desk, OLD).await.is_ok());
    assert!(try_it(&desk, OLD).await.is_ok());
    assert!(matches!(try_it(&desk, NEW).await, Err(SignInError::InvalidCredentials)));
    let strict = under(Policy { register_by_login: false, ..Policy::default() });
    assert!(matches!(try_it(&strict, OLD).await, Err(SignInError::InvalidCredentials)));
}

#[tokio::test]
async fn with_confirmation_required_new_and_taken_names_look_alike() {
    let desk = under(Policy { require_confirmation: true, ..Policy::default() });
    assert!(matches!(desk.register(ANN, OLD).await, Err(RegisterError::MustConfirm)));
    assert!(matches!(desk.register(ANN, "thief's password").await, Err(RegisterError::MustConfirm)));
    assert!(matches!(desk.sign_in(ANN, OLD).await, Err(SignInError::MustConfirm)));
    assert!(matches!(desk.sign_in(ANN, "wrong password").await, Err(SignInError::InvalidCredentials)));
    desk.deliver().await;
    assert_eq!(desk.mails(Purpose::Confirm).len(), 1);
    desk.confirm(&desk.last_token(Purpose::Confirm)).await.unwrap();
    assert!(desk.sign_in(ANN, OLD).await.is_ok());
}

#[tokio::test]
async fn with_confirmation_required_signing_in_registers_nobody_and_names_are_addresses() {
    let desk = under(Policy { require_confirmation: true, ..Policy::default() });
    assert!(matches!(desk.register(ANN, OLD).await, Err(RegisterError::MustConfirm)));
    for name in [ANN, "unknown@example.org"] {
        let name = desk.service.name(name).unwrap();
        let answer =
            sign_in::sign_in_or_register(&desk.service, &desk.caller, &name, &secret(NEW), &AppId::default())
                .await;
        assert!(matches!(answer, Err(SignInError::InvalidCredentials)));
    }
    let unknown = desk.service.name("unknown@example.org").unwrap();
    assert!(desk.service.store.account_by_name(unknown.key()).await.unwrap().is_none());
    assert!(matches!(desk.register("ann", OLD).await, Err(RegisterError::NoAddress)));
}

#[tokio::test]
async fn a_disabled_account_can_do_nothing_and_looks_like_none() {
    let store = Arc::new(MemoryStore::default());
    let desk = Desk::over(store.clone());
    let session = desk.register(ANN, OLD).await.unwrap();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    let (reset, confirmation) = (desk.last_token(Purpose::Reset), desk.last_token(Purpose::Confirm));
    store.edit_account(&id_of(&desk).await, |a| a.is_disabled = true);
    assert!(!desk.holds(&session).await);
    assert!(matches!(desk.sign_in(ANN, OLD).await, Err(SignInError::InvalidCredentials)));
    assert!(is_invalid_token(desk.reset(&reset, NEW).await));
    assert!(desk.confirm(&confirmation).await.is_err());
    desk.advance(MINUTE);
    let before = desk.mailer.attempted().len();
    desk.ask_reset(ANN).await.unwrap();
    desk.deliver().await;
    assert_eq!(desk.mailer.attempted().len(), before);
}

#[tokio::test]
async fn without_mail_the_mail_actions_are_not_enabled_and_registering_posts_nothing() {
    let desk = under(Policy { mail: false, ..Policy::default() });
    desk.register(ANN, OLD).await.unwrap();
    assert!(matches!(desk.ask_reset(ANN).await, Err(RequestError::NotEnabled)));
    assert!(matches!(desk.ask_confirmation(ANN).await, Err(RequestError::NotEnabled)));
    assert!(states(&desk, Purpose::Confirm).await.is_empty());
}

#[tokio::test]
async fn limits_of_a_client_answer_or_swallow() {
    let desk = under(Policy::default());
    for i in 0..10 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    let refused = desk.register("b@example.org", OLD).await;
    assert!(matches!(refused, Err(RegisterError::Trouble(Trouble::Limited(_)))));
    for i in 0..15 {
        desk.ask_reset(&format!("a{i}@example.org")).await.unwrap();
    }
    assert_eq!(states(&desk, Purpose::Reset).await.len(), 10, "the others were swallowed");
    for _ in 0..20 {
        assert!(is_invalid_token(desk.reset(&"0".repeat(64), NEW).await));
    }
    let guess = desk.reset(&"0".repeat(64), NEW).await;
    assert!(matches!(guess, Err(CompleteError::Trouble(Trouble::Limited(_)))));
    for _ in 0..20 {
        let _ = desk.sign_in("a0@example.org", "wrong password").await;
    }
    let refused = desk.sign_in("a0@example.org", OLD).await;
    assert!(matches!(refused, Err(SignInError::Trouble(Trouble::Limited(_)))));
}

#[tokio::test]
async fn a_full_outbox_is_said_to_everybody_alike() {
    let limits = Limits { waiting_letters: Some(1), ..Limits::default() };
    let desk = under(Policy { limits, ..Policy::default() });
    desk.register(ANN, OLD).await.unwrap();
    for name in [ANN, "nobody@example.org"] {
        assert!(matches!(desk.ask_reset(name).await, Err(RequestError::OutboxFull)));
    }
    assert!(desk.register("bob@example.org", OLD).await.is_ok(), "registering always posts its confirmation");
}

#[tokio::test]
async fn a_sign_in_rehashes_what_was_hashed_more_cheaply() {
    let store = Arc::new(MemoryStore::default());
    let desk = Desk::over(store.clone());
    desk.register(ANN, OLD).await.unwrap();
    let id = id_of(&desk).await;
    let strong = crate::hashing::HashPool::start(
        crate::hashing::HashCost { memory_kib: 16, passes: 2 },
        desk.service.rng.clone(),
    );
    let outdated = strong.unwrap().hash(&secret(OLD)).await.unwrap();
    store.edit_account(&id, |a| a.password = Some(outdated.clone()));
    let session = desk.sign_in(ANN, OLD).await.unwrap();
    let account = store.account_by_id(&id).await.unwrap().unwrap();
    assert!(account.password.unwrap().as_str().contains("m=8,t=1"));
    assert!(desk.holds(&session).await);
    assert!(desk.sign_in(ANN, OLD).await.is_ok());
}
