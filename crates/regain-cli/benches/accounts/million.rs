//! A million accounts against ten: what grows with them would show here.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use regain_core::Store;
use regain_store::{Options, SqliteStore};

use crate::common::process::Serving;
use crate::common::report::Table;
use crate::data::Data;
use crate::{ROUNDS, RUN, few, runtime, server, wire};

const MANY: u64 = 1_000_000;
const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the courier may take for what a run has left.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program with its data, and a look into its outbox.
struct Side {
    data: Data,
    server: Serving,
    store: SqliteStore,
}

pub(crate) fn run() -> Result<()> {
    let few_accounts = Side::with_accounts(10)?;
    let begin = Instant::now();
    let many_accounts = Side::with_accounts(MANY)?;
    println!(
        "## {MANY} accounts against 10 ({ROUNDS} rounds of {} s a run)\n\nmade in {:.0} s, {} MiB of database\n",
        RUN.as_secs(),
        begin.elapsed().as_secs_f64(),
        std::fs::metadata(many_accounts.data.database())?.len() >> 20
    );
    let sides = [few_accounts, many_accounts];
    compare("sign-ins", &sides, few(), |data| wire::cycle(&data.sign_ins()).to_vec())?;
    compare("GET /auth/users/:id", &sides, CONNECTIONS, |data| wire::cycle(&data.look_ups()).to_vec())?;
    compare("accepted reset requests, courier busy", &sides, CONNECTIONS, |_| vec!["resets".to_owned()])
}

fn compare(
    what: &str,
    sides: &[Side; 2],
    connections: usize,
    requests: impl Fn(&Data) -> Vec<String>,
) -> Result<()> {
    let mut table = Table::new("per second", ["10 accounts", "1,000,000 accounts"]);
    let rates = |run| -> Result<Vec<f64>> {
        sides
            .iter()
            .map(|side| {
                let rate = side.server.load(connections, run, &requests(&side.data))?;
                // What is left of this run must not slow the next one down.
                side.wait_for_empty_outbox()?;
                Ok(rate)
            })
            .collect()
    };
    rates(WARM_UP)?;
    for _ in 0..ROUNDS {
        table.add(rates(RUN)?);
    }
    println!("{what}, {connections} connections:\n\n{table}");
    Ok(())
}

impl Side {
    fn with_accounts(count: u64) -> Result<Self> {
        let data = Data::with_accounts(count)?;
        let server = server::start(data.directory(), server::NO_RELAY)?;
        let store = SqliteStore::open(&data.database(), Options::default())?;
        Ok(Self { data, server, store })
    }

    fn wait_for_empty_outbox(&self) -> Result<()> {
        let begin = Instant::now();
        let runtime = runtime()?;
        while runtime.block_on(self.store.outbox_status())?.open > 0 {
            if begin.elapsed() > PATIENCE {
                bail!("the courier does not come to an end");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}
