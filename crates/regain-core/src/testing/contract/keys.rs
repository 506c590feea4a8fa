//! Clauses on the keys that processes over one database agree on.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;

use crate::keys::{KeyAgreement, KeyFingerprint, KeyIntent, KeyKind, KeyOffer, KeyStanding, OfferedKeys};
use crate::store::Store;
use crate::testing::contract::fixture::Fixture;

fn key(name: &str) -> KeyFingerprint {
    KeyFingerprint::of(name.as_bytes())
}

/// A process that works with a key and knows others, and stands alike with either kind.
fn offer(current: &str, others: &[&str]) -> KeyOffer {
    let keys = |kind: KeyKind| OfferedKeys {
        current: Some(key(&format!("{} {current}", kind.as_str()))),
        others: others.iter().map(|name| key(&format!("{} {name}", kind.as_str()))).collect(),
    };
    KeyOffer { token: keys(KeyKind::Token), signing: keys(KeyKind::Signing) }
}

/// How that process stands.
async fn step(f: &Fixture, intent: KeyIntent, current: &str, others: &[&str]) -> KeyAgreement {
    f.store.agree_on_keys(offer(current, others), intent, f.now()).await.expect("a step")
}

/// It starts.
async fn start(f: &Fixture, current: &str, others: &[&str]) -> KeyAgreement {
    step(f, KeyIntent::Agree, current, others).await
}

/// The same standing for both kinds, with the key of that name in it.
fn both(standing: impl Fn(KeyFingerprint) -> KeyStanding, name: &str) -> KeyAgreement {
    let of = |kind: KeyKind| standing(key(&format!("{} {name}", kind.as_str())));
    KeyAgreement { token: of(KeyKind::Token), signing: of(KeyKind::Signing) }
}

const FIRST: KeyAgreement = KeyAgreement { token: KeyStanding::First, signing: KeyStanding::First };
const SAME: KeyAgreement = KeyAgreement { token: KeyStanding::Same, signing: KeyStanding::Same };

fn turned(from: &str) -> KeyAgreement {
    both(|from| KeyStanding::Turned { from }, from)
}

fn behind(in_force: &str) -> KeyAgreement {
    both(|in_force| KeyStanding::Behind { in_force }, in_force)
}

fn unknown(in_force: &str) -> KeyAgreement {
    both(|in_force| KeyStanding::Unknown { in_force }, in_force)
}

fn ended(in_force: &str) -> KeyAgreement {
    both(|in_force| KeyStanding::Ended { in_force }, in_force)
}

pub async fn the_first_keys_are_in_force_and_the_same_keys_agree(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    assert_eq!(start(&f, "a", &["b"]).await, FIRST);
    assert_eq!(start(&f, "a", &[]).await, SAME);
    assert_eq!(start(&f, "a", &["z", "b"]).await, SAME);
}

