//! Looking an account up with its session, against the null handler.

use anyhow::Result;

use crate::common::process::{Serving, myself};
use crate::common::report::Table;
use crate::data::Data;
use crate::{ROUNDS, RUN, server, wire};

const ACCOUNTS: u64 = 10_000;
const CONNECTIONS: usize = 64;

pub(crate) fn run() -> Result<()> {
    println!(
        "## GET /auth/users/:id ({ROUNDS} rounds of {} s a run, {CONNECTIONS} connections, {ACCOUNTS} accounts)\n",
        RUN.as_secs()
    );
    let data = Data::with_accounts(ACCOUNTS)?;
    let server = server::start(data.directory(), server::NO_RELAY)?;
    let null = Serving::start(&mut myself(["null"])?)?;
    let mut table = Table::new("per second", ["null handler", "GET /auth/users/:id"]);
    for _ in 0..ROUNDS {
        table.add(vec![
            null.load(CONNECTIONS, RUN, &["resets".to_owned()])?,
            server.load(CONNECTIONS, RUN, &wire::cycle(&data.look_ups()))?,
        ]);
    }
    println!("{table}");
    Ok(())
}
