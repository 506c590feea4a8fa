//! A full outbox into a relay that answers late, against a client that does not pipeline.

use anyhow::Result;

use crate::Scale;
use crate::common::process::{Serving, myself};
use crate::common::report::Table;
use crate::full::describe;
use crate::message::Message;
use crate::outbox::Outbox;
use crate::rivals::smtp_source;

const LATE_MS: u64 = 20;
const CONNECTIONS: usize = 64;

pub(crate) fn run(scale: Scale) -> Result<()> {
    println!(
        "## A full outbox into a relay that answers after {LATE_MS} ms, {CONNECTIONS} connections ({} rounds, {} letters, \
         {} messages of smtp-source)\n",
        scale.rounds, scale.far, scale.far_rival
    );
    let directory = tempfile::tempdir()?;
    let message = Message::write(directory.path())?;
    let outbox = Outbox::with_accounts(scale.far)?;
    outbox.post(0..scale.far)?;
    let mut table = Table::new("per second", ["smtp-source -d", "regain"]);
    let mut runs = Vec::new();
    for _ in 0..scale.rounds {
        let relay = Serving::start(&mut myself(["relay", &LATE_MS.to_string()])?)?;
        let source = smtp_source(relay.port, CONNECTIONS, scale.far_rival, &message)?;
        let url = format!("smtp://127.0.0.1:{}?maxConnections={CONNECTIONS}", relay.port);
        let run = outbox.copy()?.deliver(&url, scale.far)?;
        table.add(vec![source, run.rate()]);
        runs.push(run);
    }
    println!("{table}\n{}", describe(&runs));
    Ok(())
}
