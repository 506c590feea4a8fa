//! The handlers.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::{Dev, answer, page};
use crate::mail::Message;

const NO_SUCH_MAIL: &str = "There is no such mail (any more).\n";
const JSON: &str = "application/json; charset=utf-8";

/// A mail as `/dev/mailbox/messages` shows it.
#[derive(Serialize)]
struct Shown<'m> {
    id: &'m str,
    to: &'m str,
    from: &'m str,
    subject: &'m str,
    text: &'m str,
    html: &'m str,
    /// RFC 3339, UTC.
    at: String,
}

/// What a page asks for to know whether there is anything new.
#[derive(Serialize)]
struct Summary<'m> {
    count: usize,
    newest: Option<&'m str>,
}

pub(super) async fn try_page(State(dev): State<Dev>) -> Response {
    answer::page(page::try_it(&dev.app_name))
}

pub(super) async fn list(State(dev): State<Dev>) -> Response {
    answer::page(page::list(&dev.app_name, &dev.mailbox.messages()))
}

pub(super) async fn messages(State(dev): State<Dev>) -> Response {
    let messages = dev.mailbox.messages();
    json(&messages.iter().map(|message| shown(message)).collect::<Vec<_>>())
}

pub(super) async fn state(State(dev): State<Dev>) -> Response {
    let messages = dev.mailbox.messages();
    let newest = messages.first().map(|message| message.id.as_str());
    json(&Summary { count: messages.len(), newest })
}

pub(super) async fn clear(State(dev): State<Dev>) -> Response {
    dev.mailbox.clear();
    answer::empty(StatusCode::NO_CONTENT)
}

pub(super) async fn mail(State(dev): State<Dev>, Path(id): Path<String>) -> Response {
    with(&dev, &id, |message| answer::page(page::mail(&dev.app_name, message)))
}

pub(super) async fn mail_html(State(dev): State<Dev>, Path(id): Path<String>) -> Response {
    with(&dev, &id, |message| answer::mail(page::framed(&message.html)))
}

pub(super) async fn mail_source(State(dev): State<Dev>, Path(id): Path<String>) -> Response {
    with(&dev, &id, |message| answer::of("text/plain; charset=utf-8", message.raw.to_vec()))
}

fn with(dev: &Dev, id: &str, show: impl FnOnce(&Message) -> Response) -> Response {
    match dev.mailbox.message(id) {
        Some(message) => show(&message),
        None => answer::sentence(StatusCode::NOT_FOUND, NO_SUCH_MAIL),
    }
}

fn shown(message: &Message) -> Shown<'_> {
    Shown {
        id: &message.id,
        to: &message.to,
        from: &message.from,
        subject: &message.subject,
        text: &message.text,
        html: &message.html,
        at: page::rfc3339(message.at),
    }
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => answer::of(JSON, body),
        Err(_) => answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
