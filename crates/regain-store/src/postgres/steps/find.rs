//! Looking for letters. What is looked for decides the index: a name's own letters, those of a state, or all of them by
//! identity, which grows with time.

use std::fmt::Write;
use std::time::Duration;

use deadpool_postgres::Object;
use regain_core::relay_code::REFUSED_WITH;
use regain_core::store::LetterFilter;
use regain_core::{Letter, LetterState, NameKey, Purpose, RelayCode};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::count;
use super::trip::only;
use crate::letters::first_id_of;
use crate::postgres::error::StepError;
use crate::postgres::rows::{self, letter, letter_columns};

/// An identity is made in the same moment as its letter is posted, or a moment before.
const SLACK: Duration = Duration::from_secs(600);

/// What of a letter `l` begins with the relay's codes, as [`RelayCode::words_of`] has it.
macro_rules! relay_words {
    () => {
        "coalesce(l.relay_reply, CASE WHEN strpos(l.last_error, 'refused with ') > 0
             THEN substr(l.last_error, strpos(l.last_error, 'refused with ') + 13) END)"
    };
}
pub(super) use relay_words;

// The text above is written out, since SQL cannot be put together from constants of another crate.
const _: () = assert!(REFUSED_WITH.len() == 13);

/// Letters, newest first, without those whose rows cannot be read: one of them must not hide the others.
pub(crate) async fn letters(client: &Object, filter: &LetterFilter) -> Result<Vec<Letter>, StepError> {
    let search = Search::of(filter);
    let rows = search.run(client, &search.sql(letter_columns!(), filter.limit)).await?;
    let mut letters = Vec::with_capacity(rows.len());
    for row in &rows {
        match letter(row) {
            Ok(letter) => letters.push(letter),
            Err(error) => {
                tracing::warn!(
                    event = "letter_unreadable",
                    error = error.words(),
                    "a letter cannot be read and is left out"
                );
            }
        }
    }
    Ok(letters)
}

/// How many there are, up to the limit.
pub(crate) async fn count_letters(client: &Object, filter: &LetterFilter) -> Result<u64, StepError> {
    let search = Search::of(filter);
    // In the order of the list, and so by the same index.
    let found = search.sql("1", filter.limit);
    let rows = search.run(client, &format!("SELECT count(*) FROM ({found}) found")).await?;
    rows::count(only(&rows)?, 0)
}

/// A statement for one filter. Values are bound, never written into it; but the planner is told states and limits.
pub(super) struct Search {
    from_where: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Search {
    pub(super) fn of(filter: &LetterFilter) -> Self {
        let mut search = Self { from_where: String::new(), values: Vec::new() };
        match (&filter.name, filter.state) {
            (Some(name), _) => search.of_name(name),
            (None, Some(state @ (LetterState::Waiting | LetterState::Claimed))) => search.all_of(state, ""),
            (None, Some(LetterState::Dropped)) => {
                search.all_of(LetterState::Dropped, " AND ended >= 0");
            }
            (None, _) => search.from_where.push_str("FROM letters l WHERE TRUE"),
        }
        if let Some(state) = filter.state {
            // In words, since a partial index serves only what its own condition can be seen to follow from.
            search.and(&format!("l.state = '{}'", state.as_str()));
        }
        if let Some(purpose) = filter.purpose {
            search.and_value("l.purpose =", purpose.as_str().to_owned());
        }
        if let Some(before) = filter.before {
            search.and_value("l.id <", before.as_bytes().to_vec());
        }
        if let Some(from) = filter.from {
            search.and_value("l.posted >=", from.as_millis());
            search.and_value("l.id >=", first_id_of(from.minus(SLACK)).to_vec());
        }
        if let Some(until) = filter.until {
            search.and_value("l.posted <", until.as_millis());
            search.and_value("l.id <", first_id_of(until + SLACK).to_vec());
        }
        if let Some(code) = filter.code {
            search.and_value(concat!("(", relay_words!(), " || ' ') ~"), pattern(code));
        }
        search
    }

    pub(super) fn sql(&self, columns: &str, limit: usize) -> String {
        format!("SELECT {columns} {} ORDER BY l.id DESC LIMIT {}", self.from_where, count(limit))
    }

    async fn run(&self, client: &Object, sql: &str) -> Result<Vec<Row>, StepError> {
        let values: Vec<&(dyn ToSql + Sync)> =
            self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
        // Not kept: there are as many of them as there are filters.
        Ok(client.query(sql, &values).await?)
    }

    /// Few letters, all of which are looked at: `OFFSET 0` keeps the planner from going through the whole table in the order
    /// of the list, which it may think short.
    fn all_of(&mut self, state: LetterState, condition: &str) {
        let state = state.as_str();
        // Writing into a String cannot fail.
        let _ = write!(
            self.from_where,
            "FROM (SELECT * FROM letters WHERE state = '{state}'{condition} OFFSET 0) l WHERE TRUE"
        );
    }

    fn of_name(&mut self, name: &NameKey) {
        let purposes = Purpose::ALL.map(|purpose| format!("'{}'", purpose.as_str())).join(", ");
        let name = self.value(name.as_str().to_owned());
        // As above.
        let _ = write!(
            self.from_where,
            "FROM (SELECT * FROM letters WHERE purpose IN ({purposes}) AND name_key = {name} AND ended IS NULL
                   UNION ALL
                   SELECT * FROM letters WHERE purpose IN ({purposes}) AND name_key = {name} AND ended IS NOT NULL
                   OFFSET 0) l WHERE TRUE"
        );
    }

    fn and(&mut self, condition: &str) {
        let _ = write!(self.from_where, " AND {condition}");
    }

    fn and_value(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        let value = self.value(value);
        self.and(&format!("{condition} {value}"));
    }

    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }
}

/// What [`relay_words`] with a space behind it looks like, where they begin with a code.
fn pattern(code: RelayCode) -> String {
    match code {
        RelayCode::Reply(_) => format!("^{code}[ :]"),
        RelayCode::Enhanced(..) => {
            format!("^[2-5][0-9][0-9][ :]{}[ :]", code.to_string().replace('.', "[.]"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_looked_for_as_it_is_written() {
        let code = |text: &str| pattern(text.parse().unwrap());
        assert_eq!(
            (code("550"), code("5.1.10")),
            ("^550[ :]".to_owned(), "^[2-5][0-9][0-9][ :]5[.]1[.]10[ :]".to_owned())
        );
    }
}
