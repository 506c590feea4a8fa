//! The keys of `limits`. `false` switches a limit off, `true` sets its default.

use std::ops::RangeInclusive;

use regain_core::{Limits, PerMinute};

use super::super::Config;
use super::super::reader::Section;
use super::{boolean, put};

/// What a limit on a client or on one name may be.
pub(in super::super) const RATES: RangeInclusive<u32> = 1..=1_000_000;
/// What `waitingLetters` may be.
pub(in super::super) const WAITING: RangeInclusive<u64> = 1..=1_000_000_000;
/// What `mailPerHour` may be.
pub(in super::super) const BUDGETS: RangeInclusive<u32> = 1..=100_000_000;
/// What `maxConnections` may be.
pub(in super::super) const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;

/// Reads `[limits]`.
pub(super) fn read(mut section: Section<'_>, config: &mut Config) {
    let usual = Limits::default();
    let limits = &mut config.limits;
    put(&mut limits.per_address, boolean(&mut section, "perAddress"));
    let failed = section.find("failedSignIns");
    let failed = failed.and_then(|found| found.switch(RATES, usual.failed_sign_ins));
    put(&mut limits.failed_sign_ins, failed);
    let waiting = section.find("waitingLetters");
    let waiting = waiting.and_then(|found| found.switch(WAITING, usual.waiting_letters));
    put(&mut limits.waiting_letters, waiting);
    let connections = section.find("maxConnections");
    put(&mut config.max_connections, connections.and_then(|found| found.integer(CONNECTIONS)));
    let budget = section.find("mailPerHour");
    put(&mut limits.mail_per_hour, budget.and_then(|found| found.switch(BUDGETS, usual.mail_per_hour)));
    let shares = section.nested("perClient");
    if !shares.is_table() {
        per_client_as_one(shares.boolean(), limits);
    } else if let Some(section) = shares.section() {
        per_client(section, limits);
    }
    section.finish();
}

fn per_client(mut section: Section<'_>, limits: &mut Limits) {
    let usual = Limits::default();
    let mut share = |key, limit: &mut PerMinute, usual| {
        put(limit, section.find(key).and_then(|found| found.switch(RATES, usual)));
    };
    share("signIn", &mut limits.sign_in, usual.sign_in);
    share("register", &mut limits.register, usual.register);
    share("mail", &mut limits.mail, usual.mail);
    share("tokenGuesses", &mut limits.token_guesses, usual.token_guesses);
    section.finish();
}

fn per_client_as_one(on: Option<bool>, limits: &mut Limits) {
    let Some(on) = on else { return };
    let usual = Limits::default();
    limits.sign_in = usual.sign_in.filter(|_| on);
    limits.register = usual.register.filter(|_| on);
    limits.mail = usual.mail.filter(|_| on);
    limits.token_guesses = usual.token_guesses.filter(|_| on);
}
