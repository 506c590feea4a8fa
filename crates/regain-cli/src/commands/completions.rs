//! `regain completions`: what a shell completes after `regain`, made of the commands as they are.

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{Arguments, output};

/// Print what a shell needs to complete commands and options.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  bash        regain completions bash > ~/.local/share/bash-completion/completions/regain\n  \
    zsh         regain completions zsh > ~/.zfunc/_regain    (a directory of $fpath)\n  fish        regain completions \
    fish > ~/.config/fish/completions/regain.fish\n  elvish      regain completions elvish >> \
    ~/.config/elvish/rc.elv\n  powershell  regain completions powershell >> $PROFILE"
)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), "regain", &mut script);
        let script = String::from_utf8(script).context("the completions are not text")?;
        Ok(output::say(script.trim_end())?)
    }
}
