//! An application with accounts: its own routes and Regain's in one router, on one port, with one graceful stop.
//!
//! ```sh
//! cargo run -p regain --example embed
//! EMBED_PORT=8080 EMBED_RELAY=smtp://localhost:1025 EMBED_DATA=embed-data cargo run -p regain --example embed
//! ```
//!
//! Read `run` from its end: that is what an embedder has to do. `docs/embedding.md` tells the rest.

#![expect(clippy::print_stdout, reason = "it tells where it is to be found")]

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use regain::config::{ActionConfig, BaseUrl, EmailHandlerConfig, PasswordAuthProvider};
use regain::http::server::{self, ServerLimits};
use regain::{Config, Delivery, Regain};
use regain_core::Service;
use regain_core::flows::session::{AuthenticateError, authenticate};
use regain_smtp::{Sender, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let port: u16 = variable("EMBED_PORT", "9080").parse().map_err(|error| format!("EMBED_PORT: {error}"))?;
    let relay = variable("EMBED_RELAY", "smtp://localhost:1025");
    let data_path = PathBuf::from(variable("EMBED_DATA", "embed-data"));

    let listener = server::listen(SocketAddr::from(([127, 0, 0, 1], port)))
        .map_err(|error| format!("EMBED_PORT {port} cannot be listened on: {error}"))?;
    let config = configuration(&listener, &relay, data_path)?;
    println!("http://{}", listener.local_addr()?);

    let stop = CancellationToken::new();
    let at_ctrl_c = stop.clone();
    tokio::spawn(async move {
        // Where the signal cannot be listened for, stopping at once beats not being stoppable.
        let _ = tokio::signal::ctrl_c().await;
        at_ctrl_c.cancel();
    });
    run(listener, &config, stop).await
}

/// The snippet of the ROS documentation, in Rust: the texts of the reset are its own, the confirmation keeps its default.
pub(crate) fn configuration(
    listener: &TcpListener,
    relay: &str,
    data_path: PathBuf,
) -> Result<Config, Box<dyn Error>> {
    let base_url = format!("http://localhost:{}", listener.local_addr()?.port());
    Ok(Config {
        app_name: "Notes".into(),
        data_path,
        auth_provider: PasswordAuthProvider {
            email_handler_config: Some(EmailHandlerConfig {
                base_url: Some(BaseUrl::parse(&base_url)?),
                reset_action_config: ActionConfig {
                    subject: Some("Forgot your password?".into()),
                    text_template: Some(
                        "Please use this link below to reset your password and access your account.\n\n\
                         %BASE_URL%/reset-password?token=%TOKEN%\n"
                            .into(),
                    ),
                    html_template: Some(
                        "<html><body>\
                         <h3>Did you forget your password?</h3>\
                         <a href=\"%BASE_URL%/reset-password?token=%TOKEN%\">Reset your password</a>\
                         </body></html>"
                            .into(),
                    ),
                },
                ..EmailHandlerConfig::new(Settings::parse(relay)?, Sender::parse("foo@bar.com")?)
            }),
        },
        ..Config::default()
    })
}

/// Serves until `stop` is cancelled, and then until what is under way is done.
pub(crate) async fn run(
    listener: TcpListener,
    config: &Config,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let regain = Regain::open(config, Delivery::Relay).await?;
    // At the root: clients of ROS look for `/auth` there.
    let app = notes(regain.service()).merge(regain.router());
    // Without the courier, mails would be owed and never sent. `regain` itself lives until both have ended: it holds the
    // lock of the data path.
    tokio::join!(
        regain.run_courier(stop.clone()),
        server::serve(listener, app, ServerLimits::default(), stop.clone(), regain::app::GRACE),
    );
    Ok(())
}

/// What the application is about: here, whom it greets.
fn notes(accounts: Arc<Service>) -> Router {
    Router::new().route("/", get(async || "Notes\n")).route("/notes", get(my_notes)).with_state(accounts)
}

/// For whoever is signed in: the session is the token that `POST /auth` answered with.
async fn my_notes(
    State(accounts): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<String, (StatusCode, &'static str)> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match authenticate(&accounts, token).await {
        Ok(signed_in) => Ok(format!("the notes of {}\n", signed_in.id())),
        Err(AuthenticateError::Invalid | AuthenticateError::Revoked) => {
            Err((StatusCode::UNAUTHORIZED, "sign in first\n"))
        }
        // The database or the process has a problem, and the caller none.
        Err(AuthenticateError::Trouble(_)) => Err((StatusCode::SERVICE_UNAVAILABLE, "try again\n")),
    }
}
