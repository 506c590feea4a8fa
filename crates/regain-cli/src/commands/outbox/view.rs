//! How a letter is shown, to people and to programs. Decides nothing about letters.

use anyhow::Result;
use clap::Args;
use regain_core::Letter;
use serde_json::{Value, json};

use crate::output::{self, masked, printable, seconds, table, time};

/// The options of the commands that show letters.
#[derive(Args)]
pub(crate) struct Form {
    /// JSON: id, purpose, state, to, posted, deadline, due, attempts, repeats, ended, lastError, relayReply, replaces
    #[arg(long)]
    json: bool,
    /// Show addresses in full; without it all but the first letter and the domain are left out
    #[arg(long)]
    reveal: bool,
}

impl Form {
    /// Several letters: a table, or an array.
    pub(super) fn list(&self, letters: &[Letter]) -> Result<String> {
        if self.json {
            let all: Vec<Value> = letters.iter().map(|letter| self.json_of(letter)).collect();
            return Ok(output::pretty(&all)?);
        }
        if letters.is_empty() {
            return Ok("no letters".to_owned());
        }
        let header = ["id", "purpose", "state", "to", "posted", "attempts", "last error"].map(str::to_owned);
        let rows = letters.iter().map(|letter| {
            [
                letter.id.to_string(),
                letter.purpose.to_string(),
                letter.state.to_string(),
                printable(&self.to(letter)),
                seconds(letter.posted),
                letter.attempts.to_string(),
                printable(letter.last_error.as_deref().unwrap_or_default()),
            ]
        });
        Ok(table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))
    }

    /// One letter: a line for each thing known of it, or an object.
    pub(super) fn one(&self, letter: &Letter) -> Result<String> {
        let value = self.json_of(letter);
        if self.json {
            return Ok(output::pretty(&value)?);
        }
        let pairs = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let rows: Vec<[String; 2]> = pairs
            .map(|(key, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), printable);
                [key.clone(), text]
            })
            .collect();
        Ok(table(&rows))
    }

    fn json_of(&self, letter: &Letter) -> Value {
        // When a closed letter would have been due says nothing any more.
        let due = (!letter.state.is_closed()).then(|| time(letter.due));
        json!({
            "id": letter.id.to_string(),
            "purpose": letter.purpose.as_str(),
            "state": letter.state.as_str(),
            "to": self.to(letter),
            "posted": time(letter.posted),
            "deadline": time(letter.deadline),
            "due": due,
            "attempts": letter.attempts,
            "repeats": letter.repeats,
            "ended": letter.ended.map(time),
            "lastError": letter.last_error,
            "relayReply": letter.relay_reply,
            "replaces": letter.replaces.map(|id| id.to_string()),
        })
    }

    fn to(&self, letter: &Letter) -> String {
        let name = letter.name_key.as_str();
        if self.reveal { name.to_owned() } else { masked(name) }
    }
}
