//! `regain outbox stats`: how the queue stands, in numbers.

use anyhow::Result;
use clap::Args;
use regain_core::outbox::budget::MailBudget;
use regain_core::outbox::stats::{DEAD_LOOKED_AT, OutboxStats};
use regain_core::{LetterState, Purpose, Timestamp};
use serde_json::{Map, Value, json};

use crate::commands::database::on_store_to_read;
use crate::output::{self, age, grouped, table, time};
use crate::settings::ConfigFile;

/// Show how the queue stands: letters by state and purpose, the oldest that waits, what relays said to dead ones.
///
/// Reads beside a running server and changes nothing. Letters dropped for want of an account are forgotten after five
/// minutes, others that are closed after 30 days.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain outbox stats\n  regain outbox stats --json | jq .oldestSeconds")]
pub(crate) struct Stats {
    /// JSON: states (by state, each with its purposes), open, oldest, oldestSeconds, due, putOff, sentLastHour,
    /// sentLastDay, budget and budgetUsed (of limits.mailPerHour; null where it is off), deadByCode
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Stats {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        let budget = config.limits.mail_per_hour;
        on_store_to_read(&config, async |store, clock| {
            let now = clock.now();
            let stats = store.outbox_stats(now).await?;
            Ok(if self.json {
                output::pretty(&json_of(&stats, budget, now))?
            } else {
                for_people(&stats, budget, now)
            })
        })
    }
}

/// How much of the budget is used, and of what is left, how much others than resets cannot have.
fn budget_words(used: u64, budget: u32) -> String {
    let all = u64::from(budget);
    let kept = all - MailBudget { per_hour: budget }.limit(Purpose::Confirm);
    let told = format!("{} of {}", grouped(used), grouped(all));
    if used >= all {
        format!("{told}: spent, so mails wait")
    } else if used + kept >= all && kept > 0 {
        format!("{told} ({} for resets alone, so others wait)", grouped(kept))
    } else if kept > 0 {
        format!("{told} ({} for resets alone)", grouped(kept))
    } else {
        told
    }
}

/// What counts against the mail budget: the courier counts the same when it claims.
fn used(stats: &OutboxStats) -> u64 {
    stats.sent_last_hour + stats.in_state(LetterState::Claimed)
}

fn count(stats: &OutboxStats, purpose: Purpose, state: LetterState) -> u64 {
    let is_it = |one: &&regain_core::outbox::stats::LetterCount| one.purpose == purpose && one.state == state;
    stats.counts.iter().find(is_it).map_or(0, |one| one.count)
}

fn json_of(stats: &OutboxStats, budget: Option<u32>, now: Timestamp) -> Value {
    let states: Map<String, Value> = LetterState::ALL
        .into_iter()
        .map(|state| {
            let of = |purpose: Purpose| (purpose.as_str().to_owned(), json!(count(stats, purpose, state)));
            (state.as_str().to_owned(), Value::Object(Purpose::ALL.map(of).into_iter().collect()))
        })
        .collect();
    let codes: Map<String, Value> =
        stats.dead_by_code.iter().map(|(code, count)| (word(*code), json!(count))).collect();
    json!({
        "states": states,
        "open": stats.open(),
        "oldest": stats.oldest.map(time),
        "oldestSeconds": stats.oldest.map(|posted| now.since(posted).as_secs()),
        "due": stats.due,
        "putOff": stats.put_off,
        "sentLastHour": stats.sent_last_hour,
        "sentLastDay": stats.sent_last_day,
        "budget": budget,
        "budgetUsed": budget.map(|_| used(stats)),
        "deadByCode": codes,
    })
}

fn word(code: Option<regain_core::RelayCode>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| code.to_string())
}

fn for_people(stats: &OutboxStats, budget: Option<u32>, now: Timestamp) -> String {
    let header = ["state", "reset", "confirm", "password_changed", "all"].map(str::to_owned);
    let rows = LetterState::ALL.into_iter().map(|state| {
        let [reset, confirm, changed] = Purpose::ALL.map(|purpose| grouped(count(stats, purpose, state)));
        [state.to_string(), reset, confirm, changed, grouped(stats.in_state(state))]
    });
    let states = table(&std::iter::once(header).chain(rows).collect::<Vec<_>>());
    let oldest = stats.oldest.map_or_else(|| "-".to_owned(), |posted| age(now.since(posted)));
    let mut facts = vec![
        ["oldest that is owed".to_owned(), oldest],
        ["due now".to_owned(), grouped(stats.due)],
        ["put off, tried later".to_owned(), grouped(stats.put_off)],
        ["sent in the last hour".to_owned(), grouped(stats.sent_last_hour)],
        ["sent in the last day".to_owned(), grouped(stats.sent_last_day)],
    ];
    if let Some(budget) = budget {
        facts.push(["mail budget of this hour".to_owned(), budget_words(used(stats), budget)]);
    }
    let dead = stats.in_state(LetterState::Dead);
    for (code, count) in &stats.dead_by_code {
        let code =
            code.map_or_else(|| "dead without a relay's code".to_owned(), |code| format!("dead with {code}"));
        facts.push([code, grouped(*count)]);
    }
    let facts = table(&facts);
    let looked_at = if dead > DEAD_LOOKED_AT as u64 {
        format!("\n(codes of the last {} dead letters)", grouped(DEAD_LOOKED_AT as u64))
    } else {
        String::new()
    };
    format!("{states}\n\n{facts}{looked_at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_says_what_is_kept_for_resets() {
        assert_eq!(budget_words(1, 8), "1 of 8 (2 for resets alone)");
        assert_eq!(budget_words(6, 8), "6 of 8 (2 for resets alone, so others wait)");
        assert_eq!(budget_words(8, 8), "8 of 8: spent, so mails wait");
        assert_eq!(budget_words(1, 3), "1 of 3");
        assert_eq!(budget_words(3, 3), "3 of 3: spent, so mails wait");
    }
}
