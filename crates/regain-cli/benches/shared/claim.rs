//! How long a claim of a hundred letters takes where few wait, and where many do.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use regain_core::store::{ClaimOrder, Outcome, Settlement};
use regain_core::{ClaimId, Clock, OsRng, Store};
use regain_store::testing::Cluster;
use regain_store::{PostgresOptions, PostgresStore};

use crate::Scale;
use crate::database::{Database, runtime};

const LIMIT: usize = 100;
const LEASE: Duration = Duration::from_secs(120);

pub(crate) fn run(cluster: &Cluster, scale: Scale) -> Result<()> {
    println!("## A claim of {LIMIT} letters (median [min–max] of {})\n", scale.claims);
    println!("| letters that wait | right after they came | after VACUUM ANALYZE |\n|---|---|---|");
    let databases = scale.waiting.map(|waiting| fill(cluster, waiting));
    let databases = databases.into_iter().collect::<Result<Vec<_>>>()?;
    let fresh = databases.iter().map(|database| times(database, scale.claims)).collect::<Result<Vec<_>>>()?;
    for ((database, waiting), fresh) in databases.into_iter().zip(scale.waiting).zip(fresh) {
        database.sql("VACUUM ANALYZE; CHECKPOINT")?;
        println!("| {waiting} | {fresh} | {} |", times(&database, scale.claims)?);
        database.remove()?;
    }
    Ok(())
}

fn fill(cluster: &Cluster, waiting: u64) -> Result<Database> {
    let database = Database::fresh(cluster)?;
    database.add_accounts(waiting, "nobody knows it")?;
    database.add_letters(waiting)?;
    database.settle()?;
    Ok(database)
}

/// Claims letters as a courier does, and gives them back.
fn times(database: &Database, claims: usize) -> Result<String> {
    let settings = database.url.parse()?;
    let mut times = runtime()?.block_on(async {
        let store = PostgresStore::open(&settings, PostgresOptions::default()).await?;
        let clock = store.clock();
        let mut times = Vec::new();
        for _ in 0..claims {
            let now = clock.now();
            let claim = ClaimId::random(&OsRng)?;
            let order =
                ClaimOrder { claim, limit: LIMIT, newest: LIMIT / 2, lease: now + LEASE, budget: None };
            let begin = Instant::now();
            let batch = store.claim(order, now).await?;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            ensure!(batch.letters.len() == LIMIT, "{} letters were claimed", batch.letters.len());
            let back = |claimed: regain_core::letter::ClaimedLetter| Settlement {
                letter: claimed.letter.id,
                claim,
                outcome: Outcome::Released { error: None },
            };
            store.settle(batch.letters.into_iter().map(back).collect(), now).await?;
        }
        store.close().await;
        Ok(times)
    })?;
    times.sort_by(f64::total_cmp);
    Ok(format!("{:.1} ms [{:.1}–{:.1}]", times[times.len() / 2], times[0], times[times.len() - 1]))
}
