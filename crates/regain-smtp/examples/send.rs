//! Sends one mail, read from standard input with its header, and says what became of it.
//!
//! ```text
//! printf 'Subject: hello\n\nDear Ada\n' |
//!   cargo run -p regain-smtp --example send -- smtps://user:password@smtp.example.com me@example.org ada@example.org
//! ```
//!
//! A connection URL holds a password: write `-` in its place to have it read from the variable `SMTP_URL`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the one who runs it")]

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use regain_smtp::{Cause, Deadlines, Envelope, Phase, Pool, SendError, Sender, Settings, TrustRoots};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, from, to] = &arguments[..] else {
        eprintln!("usage: send URL FROM TO < MESSAGE");
        return Ok(ExitCode::from(2));
    };
    let url = if url == "-" { std::env::var("SMTP_URL")? } else { url.clone() };
    let sender = Sender::parse(from)?;
    let mut text = format!("From: <{}>\nTo: <{to}>\n", sender.envelope().address()).into_bytes();
    std::io::stdin().read_to_end(&mut text)?;

    let pool = Pool::start(Settings::parse(&url)?, Deadlines::default(), TrustRoots::System)?;
    let envelope = Envelope { from: sender.envelope().address().into(), to: to.clone() };
    let message: Arc<[u8]> = text.into();
    let outcome = pool.send(envelope, message).await;
    pool.close(Duration::from_secs(2)).await;
    match outcome {
        Ok(accepted) => {
            println!("accepted: {} {}", accepted.reply.codes(), accepted.reply.text());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error} ({})", error.code());
            if let Some(reply) = error.reply() {
                eprintln!("the relay's words: {}", reply.text());
            }
            if error.may_have_been_accepted() {
                eprintln!("the relay may have taken the mail all the same");
            } else if is_the_mails_fault(&error) {
                eprintln!("this mail will not do: trying again will not help");
            } else if error.permanent() {
                eprintln!(
                    "it is not the mail: trying again helps once the login, the sender or the relay is changed"
                );
            } else {
                eprintln!("it is worth trying again later");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Whether a queue should give the mail up. `permanent` alone says less: a refused login is no mail's fault.
fn is_the_mails_fault(error: &SendError) -> bool {
    match (error.phase(), error.cause()) {
        (_, Cause::InvalidEnvelope(_) | Cause::Unsupported(_) | Cause::TooLarge { .. }) => true,
        (Phase::Mail, Cause::Refused(reply)) => reply.code() == 552,
        // 5.7.x and 530 are the relay's rules: "relaying denied", for example.
        (Phase::Rcpt, Cause::Refused(reply)) => {
            let by_policy = reply.enhanced().is_some_and(|code| code.subject == 7);
            error.permanent() && !by_policy && reply.code() != 530
        }
        (Phase::FinalDot, Cause::Refused(_)) => error.permanent(),
        _ => false,
    }
}
