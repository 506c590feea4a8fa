//! What is logged, and how: one line an event, on stderr.
//!
//! Invariant: no dependency logs below `warn`, whatever is asked for: libraries write requests and mails into their
//! traces. Nothing that came from outside can begin a line of its own or reach the terminal as a command.

use std::io::{self, IsTerminal};

use anyhow::Result;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::exit::misconfigured;
use crate::output::printable;

/// The variable that says what is logged.
pub(crate) const VARIABLE: &str = "REGAIN_LOG";

/// All crates of ours begin so, and so do their targets.
const OURS: &str = "regain";

/// Logs from now on, as [`VARIABLE`] says.
///
/// # Errors
/// When the variable says what cannot be understood.
pub(crate) fn start() -> Result<()> {
    let wanted = std::env::var_os(VARIABLE).unwrap_or_default();
    let targets = targets(&wanted.to_string_lossy())?;
    let fields = format::debug_fn(|out, field, value| {
        let value = printable(&format!("{value:?}"));
        if field.name() == "message" {
            out.write_str(&value)
        } else {
            write!(out, "{}={value}", field.name())
        }
    });
    let layer = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .fmt_fields(fields.delimited(" "))
        .with_filter(targets);
    tracing_subscriber::registry().with(layer).try_init()?;
    Ok(())
}

/// Reads `debug`, or `info,regain_smtp=trace`.
fn targets(wanted: &str) -> Result<Targets> {
    let mut targets = Targets::new().with_default(LevelFilter::WARN).with_target(OURS, LevelFilter::INFO);
    for directive in wanted.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (target, level) = directive.split_once('=').unwrap_or((OURS, directive));
        let level: LevelFilter = level.trim().parse().map_err(|_| {
            misconfigured(format!(
                "{VARIABLE} takes off, error, warn, info, debug or trace, for parts of Regain also as in \
                 info,regain_smtp=debug"
            ))
        })?;
        if !target.starts_with(OURS) {
            return Err(misconfigured(format!(
                "{VARIABLE} may name parts of Regain only, such as regain_smtp: other libraries log what must not be \
                 in a log"
            )));
        }
        targets = targets.with_target(target.trim(), level);
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_is_for_our_own_crates_and_dependencies_stay_at_warn() {
        let trace = targets("trace").unwrap();
        assert!(trace.would_enable("regain_smtp::session", &Level::TRACE));
        assert!(trace.would_enable("regain::app", &Level::TRACE));
        assert!(trace.would_enable("hyper::proto", &Level::WARN));
        assert!(!trace.would_enable("hyper::proto", &Level::INFO));
        let default = targets("").unwrap();
        assert!(default.would_enable("regain", &Level::INFO));
        assert!(!default.would_enable("regain", &Level::DEBUG));
        assert!(!targets("off").unwrap().would_enable("regain", &Level::ERROR));
    }

    #[test]
    fn a_part_of_ours_can_have_a_level_of_its_own() {
        let targets = targets("warn, regain_smtp=debug").unwrap();
        assert!(targets.would_enable("regain_smtp", &Level::DEBUG));
        assert!(!targets.would_enable("regain_store", &Level::INFO));
    }

    #[test]
    fn other_libraries_and_unknown_levels_are_refused() {
        for bad in ["hyper=trace", "loud", "regain=loud", "rustls=error", "=trace"] {
            assert!(targets(bad).is_err(), "{bad}");
        }
    }
}
