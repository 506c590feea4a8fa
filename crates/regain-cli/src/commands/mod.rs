//! The commands: one file each, with its help text, and the table that leads to them.

mod asking;
mod check;
mod completions;
mod config;
mod courier;
mod database;
mod dev;
mod diagnosis;
mod init;
mod keys;
mod mail;
mod migrate;
mod outbox;
mod progress;
mod serve;
mod users;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What `regain` is told to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Dev(dev::Dev),
    Serve(serve::Serve),
    Courier(courier::Courier),
    Migrate(migrate::Migrate),
    Check(check::Check),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Mail(mail::Mail),
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    #[command(subcommand)]
    Users(users::Users),
    #[command(subcommand)]
    Keys(keys::Keys),
    Completions(completions::Completions),
}

/// Does it.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Init(command) => command.run().map(done),
        Command::Dev(command) => command.run().map(done),
        Command::Serve(command) => command.run().map(done),
        Command::Courier(command) => command.run().map(done),
        Command::Migrate(command) => command.run().map(done),
        Command::Check(command) => command.run(),
        Command::Config(command) => command.run().map(done),
        Command::Mail(command) => command.run(),
        Command::Outbox(command) => command.run().map(done),
        Command::Users(command) => command.run().map(done),
        Command::Keys(command) => command.run().map(done),
        Command::Completions(command) => command.run().map(done),
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
