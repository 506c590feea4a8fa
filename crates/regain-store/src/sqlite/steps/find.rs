//! Looking for letters. What is looked for decides the index: a name's own letters, those of a state, or all of them by
//! identity, which grows with time.

use std::fmt::Write;
use std::time::Duration;

use regain_core::relay_code::REFUSED_WITH;
use regain_core::store::LetterFilter;
use regain_core::{Letter, LetterState, NameKey, Purpose, RelayCode};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::count;
use crate::letters::first_id_of;
use crate::sqlite::error::words;
use crate::sqlite::rows::{letter, letter_columns};

/// An identity is made in the same moment as its letter is posted, or a moment before.
const SLACK: Duration = Duration::from_secs(600);

/// What of a letter `l` begins with the relay's codes, as [`RelayCode::words_of`] has it.
pub(crate) const RELAY_WORDS: &str = "coalesce(l.relay_reply, iif(instr(l.last_error, 'refused with ') > 0,
    substr(l.last_error, instr(l.last_error, 'refused with ') + 13), NULL))";

// The text above is written out, since SQL cannot be put together from constants of another crate.
const _: () = assert!(REFUSED_WITH.len() == 13);

/// Letters, newest first, without those whose rows cannot be read: one of them must not hide the others.
pub(crate) fn letters(c: &Connection, filter: &LetterFilter) -> rusqlite::Result<Vec<Letter>> {
    let search = Search::of(filter);
    let sql = format!(
        "SELECT {} {} ORDER BY l.id DESC LIMIT {}",
        letter_columns!(),
        search.from_where,
        count(filter.limit)
    );
    let mut statement = c.prepare(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(search.values))?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        match letter(row) {
            Ok(letter) => letters.push(letter),
            Err(error) => {
                tracing::warn!(
                    event = "letter_unreadable",
                    error = words(&error),
                    "a letter cannot be read and is left out"
                );
            }
        }
    }
    Ok(letters)
}

/// How many there are, up to the limit.
pub(crate) fn count_letters(c: &Connection, filter: &LetterFilter) -> rusqlite::Result<u64> {
    let search = Search::of(filter);
    let sql = format!("SELECT count(*) FROM (SELECT 1 {} LIMIT {})", search.from_where, count(filter.limit));
    let found: i64 =
        c.prepare(&sql)?.query_row(rusqlite::params_from_iter(search.values), |row| row.get(0))?;
    Ok(u64::try_from(found).unwrap_or(0))
}

/// A statement for one filter. Values are bound, never written into it.
struct Search {
    from_where: String,
    values: Vec<Value>,
}

impl Search {
    fn of(filter: &LetterFilter) -> Self {
        let mut search = Self { from_where: String::new(), values: Vec::new() };
        match (&filter.name, filter.state) {
            (Some(name), _) => search.of_name(name),
            (None, Some(LetterState::Waiting)) => search.from("letters l INDEXED BY letters_waiting"),
            (None, Some(LetterState::Claimed)) => search.from("letters l INDEXED BY letters_claimed"),
            (None, Some(_)) => {
                search.from("letters l INDEXED BY letters_ended");
                search.and("l.ended IS NOT NULL", []);
            }
            (None, None) => search.from("letters l"),
        }
        if let Some(state) = filter.state {
            // In words, since a partial index serves only what its own condition can be seen to follow from.
            search.and(&format!("l.state = '{}'", state.as_str()), []);
        }
        if let Some(purpose) = filter.purpose {
            search.and("l.purpose = ?", [text(purpose.as_str())]);
        }
        if let Some(before) = filter.before {
            search.and("l.id < ?", [blob(*before.as_bytes())]);
        }
        if let Some(from) = filter.from {
            search.and("l.posted >= ?", [from.as_millis().into()]);
            search.and("l.id >= ?", [blob(first_id_of(from.minus(SLACK)))]);
        }
        if let Some(until) = filter.until {
            search.and("l.posted < ?", [until.as_millis().into()]);
            search.and("l.id < ?", [blob(first_id_of(until + SLACK))]);
        }
        if let Some(code) = filter.code {
            search.and(&format!("{RELAY_WORDS} || ' ' GLOB ?"), [text(&glob(code))]);
        }
        search
    }

    fn from(&mut self, table: &str) {
        // Writing into a String cannot fail.
        let _ = write!(self.from_where, "FROM {table} WHERE TRUE");
    }

    fn of_name(&mut self, name: &NameKey) {
        let purposes = Purpose::ALL.map(|purpose| format!("'{}'", purpose.as_str())).join(", ");
        let _ = write!(
            self.from_where,
            "FROM (SELECT id FROM letters INDEXED BY letters_open
                   WHERE purpose IN ({purposes}) AND name_key = ? AND ended IS NULL
                   UNION ALL
                   SELECT id FROM letters INDEXED BY letters_closed
                   WHERE purpose IN ({purposes}) AND name_key = ? AND ended IS NOT NULL) found
             CROSS JOIN letters l ON l.id = found.id WHERE TRUE"
        );
        self.values.extend([text(name.as_str()), text(name.as_str())]);
    }

    fn and<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        let _ = write!(self.from_where, " AND {condition}");
        self.values.extend(values);
    }
}

/// What [`RELAY_WORDS`] with a space behind it looks like, where they begin with a code.
fn glob(code: RelayCode) -> String {
    match code {
        RelayCode::Reply(_) => format!("{code}[ :]*"),
        RelayCode::Enhanced(..) => format!("[2-5][0-9][0-9][ :]{code}[ :]*"),
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn blob(value: [u8; 16]) -> Value {
    Value::Blob(value.to_vec())
}

#[cfg(test)]
mod tests {
    use regain_core::Timestamp;

    use super::*;
    use crate::sqlite::steps::plan_of;

    fn plan(filter: &LetterFilter) -> String {
        plan_of(&format!("SELECT l.id {} ORDER BY l.id DESC LIMIT 50", Search::of(filter).from_where))
            .join("\n")
    }

    #[test]
    fn what_is_looked_for_is_found_by_index() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let by_time = plan(&LetterFilter { from: Some(now), until: Some(now), ..LetterFilter::default() });
        assert!(
            by_time.contains("PRIMARY KEY (id>? AND id<?)") && !by_time.contains("TEMP B-TREE"),
            "{by_time}"
        );
        let name = NameKey::from_stored("ann@example.org".to_owned());
        let by_name = plan(&LetterFilter { name: Some(name), ..LetterFilter::default() });
        for index in ["letters_open (purpose=? AND name_key=?)", "letters_closed (purpose=? AND name_key=?"] {
            assert!(by_name.contains(index), "{by_name}");
        }
        for (state, index) in [
            (LetterState::Dead, "letters_ended (state=?"),
            (LetterState::Waiting, "letters_waiting"),
            (LetterState::Claimed, "letters_claimed"),
        ] {
            let by_state = plan(&LetterFilter { state: Some(state), ..LetterFilter::default() });
            assert!(by_state.contains(&format!("COVERING INDEX {index}")), "{by_state}");
        }
    }
}