pub async fn of_processes_that_start_at_once_with_keys_of_their_own_one_goes_first(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let starts: Vec<_> = (0..20)
        .map(|i| {
            let (store, now) = (f.store.clone(), f.now());
            tokio::spawn(async move {
                let name = i.to_string();
                (i, store.agree_on_keys(offer(&name, &[]), KeyIntent::Agree, now).await.expect("a step"))
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for start in starts {
        outcomes.push(start.await.expect("no panic"));
    }
    let first: Vec<_> =
        outcomes.iter().filter(|(_, agreement)| *agreement == FIRST).map(|(i, _)| i).collect();
    assert_eq!(first.len(), 1, "{outcomes:?}");
    let others = outcomes.iter().filter(|(i, _)| i != first[0]);
    assert!(others.into_iter().all(|(_, agreement)| *agreement == unknown(&first[0].to_string())));
}

pub async fn a_process_that_does_not_know_the_key_in_force_is_refused(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    start(&f, "a", &[]).await;
    let refused = start(&f, "b", &["c"]).await;
    assert_eq!(refused, unknown("a"));
    assert!(refused.is_refused() && !SAME.is_refused() && !turned("a").is_refused());
    assert_eq!(start(&f, "a", &[]).await, SAME, "nothing was changed");
}

pub async fn a_key_is_turned_while_the_others_learn_of_it(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    start(&f, "a", &[]).await;
    assert_eq!(start(&f, "a", &["b"]).await, SAME, "it learns of the new one");
    assert_eq!(start(&f, "b", &["a"]).await, turned("a"), "it is the first to work with it");
    assert_eq!(start(&f, "b", &["a"]).await, SAME);
    assert_eq!(start(&f, "a", &["b"]).await, behind("b"), "one that starts again before its turn");
    assert_eq!(start(&f, "b", &["a"]).await, SAME, "and it turns nothing back");
    assert_eq!(start(&f, "a", &[]).await, unknown("b"), "one that has not learnt of it");
    assert_eq!(start(&f, "c", &["b", "a"]).await, turned("b"));
    assert_eq!(start(&f, "a", &["b", "c"]).await, behind("c"));
}

pub async fn a_key_that_the_others_do_not_take_any_more_is_refused(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    start(&f, "a", &[]).await;
    start(&f, "b", &["a"]).await;
    assert_eq!(start(&f, "a", &["b"]).await, behind("b"));
    assert_eq!(start(&f, "b", &[]).await, SAME, "the turn is over");
    assert_eq!(start(&f, "a", &["b"]).await, ended("b"));
    assert!(ended("b").is_refused());
    assert_eq!(start(&f, "b", &["a"]).await, SAME, "it may be taken, for no harm");
    assert_eq!(start(&f, "a", &["b"]).await, ended("b"), "and stays what it is");
    assert_eq!(start(&f, "c", &["b"]).await, turned("b"));
    assert_eq!(start(&f, "a", &["c"]).await, ended("c"));
}

pub async fn where_one_kind_is_refused_neither_is_remembered(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let mixed = |token: &KeyOffer, signing: &KeyOffer| KeyOffer {
        token: token.token.clone(),
        signing: signing.signing.clone(),
    };
    start(&f, "a", &[]).await;
    let (turning, foreign) = (offer("b", &["a"]), offer("z", &[]));
    let agree = async |offer| f.store.agree_on_keys(offer, KeyIntent::Agree, f.now()).await.expect("a step");
    let one = agree(mixed(&turning, &foreign)).await;
    assert_eq!((one.token, one.signing), (turned("a").token, unknown("a").signing));
    let other = agree(mixed(&foreign, &turning)).await;
    assert_eq!((other.token, other.signing), (unknown("a").token, turned("a").signing));
    assert!(one.is_refused() && other.is_refused());
    assert_eq!(start(&f, "a", &[]).await, SAME);
    let one = agree(mixed(&turning, &offer("a", &[]))).await;
    assert_eq!(
        (one.token, one.signing),
        (turned("a").token, KeyStanding::Same),
        "each kind has its own turn"
    );
    assert_eq!(start(&f, "b", &["a"]).await.signing, turned("a").signing);
}

pub async fn asking_changes_nothing_and_tells_what_would_come(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let ask = async |current: &str, others: &[&str]| step(&f, KeyIntent::Ask, current, others).await;
    assert_eq!(ask("a", &[]).await, FIRST);
    assert_eq!(ask("b", &[]).await, FIRST, "nothing was remembered");
    start(&f, "a", &[]).await;
    assert_eq!(ask("b", &["a"]).await, turned("a"));
    assert_eq!((ask("a", &[]).await, ask("b", &[]).await), (SAME, unknown("a")));
    // A process without keys would make some, which are nobody else's.
    let none = |others: &[&str]| {
        let mut offer = offer("x", others);
        (offer.token.current, offer.signing.current) = (None, None);
        offer
    };
    let without = async |others: &[&str], intent| {
        f.store.agree_on_keys(none(others), intent, f.now()).await.expect("a step")
    };
    assert_eq!(without(&[], KeyIntent::Ask).await, unknown("a"));
    assert_eq!(without(&["a"], KeyIntent::Agree).await, turned("a"));
    assert_eq!(start(&f, "a", &[]).await, SAME, "no key was offered, so none was remembered");
}

pub async fn lost_keys_are_replaced_when_the_operator_says_so(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let replace = async |current: &str, others: &[&str]| step(&f, KeyIntent::Replace, current, others).await;
    assert_eq!(replace("a", &[]).await, FIRST);
    assert_eq!(replace("a", &[]).await, SAME);
    assert_eq!(replace("b", &[]).await, both(|from| KeyStanding::Replaced { from }, "a"));
    assert_eq!(start(&f, "b", &[]).await, SAME);
    assert_eq!(start(&f, "a", &["b"]).await, ended("b"), "nobody takes what is lost");
    assert_eq!(replace("a", &["b"]).await, both(|from| KeyStanding::Replaced { from }, "b"));
    assert_eq!(start(&f, "a", &[]).await, SAME);
}
