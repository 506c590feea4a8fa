//! Passwords that an operator types or pipes in, and `regain users set-password`.

use std::io::{self, IsTerminal, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use regain_core::letter::Notice;
use regain_core::outbox::repeats::NOTICES_IF_UNCONFIRMED;
use regain_core::store::PasswordChange;
use regain_core::{
    Caller, HashCost, HashPool, OsRng, Password, PasswordHash, PasswordPolicy, Policy, Provider, Purpose,
    UserAgent,
};

use super::target::Target;
use crate::commands::database::on_store;
use crate::settings::ConfigFile;

/// Set the password of an account.
///
/// The password is read from stdin, or asked for twice on a terminal. All sessions of the account end, its reset links
/// die, and where mail is configured its owner is told.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain users set-password ann@example.org\n  \
    head -c 15 /dev/urandom | base64 | regain users set-password 9f83c1...")]
pub(crate) struct SetPassword {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    config: ConfigFile,
}

impl SetPassword {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        let policy = config.policy();
        on_store(&config, async |store, clock| {
            let account = self.target.find(store).await?;
            if account.provider() == Provider::Realm {
                bail!("account {} is of provider realm: nobody signs in to it with a password", account.id);
            }
            if account.is_disabled {
                bail!("account {} is disabled: enable it first", account.id);
            }
            let new = hashed(&ask(&policy.password)?).await?;
            let now = clock.now();
            let change = PasswordChange {
                account: account.id.clone(),
                new,
                by: None,
                notice: notice(&policy, now)?,
                notices_if_unconfirmed: NOTICES_IF_UNCONFIRMED,
            };
            if !store.change_password(change, now).await? {
                bail!("account {} was disabled or deleted meanwhile", account.id);
            }
            Ok(format!("account {} has a new password, and its sessions have ended", account.id))
        })
    }
}

/// The letter that tells the owner; whoever did it sits at this machine.
fn notice(policy: &Policy, now: regain_core::Timestamp) -> Result<Option<Notice>> {
    if !policy.mail {
        return Ok(None);
    }
    let operator = Caller {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        agent: UserAgent::parse("an administrator of the server (regain users set-password)"),
    };
    Ok(Some(Notice::of(&operator, policy.lifetime(Purpose::PasswordChanged), now, &OsRng)?))
}

/// A new password: asked for twice on a terminal, else one line of stdin.
pub(super) fn ask(policy: &PasswordPolicy) -> Result<Password> {
    let password = if io::stdin().is_terminal() { typed()? } else { piped(io::stdin().lock())? };
    if password.expose().is_empty() {
        bail!("the password must not be empty");
    }
    policy.check(&password).context("the password is not taken")?;
    Ok(password)
}

fn typed() -> Result<Password> {
    let prompt = |text| -> Result<Password> {
        Ok(Password::parse(rpassword::prompt_password(text).context("no password can be asked for")?)?)
    };
    let (first, second) = (prompt("Password: ")?, prompt("Once more: ")?);
    if first.expose() != second.expose() {
        bail!("the two are not the same");
    }
    Ok(first)
}

fn piped(input: impl Read) -> Result<Password> {
    /// More than any password and its line break have.
    const ENOUGH: u64 = 4096;
    let mut text = String::new();
    input.take(ENOUGH).read_to_string(&mut text).context("the password on stdin is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.contains('\n') {
        bail!("there is more than one line on stdin: the password must be one");
    }
    Password::parse(text).context("the password is not taken")
}

/// Hashes a password.
pub(super) async fn hashed(password: &Password) -> Result<PasswordHash> {
    Ok(pool()?.hash(password).await?)
}

/// The threads that hash.
pub(super) fn pool() -> Result<HashPool> {
    Ok(HashPool::start(HashCost::default(), Arc::new(OsRng))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piped_password_is_one_line_as_it_is() {
        for (input, password) in [
            ("correct horse", "correct horse"),
            (" correct horse \n", " correct horse "),
            ("correct horse\r\n", "correct horse"),
            ("", ""),
        ] {
            assert_eq!(piped(input.as_bytes()).unwrap().expose(), password.as_bytes(), "{input:?}");
        }
        for bad in ["one\ntwo\n", "one\n\n", &"x".repeat(1025), &"x".repeat(10_000)] {
            assert!(piped(bad.as_bytes()).is_err(), "{} bytes", bad.len());
        }
        assert!(piped(&b"\xff\n"[..]).is_err());
    }
}
