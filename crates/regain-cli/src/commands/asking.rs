//! Asking whether something is meant that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Result, bail};

/// Asks on the terminal; only "y" and "yes" are a yes.
///
/// # Errors
/// When there is nobody to ask.
pub(super) fn is_meant(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask on whether it is meant ({question}): say so with --yes");
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
