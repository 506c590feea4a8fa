//! Complete resets a second, with tokens from mails that the program sent, against the bare rate of hashes.
//!
//! All links are asked for and mailed before the first round. What is measured is everything from the token to the answer
//! that the new password is durable, and on the side the courier mails the notice of each change.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use regain_smtp::testing::ScriptedServer;

use crate::common::load;
use crate::common::report::Table;
use crate::data::Data;
use crate::{ROUNDS, RUN, bare, few, runtime, server, wire};

/// Resets a round.
const RESETS: usize = 300;
/// How long the mails may take.
const PATIENCE: Duration = Duration::from_secs(120);
const TOKEN_LENGTH: usize = 64;

pub(crate) fn run() -> Result<()> {
    println!(
        "## Complete resets a second ({ROUNDS} rounds of {RESETS} resets against {} s, {} connections)\n",
        RUN.as_secs(),
        few()
    );
    let count = ROUNDS * RESETS;
    let data = Data::with_accounts(count as u64)?;
    // The relay answers on the threads of this runtime while this one waits for the load.
    let runtime = runtime()?;
    let relay = runtime.block_on(ScriptedServer::start());
    let server = server::start(data.directory(), &relay.url())?;
    let script = data.directory().join("resets");
    wire::write(&script, &(0..count as u64).map(load::ask).collect::<Vec<_>>())?;
    server.load(few(), PATIENCE, &wire::once(&script))?;
    let tokens = tokens(&relay, count)?;
    let mut table = Table::new("per second", ["bare Argon2id", "complete resets"]);
    for round in tokens.chunks(RESETS) {
        wire::write(&script, &round.iter().map(|token| wire::complete_reset(token)).collect::<Vec<_>>())?;
        table.add(vec![bare::rate(RUN)?, server.load(few(), PATIENCE, &wire::once(&script))?]);
    }
    // Each has changed a password, or there would be no notice of it.
    wait_for_mails(&relay, 2 * count)?;
    println!("{table}");
    Ok(())
}

fn tokens(relay: &ScriptedServer, count: usize) -> Result<Vec<String>> {
    wait_for_mails(relay, count)?;
    let mails = relay.messages();
    mails.iter().map(|mail| token(&mail.text()).context("a mail without a token")).collect()
}

/// The text part stands in the mail as it is.
fn token(mail: &str) -> Option<String> {
    mail.split_once("/reset-password?token=")?.1.get(..TOKEN_LENGTH).map(str::to_owned)
}

fn wait_for_mails(relay: &ScriptedServer, count: usize) -> Result<()> {
    let begin = Instant::now();
    while relay.messages().len() < count {
        if begin.elapsed() > PATIENCE {
            bail!("{} of {count} mails came", relay.messages().len());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
