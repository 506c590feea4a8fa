//! An application that sends the mails itself, in place of a relay: Regain decides when, this program decides how.
//!
//! ```sh
//! cargo run -p regain --example email_handler
//! HANDLER_PORT=8080 HANDLER_DATA=handler-data cargo run -p regain --example email_handler
//! ```
//!
//! "Sending" is a file for each mail under `HANDLER_DATA/mails` here, so that it runs without anything else. Put the call
//! of your mail provider into `Files::put`. `docs/embedding.md` tells the rest.

#![expect(clippy::print_stdout, reason = "it tells where it is to be found")]

use std::env;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use regain::async_trait;
use regain::http::server;
use regain::mail::{EmailHandler, HandlerError, LetterDetails};
use regain::{Config, Delivery, Regain};
use regain_core::{Address, Token, UserAgent};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let port: u16 =
        variable("HANDLER_PORT", "9080").parse().map_err(|error| format!("HANDLER_PORT: {error}"))?;
    let data_path = PathBuf::from(variable("HANDLER_DATA", "handler-data"));

    let listener = server::listen(SocketAddr::from(([127, 0, 0, 1], port)))
        .map_err(|error| format!("HANDLER_PORT {port} cannot be listened on: {error}"))?;
    println!("http://{}", listener.local_addr()?);

    let stop = CancellationToken::new();
    let at_ctrl_c = stop.clone();
    tokio::spawn(async move {
        // Where the signal cannot be listened for, stopping at once beats not being stoppable.
        let _ = tokio::signal::ctrl_c().await;
        at_ctrl_c.cancel();
    });
    run(listener, data_path, stop).await
}

/// Serves until `stop` is cancelled, and then until what is under way is done.
pub(crate) async fn run(
    listener: TcpListener,
    data_path: PathBuf,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let mails = Files { directory: data_path.join("mails") };
    // No `emailHandlerConfig`: there is no relay, and the texts are this program's own.
    let config = Config { port: listener.local_addr()?.port(), data_path, ..Config::default() };
    let regain = Regain::open(&config, Delivery::handler(mails)).await?;
    regain.serve(listener, None, stop).await;
    Ok(())
}

/// Stands for a mail provider.
struct Files {
    directory: PathBuf,
}

#[async_trait]
impl EmailHandler for Files {
    async fn reset_password(
        &self,
        email: &Address,
        _token: &Token,
        _user_agent: Option<&UserAgent>,
        remote_ip: Option<IpAddr>,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        let who = remote_ip.map_or_else(|| "Somebody".to_owned(), |ip| format!("Somebody at {ip}"));
        let link = letter.link().ok_or_else(|| HandlerError::unavailable("baseUrl is not configured"))?;
        self.put(letter, &format!("To: {}\n\n{who} asked for a new password:\n{link}\n", email.as_str()))
            .await
    }

    async fn confirm_email(
        &self,
        email: &Address,
        // For an app that opens links itself: the token is all that it needs.
        token: &Token,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        self.put(
            letter,
            &format!("To: {}\n\nWelcome! notes://confirm/{}\n", email.as_str(), token.expose().as_str()),
        )
        .await
    }

    async fn password_changed(
        &self,
        email: &Address,
        _user_agent: Option<&UserAgent>,
        _remote_ip: Option<IpAddr>,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        self.put(letter, &format!("To: {}\n\nYour password was changed.\n", email.as_str())).await
    }
}

impl Files {
    /// Sends a mail. The letter's id is the idempotency key: the same mail again is one file.
    async fn put(&self, letter: &LetterDetails, mail: &str) -> Result<(), HandlerError> {
        let whose_fault = |error: io::Error| match error.kind() {
            // Nothing can be sent at the moment, whoever it is for.
            io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => HandlerError::unavailable(error),
            _ => HandlerError::later(error),
        };
        tokio::fs::create_dir_all(&self.directory).await.map_err(whose_fault)?;
        let unfinished = self.directory.join(format!("{}.part", letter.id()));
        tokio::fs::write(&unfinished, mail).await.map_err(whose_fault)?;
        tokio::fs::rename(&unfinished, self.directory.join(format!("{}.txt", letter.id())))
            .await
            .map_err(whose_fault)
    }
}
