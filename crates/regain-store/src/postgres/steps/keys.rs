//! Which keys the processes over this database have agreed on: two rows of `meta`, with fingerprints alone.

use deadpool_postgres::{GenericClient, Object, Transaction};
use regain_core::Timestamp;
use regain_core::keys::{KeyAgreement, KeyIntent, KeyKind, KeyOffer, RememberedKeys, judge};

use crate::postgres::error::StepError;

/// Compares the keys of a process with those that are remembered; writes nothing.
pub(crate) async fn ask(
    client: &Object,
    offer: &KeyOffer,
    intent: KeyIntent,
) -> Result<KeyAgreement, StepError> {
    Ok(judged(client, offer, intent).await?.0)
}

/// Compares the keys of a process with those that are remembered, and remembers what has changed.
pub(crate) async fn agree(
    transaction: &Transaction<'_>,
    offer: &KeyOffer,
    intent: KeyIntent,
    now: Timestamp,
) -> Result<KeyAgreement, StepError> {
    // Rows that are not there yet cannot be locked. Reads go on, and nothing else writes here but starts.
    transaction.batch_execute("LOCK TABLE meta IN SHARE ROW EXCLUSIVE MODE").await?;
    let (agreement, changes) = judged(transaction, offer, intent).await?;
    if agreement.is_refused() {
        return Ok(agreement);
    }
    let remember = transaction.prepare_cached(REMEMBER).await?;
    for (kind, after) in changes {
        transaction.execute(&remember, &[&kind.as_str(), &after.to_string(), &now.as_millis()]).await?;
    }
    Ok(agreement)
}

/// The account is whose it is for the audit trail.
const REMEMBER: &str = "WITH put AS (
        INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value
        RETURNING key
    )
    INSERT INTO audit (at, account, event) SELECT $3::bigint, '__admin', key || '_remembered' FROM put";

async fn judged(
    client: &impl GenericClient,
    offer: &KeyOffer,
    intent: KeyIntent,
) -> Result<(KeyAgreement, Vec<(KeyKind, RememberedKeys)>), StepError> {
    let select = client.prepare_cached("SELECT key, value FROM meta WHERE key IN ($1, $2)").await?;
    let [token, signing] = KeyKind::ALL;
    let rows = client.query(&select, &[&token.as_str(), &signing.as_str()]).await?;
    let mut remembered = [None, None];
    for row in rows {
        let at = usize::from(row.try_get::<_, &str>(0)? != token.as_str());
        let read = RememberedKeys::from_stored(row.try_get(1)?);
        remembered[at] = Some(read.ok_or_else(|| StepError::Row("meta.value".to_owned()))?);
    }
    let [of_token, of_signing] = remembered;
    let (of_token, token_after) = judge(of_token.as_ref(), &offer.token, intent);
    let (of_signing, signing_after) = judge(of_signing.as_ref(), &offer.signing, intent);
    let changes = [(token, token_after), (signing, signing_after)];
    let changes = changes.into_iter().filter_map(|(kind, after)| Some((kind, after?))).collect();
    Ok((KeyAgreement { token: of_token, signing: of_signing }, changes))
}
