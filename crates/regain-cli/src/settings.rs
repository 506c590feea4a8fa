//! Where a command's configuration comes from: the file that is named, the one in this directory, or the environment alone.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use regain::Config;
use regain::config::{Environment, load_file, load_over};

use crate::exit::misconfigured;

/// What is read where no `--config` is given: the one of these that is there.
pub(crate) const DEFAULT_FILES: [&str; 4] = ["regain.toml", "regain.yaml", "regain.yml", "regain.json"];

/// The option that names the configuration.
#[derive(Args)]
pub(crate) struct ConfigFile {
    /// The configuration, TOML, YAML or JSON by its ending [default: regain.toml, .yaml, .yml or .json in the
    /// current directory]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the configuration. Where there is no file, variables that override settings are one.
    ///
    /// # Errors
    /// All mistakes at once, as [`regain::config::Mistakes`]; or that there is nothing to read, or more than one file.
    pub(crate) fn load(&self) -> Result<Config> {
        let here: Vec<_> = files_here().collect();
        if self.config.is_none() && here.len() > 1 {
            return Err(misconfigured(format!(
                "there are {} in this directory: name the one that counts with --config FILE, or keep only that one",
                here.join(" and ")
            )));
        }
        match self.path() {
            Some(path) => Ok(load_file(path, &environment())?),
            None if environment_configures() => Ok(load_over(Config::default(), &environment())?),
            None => Err(misconfigured(
                "there is no regain.toml (.yaml, .yml, .json) in this directory: name a file with --config FILE, or \
                 make one with `regain init DIR`",
            )),
        }
    }

    /// The file that is read; `None` where there is none.
    pub(crate) fn path(&self) -> Option<&Path> {
        // Whether a file that is named exists is for reading it to find out.
        self.config.as_deref().or_else(|| files_here().next().map(Path::new))
    }

    /// Whence the settings come, for people.
    pub(crate) fn source(&self) -> String {
        self.path().map_or_else(|| "the environment alone".to_owned(), |path| path.display().to_string())
    }
}

/// The variables of this process.
pub(crate) fn environment() -> Environment {
    Environment::new(std::env::vars_os())
}

fn files_here() -> impl Iterator<Item = &'static str> {
    DEFAULT_FILES.into_iter().filter(|name| Path::new(name).exists())
}

fn environment_configures() -> bool {
    std::env::vars_os().any(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("REGAIN_") && name != crate::logging::VARIABLE
    })
}
