//! What `regain dev` serves besides the real thing: a page to try the flows on, the mailbox, and a page to read and try
//! the API.
//!
//! It shows every token in the clear, so it must never be part of `regain serve`, and answers this machine alone.

mod answer;
mod guard;
mod mailbox;
mod page;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
#[cfg(feature = "openapi")]
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use crate::mail::Mailbox;

const STYLE: &str = include_str!("assets/style.css");
const TRY_SCRIPT: &str = include_str!("assets/try.js");
const MAILBOX_SCRIPT: &str = include_str!("assets/mailbox.js");
#[cfg(feature = "openapi")]
const DOCS_SCRIPT: &str = include_str!("assets/docs.js");

/// What the handlers share.
#[derive(Clone)]
struct Dev {
    mailbox: Mailbox,
    app_name: Arc<str>,
}

/// The pages of development: `/` to try the flows, `/dev/mailbox` to read the mails, `/dev/mailbox/messages` the same
/// as JSON (`[{id, to, from, subject, text, html, at}]`, newest first; `DELETE` throws them away), and with the feature
/// `openapi` `/docs` to read and try the API.
///
/// Everybody but this machine gets 403: the peer (from [`axum::extract::ConnectInfo`]) and the host that is asked for
/// must be loopback. To be merged at the root, beside [`crate::http::router`].
pub fn router(mailbox: Mailbox, app_name: &str) -> Router {
    let pages = Router::new();
    #[cfg(feature = "openapi")]
    let pages = pages.route("/docs", get(docs)).route("/dev/docs.js", get(docs_script));
    pages
        .route("/", get(mailbox::try_page))
        .route("/dev/mailbox", get(mailbox::list))
        .route("/dev/mailbox/messages", get(mailbox::messages).delete(mailbox::clear))
        .route("/dev/mailbox/state", get(mailbox::state))
        .route("/dev/mailbox/mail/{id}", get(mailbox::mail))
        .route("/dev/mailbox/mail/{id}/html", get(mailbox::mail_html))
        .route("/dev/mailbox/mail/{id}/source", get(mailbox::mail_source))
        .route("/dev/style.css", get(style))
        .route("/dev/try.js", get(try_script))
        .route("/dev/mailbox.js", get(mailbox_script))
        .route_layer(axum::middleware::from_fn(guard::guard))
        .with_state(Dev { mailbox, app_name: app_name.into() })
}

async fn style() -> Response {
    answer::of("text/css; charset=utf-8", STYLE)
}

async fn try_script() -> Response {
    answer::of("text/javascript; charset=utf-8", TRY_SCRIPT)
}

async fn mailbox_script() -> Response {
    answer::of("text/javascript; charset=utf-8", MAILBOX_SCRIPT)
}

#[cfg(feature = "openapi")]
async fn docs(State(dev): State<Dev>) -> Response {
    answer::page(page::docs(&dev.app_name))
}

#[cfg(feature = "openapi")]
async fn docs_script() -> Response {
    answer::of("text/javascript; charset=utf-8", DOCS_SCRIPT)
}
