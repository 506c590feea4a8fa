//! Many accounts against few: looking one up, asking for a reset, and the whole way to the mail.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use regain::{Delivery, Regain};
use regain_core::{AppId, OsRng, Password, Session};
use regain_store::testing::Cluster;

use crate::Scale;
use crate::common::load;
use crate::common::process::Serving;
use crate::common::report::Table;
use crate::database::{Database, runtime};
use crate::mails::wait_until_sent;
use crate::servers::Home;
use crate::sink::Sink;

const CONNECTIONS: usize = 64;
/// Requests that are to come to an end get as long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Ends a request in a script; no request holds it.
const END: &str = "\0";

/// A database with accounts, and the programs over it.
struct Side {
    database: Database,
    home: Home,
    accounts: u64,
    /// Requests are for so many of them, spread over all.
    sample: u64,
    look_ups: PathBuf,
}

pub(crate) fn run(cluster: &Cluster, scale: Scale) -> Result<()> {
    let [few, many] = scale.accounts;
    let few_accounts = Side::with_accounts(cluster, few, few)?;
    let begin = Instant::now();
    let many_accounts = Side::with_accounts(cluster, many, few)?;
    println!(
        "## {many} accounts against {few} ({} rounds)\n\nmade in {:.0} s, {:.0} MiB of database\n",
        scale.rounds,
        begin.elapsed().as_secs_f64(),
        many_accounts.database.number("SELECT pg_database_size(current_database()) / 1048576")?
    );
    let sides = [few_accounts, many_accounts];
    compare("GET /auth/users/:id", scale, &sides, |side| {
        let script = side.look_ups.display().to_string();
        side.home.server()?.load(CONNECTIONS, scale.run, &["cycle".to_owned(), script])
    })?;
    compare("Accepted reset requests", scale, &sides, |side| {
        side.database.clear_letters()?;
        side.ask(&side.home.server()?)
    })?;
    let relay = Sink::start()?;
    compare("From the first request to the last mail", scale, &sides, |side| {
        side.database.clear_letters()?;
        let program = side.home.whole(&relay.url(5))?;
        side.ask(&program)?;
        wait_until_sent(&side.database, side.sample)?;
        let took = "SELECT greatest(max(ended) - min(posted), 1) FROM letters";
        Ok(side.sample as f64 / side.database.number(took)? * 1e3)
    })?;
    for side in sides {
        side.database.remove()?;
    }
    Ok(())
}

fn compare(what: &str, scale: Scale, sides: &[Side; 2], rate: impl Fn(&Side) -> Result<f64>) -> Result<()> {
    let mut table = Table::new("per second", ["few accounts", "many accounts"]);
    // What is read for the first time is read from the disk.
    for side in sides {
        rate(side)?;
    }
    for _ in 0..scale.rounds {
        table.add(sides.iter().map(&rate).collect::<Result<_>>()?);
    }
    println!("{what}, {CONNECTIONS} connections:\n\n{table}");
    Ok(())
}

impl Side {
    fn with_accounts(cluster: &Cluster, accounts: u64, sample: u64) -> Result<Self> {
        let database = Database::fresh(cluster)?;
        let home = Home::of(&database)?;
        let look_ups = home.path().join("look-ups");
        let side = Self { database, home, accounts, sample, look_ups };
        runtime()?.block_on(side.fill())?;
        Ok(side)
    }

    async fn fill(&self) -> Result<()> {
        let regain = Regain::open(&self.home.config()?, Delivery::Relay).await?;
        let service = regain.service();
        let hash = service.hashing.hash(&Password::parse("correct horse battery staple")?).await?;
        self.database.add_accounts(self.accounts, hash.as_str())?;
        self.database.sql("VACUUM ANALYZE; CHECKPOINT")?;
        let app = AppId::parse("bench").context("a name of an application")?;
        let mut requests = Vec::new();
        for number in 0..self.sample {
            let name = service.name(&load::name(number * self.step()))?;
            let account = service.store.account_by_name(name.key()).await?.context("an account")?;
            let expires = service.now() + service.policy.session_lifetime;
            let session = Session::open(&account, &app, expires, &OsRng)?;
            let session = service.signing_keys.sign(&session)?;
            requests.push(look_up(account.id.as_str(), &session.token));
        }
        Ok(std::fs::write(&self.look_ups, requests.join(END))?)
    }

    fn step(&self) -> u64 {
        (self.accounts / self.sample).max(1)
    }

    /// Asks for a reset of each account of the sample, once; the rate at which these were accepted.
    fn ask(&self, server: &Serving) -> Result<f64> {
        let which = ["resets".to_owned(), self.sample.to_string(), self.step().to_string()];
        server.load(CONNECTIONS, PATIENCE, &which)
    }
}

/// Looks an account up with its own session.
fn look_up(id: &str, session: &str) -> String {
    format!(
        "GET /auth/users/{id} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Authorization: {session}\r\n\r\n"
    )
}

pub(crate) fn read_script(path: &Path) -> Result<Vec<String>> {
    Ok(std::fs::read_to_string(path)?.split(END).map(str::to_owned).collect())
}
