//! Data paths with many accounts in them, made by the library itself before anything is measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use regain::app::database_path;
use regain::{Config, Delivery, Regain};
use regain_core::{Account, AccountId, AccountRecord, AppId, OsRng, Password, Session};
use tempfile::TempDir;

use crate::common::load;
use crate::{runtime, wire};

/// The password of all accounts.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// So many accounts are added in one step.
const BATCH: u64 = 1_000;
/// Requests are for so many of the accounts at most, spread evenly over them.
const SAMPLE: u64 = 10_000;

/// A directory to run the program in, whose data path holds accounts.
pub(crate) struct Data {
    directory: TempDir,
}

impl Data {
    /// Makes accounts number 0 to `count`, all with one hash, and scripts of requests for them.
    pub(crate) fn with_accounts(count: u64) -> Result<Self> {
        let data = Self { directory: tempfile::tempdir()? };
        runtime()?.block_on(data.fill(count))?;
        Ok(data)
    }

    /// Where the program is started.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        database_path(&self.config())
    }

    /// A script that signs in to some of the accounts.
    pub(crate) fn sign_ins(&self) -> PathBuf {
        self.directory().join("sign-ins")
    }

    /// A script in which some of the accounts look themselves up.
    pub(crate) fn look_ups(&self) -> PathBuf {
        self.directory().join("look-ups")
    }

    fn config(&self) -> Config {
        Config { data_path: self.directory().join("data"), ..Config::default() }
    }

    async fn fill(&self, count: u64) -> Result<()> {
        let regain = Regain::open(&self.config(), Delivery::Relay).await?;
        let service = regain.service();
        let app = AppId::parse("bench").context("a name of an application")?;
        let hash = service.hashing.hash(&Password::parse(PASSWORD)?).await?;
        let step = (count / SAMPLE).max(1);
        let (mut sign_ins, mut look_ups) = (Vec::new(), Vec::new());
        for first in (0..count).step_by(usize::try_from(BATCH)?) {
            let mut batch = Vec::new();
            for number in first..count.min(first + BATCH) {
                let name = service.name(&load::name(number))?;
                let record = AccountRecord {
                    password: Some(hash.clone()),
                    ..AccountRecord::new(AccountId::random(&OsRng)?, name)
                };
                if number % step == 0 {
                    let account = Account::from_record(record.clone(), service.now());
                    let expires = service.now() + service.policy.session_lifetime;
                    let session = Session::open(&account, &app, expires, &OsRng)?;
                    let session = service.signing_keys.sign(&session)?;
                    sign_ins.push(wire::sign_in(&account.name));
                    look_ups.push(wire::look_up(account.id.as_str(), &session.token));
                }
                batch.push(record);
            }
            service.store.add_accounts(batch, service.now()).await?;
        }
        wire::write(&self.sign_ins(), &sign_ins)?;
        wire::write(&self.look_ups(), &look_ups)
    }
}
