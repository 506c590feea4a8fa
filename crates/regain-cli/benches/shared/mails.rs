//! A full outbox into `smtp-sink`, delivered by one courier and by two.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use regain_store::testing::Cluster;

use crate::Scale;
use crate::common::report::Table;
use crate::database::Database;
use crate::servers::Home;
use crate::sink::Sink;

/// Of each courier.
const CONNECTIONS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(cluster: &Cluster, scale: Scale) -> Result<()> {
    println!("## A full outbox ({} rounds of {} letters)\n", scale.rounds, scale.letters);
    let filled = Database::fresh(cluster)?;
    filled.add_accounts(scale.letters, "nobody knows it")?;
    filled.add_letters(scale.letters)?;
    filled.sql("VACUUM ANALYZE")?;
    let mut table = Table::new("mails per second", ["1 courier", "2 couriers"]);
    let mut logged = Table::new("bytes of log a mail", ["1 courier", "2 couriers"]);
    for _ in 0..scale.rounds {
        let runs =
            [deliver(cluster, &filled, 1, scale.letters)?, deliver(cluster, &filled, 2, scale.letters)?];
        table.add(runs.iter().map(|run| run.0).collect());
        logged.add(runs.iter().map(|run| run.1).collect());
    }
    println!("{table}\n{logged}");
    filled.remove()
}

/// Mails a second from the first that was settled to the last, and bytes of log for each, its claim and its token counted in.
fn deliver(cluster: &Cluster, filled: &Database, couriers: usize, letters: u64) -> Result<(f64, f64)> {
    let database = filled.copy(cluster)?;
    let home = Home::of(&database)?;
    let relay = Sink::start()?;
    // Keys are made at the first start.
    drop(home.server()?);
    database.settle()?;
    let before = database.logged()?;
    let url = relay.url(CONNECTIONS);
    let programs = (0..couriers).map(|_| home.whole(&url)).collect::<Result<Vec<_>>>()?;
    wait_until_sent(&database, letters)?;
    let logged = database.logged()? - before;
    drop(programs);
    let took =
        database.number("SELECT greatest(max(ended) - min(ended), 1) FROM letters WHERE state = 'sent'")?;
    database.remove()?;
    Ok(((letters as f64 - 1.0) / took * 1e3, logged / letters as f64))
}

/// Waits until so many letters are sent, each at its first attempt.
pub(crate) fn wait_until_sent(database: &Database, letters: u64) -> Result<()> {
    let begin = Instant::now();
    while database.number("SELECT sum(open) FROM outbox")? > 0.0 {
        ensure!(begin.elapsed() < PATIENCE, "letters are left");
        std::thread::sleep(LOOK_EVERY);
    }
    let sent = database
        .number("SELECT count(*) FROM letters WHERE state = 'sent' AND attempts = 1 AND crashes = 0")?;
    ensure!(sent == letters as f64, "{sent} of {letters} letters were sent at the first attempt");
    Ok(())
}
