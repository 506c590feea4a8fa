//! Whether the keys of this process agree with the database, in an operator's words.

use regain_core::keys::{KeyKind, KeyStanding};
use regain_core::{KeyAgreement, KeyIntent, KeyOffer, Store, Timestamp};

use super::found::Sources;
use super::{Disagreement, KeysError, name_of};

/// One step of the store; what is refused is an error.
pub(super) async fn agree(
    offer: KeyOffer,
    intent: KeyIntent,
    sources: &Sources,
    store: &dyn Store,
    now: Timestamp,
) -> Result<KeyAgreement, KeysError> {
    let agreement = store.agree_on_keys(offer.clone(), intent, now).await?;
    judged(&offer, &agreement, sources)?;
    Ok(agreement)
}

/// What is refused is an error.
pub(super) fn judged(offer: &KeyOffer, agreement: &KeyAgreement, sources: &Sources) -> Result<(), KeysError> {
    let refused = KeyKind::ALL.into_iter().filter_map(|kind| {
        let (in_force, has_ended) = match agreement.of(kind) {
            KeyStanding::Unknown { in_force } => (in_force, false),
            KeyStanding::Ended { in_force } => (in_force, true),
            _ => return None,
        };
        let source = sources.of(kind).to_owned();
        Some(Disagreement { kind, own: offer.of(kind).current, source, in_force, has_ended })
    });
    let refused: Vec<Disagreement> = refused.collect();
    if refused.is_empty() { Ok(()) } else { Err(KeysError::Disagree(refused)) }
}

/// Tells what a start has changed, or is yet to change.
pub(super) fn log(agreement: &KeyAgreement) {
    for kind in KeyKind::ALL {
        let name = name_of(kind);
        match agreement.of(kind) {
            KeyStanding::Turned { from } => {
                tracing::info!(event = "key_turned", before = %from, "another {name} is in force from now on");
            }
            KeyStanding::Behind { in_force } => tracing::warn!(
                event = "key_behind",
                %in_force,
                "this process works with a {name} that was in force before: turn it to the one that is"
            ),
            _ => {}
        }
    }
}
