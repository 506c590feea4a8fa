//! The program, serving accounts without limits on clients.

use std::path::Path;

use anyhow::Result;

use crate::common::process::Serving;
use crate::common::program;

/// A relay that is not there, for what sends no mail.
pub(crate) const NO_RELAY: &str = "smtp://127.0.0.1:25";

/// Starts the program in a directory.
pub(crate) fn start(directory: &Path, relay: &str) -> Result<Serving> {
    let mut command = program::command(["serve"], directory, relay);
    command.env("REGAIN_LIMITS__PER_CLIENT", "false").env("REGAIN_LIMITS__WAITING_LETTERS", "false");
    Serving::start(&mut command)
}
