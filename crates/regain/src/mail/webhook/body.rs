//! What is posted: the same bytes at every attempt.

use regain_core::{Parcel, Purpose};
use regain_smtp::Sender;
use serde::Serialize;

use crate::mail::compose::{ComposeError, Texts, Wording, message_id};
use crate::mail::link::link;
use crate::mail::mailbox::shown;

/// The payload, with the parts that the Standard Webhooks conventions recommend.
#[derive(Serialize)]
struct Body<'b> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// When the mail was asked for, RFC 3339.
    timestamp: String,
    data: Data<'b>,
}

/// All keys are always there; what is unknown is null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'b> {
    id: String,
    message_id: Option<String>,
    to: &'b str,
    from: Option<String>,
    subject: &'b str,
    text: &'b str,
    html: &'b str,
    link: Option<&'b str>,
    token: Option<&'b str>,
    expires_in: u64,
    app_name: &'b str,
    client_ip: Option<String>,
    user_agent: Option<&'b str>,
}

/// Why a parcel makes no body. It never will.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error("the time when it was posted is out of range")]
    Time,
    #[error("it cannot be written as JSON")]
    Json,
}

/// The body for a parcel; equal parcels give equal bytes.
///
/// `kind` is its type: [`kind`] of the purpose, but for a test mail.
pub(super) fn of(
    parcel: &Parcel,
    kind: &'static str,
    wording: &Wording,
    sender: Option<&Sender>,
) -> Result<Vec<u8>, BodyError> {
    let Texts { subject, text, html } = wording.texts(parcel)?;
    let posted = jiff::Timestamp::from_millisecond(parcel.posted.as_millis()).map_err(|_| BodyError::Time)?;
    let token = parcel.token.as_ref().map(|token| token.expose());
    let link = Some(wording.link_base.as_str())
        .filter(|base| !base.is_empty())
        .and_then(|base| link(base, parcel.purpose, parcel.token.as_ref()));
    let body = Body {
        kind,
        timestamp: posted.to_string(),
        data: Data {
            id: parcel.letter.to_string(),
            message_id: sender
                .map(|sender| format!("<{}>", message_id(parcel.letter, sender.envelope().domain()))),
            to: parcel.to.as_str(),
            from: sender.map(|sender| shown(sender.envelope())),
            subject: &subject,
            text: &text,
            html: &html,
            link: link.as_ref().map(|link| link.as_str()),
            token: token.as_ref().map(|token| token.as_str()),
            expires_in: wording.lifetime(parcel.purpose).as_secs(),
            app_name: &wording.app_name,
            client_ip: parcel.ip.map(|ip| ip.to_canonical().to_string()),
            user_agent: parcel.agent.as_ref().map(|agent| agent.as_str()),
        },
    };
    serde_json::to_vec(&body).map_err(|_| BodyError::Json)
}

/// The type of a mail that an operator sends to try the webhook.
pub(super) const TEST: &str = "mail.test";

/// Never changes: receivers tell mails apart by it.
pub(super) fn kind(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Reset => "mail.reset",
        Purpose::Confirm => "mail.confirm",
        Purpose::PasswordChanged => "mail.password_changed",
    }
}
