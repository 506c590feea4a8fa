//! Accepted reset requests a second against pgbench doing the same insert, and against one transaction a request.

use std::time::Duration;

use anyhow::Result;
use regain_store::testing::Cluster;

use crate::Scale;
use crate::common::report::Table;
use crate::database::Database;
use crate::pgbench;
use crate::servers::Home;

const CONNECTIONS: [usize; 2] = [64, 256];

pub(crate) fn run(cluster: &Cluster, scale: Scale) -> Result<()> {
    println!(
        "## Accepted reset requests a second ({} rounds of {} s a run)\n",
        scale.rounds,
        scale.run.as_secs()
    );
    for connections in CONNECTIONS {
        let mut table = Table::new("per second", ["pgbench", "regain", "one transaction a request"]);
        let mut logged =
            Table::new("bytes of log a letter", ["pgbench", "regain", "one transaction a request"]);
        for _ in 0..scale.rounds {
            let runs = [
                measure(cluster, |database| pgbench::rate(database, connections, scale.run))?,
                measure(cluster, |database| Home::of(database)?.server()?.load(connections, scale.run, &[]))?,
                measure(cluster, |database| Home::of(database)?.single()?.load(connections, scale.run, &[]))?,
            ];
            table.add(runs.iter().map(|run| run.0).collect());
            logged.add(runs.iter().map(|run| run.1).collect());
        }
        println!("{connections} connections:\n\n{table}\n{logged}");
    }
    Ok(())
}

/// A rate in a database of its own, and how much was logged for each letter.
fn measure(cluster: &Cluster, rate: impl Fn(&Database) -> Result<f64>) -> Result<(f64, f64)> {
    let database = Database::fresh(cluster)?;
    let before = database.logged()?;
    let rate = rate(&database)?;
    // What was under way when the load ended.
    std::thread::sleep(Duration::from_millis(100));
    let logged = (database.logged()? - before) / database.number("SELECT count(*) FROM letters")?;
    database.remove()?;
    Ok((rate, logged))
}
