//! The first reading of an import: everything that can be wrong, before anything is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use regain_core::hashing::Verdict;
use regain_core::store::AccountFilter;
use regain_core::{HashCost, HashPool, KeyMode, Password, PasswordHash, Rng, Store, StoreError};

use super::duplicates::{Fingerprints, Suspects};
use super::record::{self, Entry, Mistake, Parsed};
use super::{ImportError, ImportFile, Mistakes, Progress};

/// After so many lines progress is told.
const STRIDE: u64 = 1_000;
/// So many accounts are looked for at once.
const TOGETHER: usize = 64;

/// A file in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How its names are compared.
    pub mode: KeyMode,
    /// Accounts in it.
    pub accounts: u64,
    /// Lines of ROS's built-in administrator, which are left out: Regain has its own.
    pub skipped: u64,
    /// Accounts that are in the store already, as far as could be seen.
    pub already_there: u64,
    /// Accounts without a password.
    pub without_password: u64,
    /// How many passwords are hashed with each scheme.
    pub schemes: BTreeMap<&'static str, u64>,
}

/// Reads the whole file and says what is in it. Nothing is written. `there` is the store that it will be written to, where
/// there is one. Blocks on the file.
///
/// # Errors
/// See [`ImportError`]; [`ImportError::Wrong`] has all mistakes.
pub async fn check(
    file: &ImportFile,
    mode: KeyMode,
    there: Option<&dyn Store>,
    rng: &Arc<dyn Rng>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Checked, ImportError> {
    let there = match there {
        Some(store) if is_empty(store).await? => None,
        there => there,
    };
    let mut checked = Checked {
        mode,
        accounts: 0,
        skipped: 0,
        already_there: 0,
        without_password: 0,
        schemes: BTreeMap::new(),
    };
    let mut mistakes = Mistakes::default();
    let mut prints = Fingerprints::default();
    let mut passwords = AdminPasswords { rng, pool: None };
    let mut lines = file.lines()?;
    let mut next_stop = STRIDE;
    let mut looks = there.map(|store| Looks { store, waiting: Vec::with_capacity(TOGETHER) });
    while let Some(line) = lines.next()? {
        let number = line.number;
        match line.text.and_then(|text| record::parse(text, mode)) {
            Err(mistake) => mistakes.add(number, mistake),
            Ok(Parsed::BuiltinAdmin) => checked.skipped += 1,
            Ok(Parsed::Account(entry)) => {
                prints.add(&entry);
                checked.count(entry.password.as_ref());
                if passwords.are_empty(&entry).await? {
                    mistakes.add(number, Mistake::EmptyAdminPassword);
                } else if let Some(looks) = &mut looks {
                    looks.add(number, *entry, &mut checked, &mut mistakes).await?;
                }
            }
        }
        if lines.number() >= next_stop {
            next_stop = lines.number() + STRIDE;
            progress(file.progress(&lines));
        }
    }
    if let Some(looks) = &mut looks {
        looks.finish(&mut checked, &mut mistakes).await?;
    }
    progress(file.progress(&lines));
    drop(lines);
    if let Some(suspects) = prints.suspects() {
        confirm(file, mode, suspects, &mut mistakes)?;
    }
    file.check_unchanged()?;
    if !mistakes.is_empty() {
        mistakes.sort();
        return Err(ImportError::Wrong(mistakes));
    }
    Ok(checked)
}

impl Checked {
    fn count(&mut self, password: Option<&PasswordHash>) {
        self.accounts += 1;
        match password {
            None => self.without_password += 1,
            Some(hash) => *self.schemes.entry(hash.scheme()).or_default() += 1,
        }
    }
}

/// Reads the file again to see which of the suspects are the same.
fn confirm(
    file: &ImportFile,
    mode: KeyMode,
    suspects: Suspects,
    mistakes: &mut Mistakes,
) -> Result<(), ImportError> {
    let mut confirming = suspects.confirming();
    let mut lines = file.lines()?;
    while let Some(line) = lines.next()? {
        let number = line.number;
        if let Ok(Parsed::Account(entry)) = line.text.and_then(|text| record::parse(text, mode)) {
            confirming.add(number, &entry, mistakes);
        }
    }
    mistakes.add_uncounted(confirming.unchecked());
    Ok(())
}

async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.accounts(AccountFilter { limit: 1, ..AccountFilter::default() }).await?.is_empty())
}

/// Accounts that are yet to be looked for in the store: many at once, since it may be a round trip away.
struct Looks<'a> {
    store: &'a dyn Store,
    waiting: Vec<(u64, Entry)>,
}

impl Looks<'_> {
    async fn add(
        &mut self,
        number: u64,
        entry: Entry,
        checked: &mut Checked,
        mistakes: &mut Mistakes,
    ) -> Result<(), StoreError> {
        self.waiting.push((number, entry));
        if self.waiting.len() < TOGETHER { Ok(()) } else { self.finish(checked, mistakes).await }
    }

    async fn finish(&mut self, checked: &mut Checked, mistakes: &mut Mistakes) -> Result<(), StoreError> {
        let standings = join_all(self.waiting.iter().map(|(_, entry)| standing(self.store, entry))).await;
        for ((number, _), standing) in self.waiting.drain(..).zip(standings) {
            match standing? {
                Standing::New => {}
                Standing::There => checked.already_there += 1,
                Standing::Conflict(mistake) => mistakes.add(number, mistake),
            }
        }
        Ok(())
    }
}

enum Standing {
    New,
    There,
    Conflict(Mistake),
}

/// What adding the account would come to.
async fn standing(store: &dyn Store, entry: &Entry) -> Result<Standing, StoreError> {
    if let Some(account) = store.account_by_name(entry.name.key()).await? {
        return Ok(match &entry.id {
            Some(id) if *id != account.id => Standing::Conflict(Mistake::NameTaken),
            _ => Standing::There,
        });
    }
    let Some(id) = &entry.id else { return Ok(Standing::New) };
    let other = store.account_by_id(id).await?;
    Ok(if other.is_some() { Standing::Conflict(Mistake::IdTaken) } else { Standing::New })
}

/// Compares the passwords of administrators with the empty one.
struct AdminPasswords<'a> {
    rng: &'a Arc<dyn Rng>,
    pool: Option<HashPool>,
}

impl AdminPasswords<'_> {
    async fn are_empty(&mut self, entry: &Entry) -> Result<bool, ImportError> {
        let Some(hash) = entry.admin_password() else { return Ok(false) };
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => HashPool::start(HashCost::default(), self.rng.clone())?,
        };
        let pool = self.pool.insert(pool);
        // The empty text is within every bound.
        let Ok(empty) = Password::parse("") else { return Ok(false) };
        Ok(pool.verify(&empty, Some(hash)).await? != Verdict::Wrong)
    }
}
