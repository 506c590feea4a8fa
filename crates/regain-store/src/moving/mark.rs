//! The mark of a move that is under way. While it is there nobody can open the database to serve from it.

use tokio_postgres::Transaction;

use super::error::MoveError;
use super::source::{Source, Values};
use super::tables::{META, TABLES};
use super::target::{Target, failed};
use super::value::Value;
use crate::postgres::migrate::LOCK;

impl Target {
    /// Marks the database as the target of a move from that file, or finds that it is. Answers whether it was before.
    ///
    /// The database must be empty, or hold an unfinished move from the same file, and nobody else may use it.
    pub(super) async fn begin(&mut self, source: &Source) -> Result<bool, MoveError> {
        let database = self.database.clone();
        let failed = failed(&database, META.name);
        let step = self.client.transaction().await.map_err(&failed)?;
        // Whoever opens the database takes this too: it either is seen below, or sees the mark.
        step.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(&failed)?;
        let was_begun = match value(&step, "moving").await.map_err(&failed)? {
            Some(id) if id == source.id => true,
            Some(_) => return Err(MoveError::OtherSource(database)),
            None => false,
        };
        if value(&step, "moved_from").await.map_err(&failed)?.is_some_and(|id| id == source.id) {
            return Err(MoveError::Done(database));
        }
        let meta = source.meta()?;
        if !was_begun && let Some(table) = filled(&step, &meta).await.map_err(&failed)? {
            return Err(MoveError::NotEmpty { database, table });
        }
        if !Self::is_alone(&step).await.map_err(&failed)? {
            return Err(MoveError::Served(database));
        }
        set(&step, "moving", &source.id).await.map_err(&failed)?;
        for row in &meta {
            if let [Value::Text(Some(key)), Value::Text(Some(value))] = row.as_slice() {
                set(&step, key, value).await.map_err(&failed)?;
            }
        }
        step.commit().await.map_err(&failed)?;
        Ok(was_begun)
    }

    /// Takes the mark away: from now on the database can be served.
    pub(super) async fn end(&mut self, source: &Source) -> Result<(), MoveError> {
        let failed = failed(&self.database, META.name);
        let step = self.client.transaction().await.map_err(&failed)?;
        // Numbers were given with the rows, so the next would be the first again.
        let next =
            "SELECT setval(pg_get_serial_sequence('audit', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL)
                    FROM audit";
        step.execute(next, &[]).await.map_err(&failed)?;
        set(&step, "moved_from", &source.id).await.map_err(&failed)?;
        let gone = step
            .execute("DELETE FROM meta WHERE key = 'moving' AND value = $1", &[&source.id])
            .await
            .map_err(&failed)?;
        if gone != 1 {
            return Err(MoveError::OtherSource(self.database.clone()));
        }
        step.commit().await.map_err(&failed)
    }
}

/// The first table that holds what does not come from the source. How names are compared is no such thing: a database says
/// so as soon as it is made.
async fn filled(
    step: &Transaction<'_>,
    meta: &[Values],
) -> Result<Option<&'static str>, tokio_postgres::Error> {
    for table in TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if step.query_one(&sql, &[]).await?.try_get(0)? {
            return Ok(Some(table.name));
        }
    }
    let sql = format!("SELECT key, value FROM meta WHERE {} AND key <> 'key_mode'", META.condition());
    for row in step.query(&sql, &[]).await? {
        let found: Values = vec![
            Value::from_postgres(&row, 0, META.columns[0].kind)?.into_owned(),
            Value::from_postgres(&row, 1, META.columns[1].kind)?.into_owned(),
        ];
        if !meta.contains(&found) {
            return Ok(Some(META.name));
        }
    }
    Ok(None)
}

async fn value(step: &Transaction<'_>, key: &str) -> Result<Option<String>, tokio_postgres::Error> {
    step.query_opt("SELECT value FROM meta WHERE key = $1", &[&key])
        .await?
        .map(|row| row.try_get(0))
        .transpose()
}

async fn set(step: &Transaction<'_>, key: &str, value: &str) -> Result<(), tokio_postgres::Error> {
    let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    step.execute(sql, &[&key, &value]).await.map(drop)
}
