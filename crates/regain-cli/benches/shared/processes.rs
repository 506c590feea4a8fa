//! Accepted reset requests a second by one, two and four processes over one database, with the load spread evenly.

use std::thread;

use anyhow::{Result, anyhow};
use regain_store::testing::Cluster;

use crate::Scale;
use crate::common::report::Table;
use crate::database::Database;
use crate::servers::Home;

/// Of all processes together.
const CONNECTIONS: usize = 256;
const PROCESSES: [usize; 3] = [1, 2, 4];

pub(crate) fn run(cluster: &Cluster, scale: Scale) -> Result<()> {
    println!(
        "## Accepted reset requests a second by several processes ({} rounds of {} s a run, {CONNECTIONS} connections)\n",
        scale.rounds,
        scale.run.as_secs()
    );
    let mut table = Table::new("per second", ["1 process", "2 processes", "4 processes"]);
    for _ in 0..scale.rounds {
        let rates = PROCESSES.map(|processes| rate(cluster, processes, scale));
        table.add(rates.into_iter().collect::<Result<_>>()?);
    }
    println!("{table}");
    Ok(())
}

fn rate(cluster: &Cluster, processes: usize, scale: Scale) -> Result<f64> {
    let database = Database::fresh(cluster)?;
    let home = Home::of(&database)?;
    let servers = (0..processes).map(|_| home.server()).collect::<Result<Vec<_>>>()?;
    let rates = thread::scope(|scope| {
        let loads: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| server.load(CONNECTIONS / processes, scale.run, &[])))
            .collect();
        let rates = loads.into_iter().map(|load| load.join().map_err(|_| anyhow!("a load panicked"))?);
        rates.collect::<Result<Vec<_>>>()
    })?;
    drop(servers);
    database.remove()?;
    Ok(rates.iter().sum())
}
