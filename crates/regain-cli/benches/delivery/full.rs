//! A full outbox into a relay nearby, against other clients.

use anyhow::Result;

use crate::Scale;
use crate::common::report::Table;
use crate::effort::Effort;
use crate::message::Message;
use crate::outbox::{Outbox, Run};
use crate::rivals::{Given, nodemailer, smtp_source};
use crate::sink::Sink;

const CONNECTIONS: [usize; 4] = [1, 4, 5, 20];

pub(crate) fn run(scale: Scale) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let message = Message::write(directory.path())?;
    println!(
        "## A full outbox into smtp-sink ({} rounds, {} letters, {} messages of nodemailer, {} bytes each)\n",
        scale.rounds, scale.letters, scale.nodemailer, message.length
    );
    let outbox = Outbox::with_accounts(scale.letters)?;
    outbox.post(0..scale.letters)?;
    for connections in CONNECTIONS {
        let mut table =
            Table::new("per second", ["smtp-source -d", "nodemailer, raw", "regain", "nodemailer"]);
        let mut efforts = Vec::new();
        for _ in 0..scale.rounds {
            let other =
                |given| nodemailer(Sink::start()?.port, connections, scale.nodemailer, &message, given);
            let source = smtp_source(Sink::start()?.port, connections, scale.letters, &message)?;
            let sink = Sink::start()?;
            let run = outbox.copy()?.deliver(&sink.url(connections), scale.letters)?;
            table.add(vec![source, other(Given::Raw)?, run.rate(), other(Given::Parts)?]);
            efforts.push(run);
        }
        println!("{connections} connections:\n\n{table}\n{}", describe(&efforts));
    }
    Ok(())
}

/// Processor time a mail, of all runs together.
pub(crate) fn describe(runs: &[Run]) -> String {
    let letters: usize = runs.iter().map(Run::letters).sum();
    let micros = |which: fn(&Effort) -> f64| {
        runs.iter().map(|run| which(&run.effort)).sum::<f64>() / letters as f64 * 1e6
    };
    let peak = runs.iter().map(|run| run.peak_kib).max().unwrap_or(0);
    format!(
        "regain: {:.0} µs of the processor a mail in the writer, {:.0} in other threads; {:.1} MiB at most\n",
        micros(|effort| effort.writer),
        micros(|effort| effort.others),
        peak as f64 / 1024.0
    )
}
