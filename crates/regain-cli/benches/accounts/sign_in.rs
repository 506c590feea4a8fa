//! Sign-ins a second against the bare rate of hashes.

use anyhow::Result;

use crate::common::report::Table;
use crate::data::Data;
use crate::{ROUNDS, RUN, bare, few, server, wire};

const ACCOUNTS: u64 = 1_000;

pub(crate) fn run() -> Result<()> {
    println!(
        "## Sign-ins a second ({ROUNDS} rounds of {} s a run, {} connections, {ACCOUNTS} accounts)\n",
        RUN.as_secs(),
        few()
    );
    let data = Data::with_accounts(ACCOUNTS)?;
    let server = server::start(data.directory(), server::NO_RELAY)?;
    let mut table = Table::new("per second", ["bare Argon2id", "sign-ins"]);
    for _ in 0..ROUNDS {
        table.add(vec![bare::rate(RUN)?, server.load(few(), RUN, &wire::cycle(&data.sign_ins()))?]);
    }
    println!("{table}");
    Ok(())
}
