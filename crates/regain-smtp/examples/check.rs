//! Connects to a relay, changes to TLS and logs in as a connection URL says, sends nothing, and names the step that
//! fails.
//!
//! ```text
//! SMTP_URL=smtps://user:password@smtp.example.com cargo run -p regain-smtp --example check
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the one who runs it")]

use std::process::ExitCode;

use regain_smtp::{Deadlines, Pool, Settings, TrustRoots};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode, Failure> {
    let url = std::env::var("SMTP_URL").map_err(|_| "set SMTP_URL to smtps://user:password@host")?;
    let settings = Settings::parse(&url)?;
    println!("{}", settings.redacted());
    let tls =
        if settings.secure() { "from the first byte".to_owned() } else { settings.starttls().to_string() };
    println!("{} port {}, TLS {tls}", settings.host(), settings.port());
    match Pool::start(settings, Deadlines::default(), TrustRoots::System)?.check().await {
        Ok(()) => {
            println!("all is well");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error} ({})", error.code());
            Ok(ExitCode::FAILURE)
        }
    }
}
