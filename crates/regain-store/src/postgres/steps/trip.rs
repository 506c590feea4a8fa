//! Several statements in one transaction and one round trip.

use deadpool_postgres::Object;
use futures_util::future::{join_all, join3};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::postgres::error::StepError;

/// A statement and its parameters.
pub(super) type Call<'a> = (&'a str, &'a [&'a (dyn ToSql + Sync)]);

/// Does the statements in this order in one transaction, and answers the rows of the last after the commit.
///
/// All are sent before the first answer comes. Each sees all that was committed until those before it had got their locks:
/// with a lock taken in the first, the last decides as if there were no other step.
pub(super) async fn in_one_trip(client: &Object, calls: &[Call<'_>]) -> Result<Vec<Row>, StepError> {
    Ok(trip(client, "BEGIN", calls).await?.pop().unwrap_or_default())
}

/// Reads by several statements in one round trip, all of one state of the database. Answers the rows of each.
pub(super) async fn read_in_one_trip(
    client: &Object,
    calls: &[Call<'_>],
) -> Result<Vec<Vec<Row>>, StepError> {
    trip(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", calls).await
}

async fn trip(client: &Object, begin: &str, calls: &[Call<'_>]) -> Result<Vec<Vec<Row>>, StepError> {
    let mut statements = Vec::with_capacity(calls.len());
    for (sql, _) in calls {
        statements.push(client.prepare_cached(sql).await?);
    }
    let answers =
        statements.iter().zip(calls).map(|(statement, (_, parameters))| client.query(statement, parameters));
    // Where one fails, the server refuses the rest, and COMMIT undoes.
    let (begun, answers, committed) =
        join3(client.batch_execute(begin), join_all(answers), client.batch_execute("COMMIT")).await;
    begun?;
    let answers = answers.into_iter().collect::<Result<_, _>>()?;
    committed?;
    Ok(answers)
}

/// The one row that a statement always gives.
pub(super) fn only(rows: &[Row]) -> Result<&Row, StepError> {
    rows.first().ok_or_else(|| StepError::Row("the only row".to_owned()))
}
