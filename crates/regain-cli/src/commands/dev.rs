//! `regain dev`: the main job on embedded parts, for this machine alone. Must not touch the data of a real installation.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use regain::app::Role;
use regain::config::{EmailHandlerConfig, load_file, load_over};
use regain::mail::Mailbox;
use regain::{Config, Delivery, dev};
use regain_core::{OsRng, rng};
use regain_smtp::{Sender, Settings};

use crate::exit::misconfigured;
use crate::settings::environment;
use crate::{logging, running};

/// Where the database and the keys are, whatever a configuration says.
const DATA_PATH: &str = "regain-data";

/// Try everything on this machine, with a mailbox that takes all mail. Needs nothing else.
///
/// Keeps accounts under ./regain-data, sends no mail to anybody, and answers this machine alone. Without --config the
/// defaults hold; a regain.toml in this directory is not read. REGAIN_... variables override as ever; the data path is
/// ./regain-data unless REGAIN_DATA_PATH names another, so that the data of a real installation is never touched.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain dev\n  REGAIN_PORT=8080 regain dev\n  regain dev --config regain.toml    \
    (to see your own texts in the mailbox)"
)]
pub(crate) struct Dev {
    /// A configuration to try, TOML, YAML or JSON by its ending [default: none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Dev {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let config = self.settings()?;
        let admin = config.admin_address.map(|admin| admin.ip());
        if !config.address.is_loopback() || admin.is_some_and(|admin| !admin.is_loopback()) {
            return Err(misconfigured(
                "`regain dev` shows every mail to whoever can reach it, so it listens on this machine alone: leave \
                 `address` and `adminAddress` out or set them to 127.0.0.1, and use `regain serve` for others",
            ));
        }
        let mailbox = Mailbox::new();
        let pages = dev::router(mailbox.clone(), &config.app_name);
        let data_path = config.data_path.display().to_string();
        running::block_on(running::serve(
            config,
            Delivery::Mailbox(mailbox),
            Role::Both,
            Some(pages),
            |address| welcome(address, &data_path),
        ))
    }

    fn settings(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(file) => load_file(file, &environment())?,
            None => load_over(Config::default(), &environment())?,
        };
        if std::env::var_os("REGAIN_DATA_PATH").is_none() {
            config.data_path = PathBuf::from(DATA_PATH);
        }
        let email = &mut config.auth_provider.email_handler_config;
        if email.is_none() {
            *email = Some(mail_of(&config.app_name)?);
        }
        Ok(config)
    }
}

/// How mail is sent where nothing is configured. The relay is never used: the mailbox is in its place.
fn mail_of(app_name: &str) -> Result<EmailHandlerConfig> {
    let quoted = app_name.replace('\\', "\\\\").replace('"', "\\\"");
    let from = Sender::parse(&format!("\"{quoted}\" <no-reply@localhost>"))
        .context("appName cannot be the name of a sender")?;
    Ok(EmailHandlerConfig::new(Settings::parse("smtp://localhost")?, from))
}

fn welcome(address: SocketAddr, data_path: &str) -> Result<String> {
    let url = running::url_of(address);
    // A new name each time, so that the line works on accounts that are kept from before, too.
    let name: String = rng::bytes::<3>(&OsRng)?.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = format!(
        r#"{{"provider":"password","data":"ann-{name}@example.org","user_info":{{"password":"a long password","register":true}}}}"#
    );
    Ok(format!(
        "regain is listening on {url}\n\n  Try it       {url}/\n  Mailbox      {url}/dev/mailbox\n  \
         Lost access  {url}/reset-password\n  API          {url}/docs\n  Data         {data_path}\n\nRegister an account, then see its mail in the \
         mailbox:\n\n  curl {url}/auth -H 'content-type: application/json' -d '{request}'\n\n\
         No mail leaves this machine. Ctrl+C ends it."
    ))
}
