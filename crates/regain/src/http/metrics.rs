//! What Prometheus is told: the queue as it is, what the courier has done since the start, how each relay does. Never
//! anything of one account or address, and no label whose values could grow without end.

use regain_core::outbox::budget::MailBudget;
use regain_core::outbox::relays::{RelayState, RelayStatus};
use regain_core::outbox::stats::OutboxGauges;
use regain_core::outbox::tally::{BUCKETS, Counts};
use regain_core::store::OutboxStatus;
use regain_core::{Purpose, Timestamp};

use super::exposition::Exposition;
use super::health::HealthStatus;

/// What a courier can tell of itself.
pub struct CourierMetrics {
    /// What it has done.
    pub counts: Counts,
    /// How its relays do, in their order.
    pub relays: Vec<RelayStatus>,
}

/// What is read from the database.
pub(super) struct OutboxTold {
    pub(super) now: Timestamp,
    pub(super) status: OutboxStatus,
    pub(super) gauges: OutboxGauges,
}

/// All that is told.
pub(super) struct Told {
    pub(super) health: HealthStatus,
    /// `None` where the database could not be read.
    pub(super) outbox: Option<OutboxTold>,
    pub(super) budget: Option<MailBudget>,
    /// `None` where no mail is configured, or before the courier runs.
    pub(super) courier: Option<CourierMetrics>,
}

const STATES: [(RelayState, &str); 4] = [
    (RelayState::Open, "open"),
    (RelayState::Recovering, "recovering"),
    (RelayState::Resting, "resting"),
    (RelayState::Paused, "paused"),
];

impl Told {
    pub(super) fn text(&self) -> String {
        let mut out = Exposition::default();
        let is_degraded = matches!(self.health, HealthStatus::Degraded(_));
        let is_up = is_degraded || self.health == HealthStatus::Ok;
        out.gauge("regain_build_info", "The version that runs.")
            .with([("version", env!("CARGO_PKG_VERSION"))], 1);
        out.gauge("regain_up", "Whether requests are served and letters delivered.").is(u8::from(is_up));
        out.gauge("regain_degraded", "Whether something needs the operator; see /health.")
            .is(u8::from(is_degraded));
        out.gauge("regain_database_up", "Whether the database could be read for what is told here.")
            .is(u8::from(self.outbox.is_some()));
        if let Some(budget) = self.budget {
            out.gauge("regain_mail_budget", "Mails that may go out in an hour (limits.mailPerHour).")
                .is(budget.per_hour);
        }
        if let Some(outbox) = &self.outbox {
            outbox.tell(&mut out, self.budget.is_some());
        }
        if let Some(courier) = &self.courier {
            counted(&mut out, &courier.counts);
            relays(&mut out, &courier.relays);
        }
        out.finish()
    }
}

impl OutboxTold {
    fn tell(&self, out: &mut Exposition, has_budget: bool) {
        let age = |since: Option<Timestamp>| since.map_or(0, |since| self.now.since(since).as_secs());
        out.gauge("regain_outbox_open", "Letters waiting or being delivered.").is(self.status.open);
        out.gauge("regain_outbox_oldest_seconds", "Age of the oldest of them.").is(age(self.status.oldest));
        out.gauge("regain_outbox_dead", "Letters that a relay refused for good, until they are purged.")
            .is(self.status.dead);
        let mut waiting = out.gauge("regain_outbox_waiting", "Letters that wait, by purpose.");
        for (purpose, count) in Purpose::ALL.into_iter().zip(self.gauges.waiting) {
            waiting = waiting.with([("purpose", purpose.as_str())], count);
        }
        out.gauge("regain_outbox_due", "Letters that wait and could go now.").is(self.gauges.due);
        out.gauge("regain_outbox_put_off", "Letters that wait for another attempt.").is(self.gauges.put_off);
        out.gauge(
            "regain_outbox_late_seconds",
            "How long the first letter that could go has waited, attempts at relays at fault included.",
        )
        .is(age(self.gauges.first_due));
        out.gauge("regain_outbox_claimed", "Letters being delivered.").is(self.gauges.claimed);
        if has_budget {
            out.gauge("regain_mail_budget_used", "Mails of the last hour, and those being delivered.")
                .is(self.gauges.sent_last_hour + self.gauges.claimed);
        }
    }
}

fn counted(out: &mut Exposition, counts: &Counts) {
    let closed = &counts.closed;
    out.counter("regain_letters_sent_total", "Letters that a relay accepted.").is(counts.sent);
    out.counter("regain_letters_put_off_total", "Attempts after which a letter waits for another.")
        .is(counts.put_off);
    out.counter(
        "regain_letters_released_total",
        "Letters given back because of their relay, unattempted or not at fault.",
    )
    .is(counts.released);
    out.counter("regain_letters_dead_total", "Letters given up.")
        .with([("reason", "refused")], counts.dead)
        .with([("reason", "crashed")], closed.crashed)
        .with([("reason", "unreadable")], closed.unreadable);
    out.counter("regain_letters_expired_total", "Letters whose deadline passed.")
        .with([("reason", "unattempted")], closed.expired_unattempted)
        .with([("reason", "relay")], closed.expired_by_relay)
        .with([("reason", "put_off")], closed.expired_put_off);
    out.counter("regain_letters_dropped_total", "Letters for names without an account.").is(closed.dropped);
    out.counter("regain_letters_superseded_total", "Letters that were needless when their turn came.")
        .is(closed.superseded);
    out.counter("regain_letters_over_budget_total", "Times that a letter was put off for the mail budget.")
        .is(counts.over_budget);
    out.counter("regain_mails_perhaps_twice_total", "Mails that may have gone out twice.")
        .is(counts.perhaps_twice);
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let buckets = BUCKETS.into_iter().map(seconds).zip(counts.buckets);
    out.histogram(
        "regain_delivery_seconds",
        "From the request to the relay's acceptance.",
        buckets,
        counts.sent,
        seconds(counts.took_ms),
    );
}

/// Relays are told by their place in connectionString, from 1: that is short, stays, and is what commands take.
fn relays(out: &mut Exposition, relays: &[RelayStatus]) {
    let numbers: Vec<String> = (1..=relays.len()).map(|number| number.to_string()).collect();
    let all = || numbers.iter().map(String::as_str).zip(relays);
    let mut state = out.gauge("regain_relay_state", "1 for the state that a relay is in.");
    for (number, relay) in all() {
        for (each, word) in STATES {
            state = state.with([("relay", number), ("state", word)], u8::from(relay.state == each));
        }
    }
    let mut accepted = out.counter("regain_relay_accepted_total", "Letters that a relay accepted.");
    for (number, relay) in all() {
        accepted = accepted.with([("relay", number)], relay.accepted);
    }
    let mut faults = out.counter("regain_relay_faults_total", "Faults of a relay.");
    for (number, relay) in all() {
        faults = faults.with([("relay", number)], relay.faults);
    }
    let mut under_way = out.gauge("regain_relay_under_way", "Letters that a relay has at this moment.");
    for (number, relay) in all() {
        under_way = under_way.with([("relay", number)], relay.under_way);
    }
}
