//! The `regain` command: what can be typed, and how an error is told. Each command is a file under `commands/`.

mod commands;
mod dns;
mod exit;
mod logging;
mod output;
mod privacy;
mod running;
mod settings;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use regain::config::Mistakes;

use commands::Command;

/// Accounts with email confirmation and password reset for applications.
///
/// Takes the place of the username/password provider of the Realm Object Server: the same requests, answers, links
/// and pages. Begin with `regain dev`, which needs nothing else; go on with `regain init DIR`.
#[derive(Parser)]
#[command(name = "regain", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 something is wrong and told on stderr, 2 the command is not written \
    rightly, 78 what only a change of the configuration, of a file or of the program mends.\nEnvironment: REGAIN_LOG is \
    what is logged (error, warn, info, debug, trace); other REGAIN_... variables override the configuration, such as REGAIN_PORT=8080.";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments.command) {
        Ok(code) => code,
        // Whoever reads our output has seen enough (`regain outbox list | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // A command that takes arguments only in some combinations.
            if let Some(usage) = error.downcast_ref::<clap::Error>() {
                usage.exit();
            }
            output::complain(&told(&error));
            exit::code_of(&error)
        }
    }
}

fn told(error: &anyhow::Error) -> String {
    let Some(mistakes) = error.downcast_ref::<Mistakes>() else { return format!("regain: {error:#}") };
    let count = match mistakes.iter().count() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    format!("{mistakes}\nregain: {count} in the configuration")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
