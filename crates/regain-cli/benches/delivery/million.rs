//! A million letters that wait, against a thousand: what grows with them would show here.

use std::time::Instant;

use anyhow::Result;

use crate::Scale;
use crate::common::report::Table;
use crate::outbox::{Outbox, Run};
use crate::sink::Sink;

const CONNECTIONS: usize = 5;

pub(crate) fn run(scale: Scale) -> Result<()> {
    let Scale { rounds, many, few, delivered, .. } = scale;
    let begin = Instant::now();
    // As many accounts on both sides: they are not what is compared.
    let fewer = Outbox::with_accounts(many)?;
    let more = fewer.copy()?;
    fewer.fill_up(few)?;
    more.fill_up(many)?;
    println!(
        "## {many} letters waiting against {few} ({rounds} rounds, {many} accounts, {CONNECTIONS} connections)\n\n\
         made in {:.0} s, {} and {} MiB of database\n",
        begin.elapsed().as_secs_f64(),
        std::fs::metadata(more.database())?.len() >> 20,
        std::fs::metadata(fewer.database())?.len() >> 20
    );
    let mut bursts = Table::new("per second", ["few", "many"]);
    let mut streams = Table::new("per second", ["few", "many"]);
    let mut memory = Table::new("MiB at most", ["few", "many"]);
    for _ in 0..rounds {
        fewer.fill_up(few)?;
        more.fill_up(many)?;
        // All that there are of the few, and as many of the many.
        bursts.add(vec![fewer.burst(few)?, more.burst(few)?]);
        // So that at the end of the run the few and the many are left.
        fewer.fill_up(few + delivered)?;
        more.fill_up(many + delivered)?;
        let mut runs = Vec::new();
        for side in [&fewer, &more] {
            runs.push(side.deliver(&Sink::start()?.url(CONNECTIONS), delivered)?);
        }
        streams.add(runs.iter().map(Run::rate).collect());
        memory.add(runs.iter().map(|run| run.peak_kib as f64 / 1024.0).collect());
    }
    println!("the first {few} letters after a start:\n\n{bursts}");
    println!("{delivered} letters, after which {few} and {many} are left:\n\n{streams}\n{memory}");
    Ok(())
}

impl Outbox {
    fn burst(&self, letters: u64) -> Result<f64> {
        Ok(self.deliver(&Sink::start()?.url(CONNECTIONS), letters)?.rate())
    }
}
