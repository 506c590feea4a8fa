//! The provider and its mail as JSON Schema.

use std::time::Duration;

use serde_json::{Value, json};

use super::values::{boolean, integer, object, one_of, one_or_more, required, text as text_of, time};
use crate::mail::webhook::{CONNECTIONS, MOST_HEADERS, MOST_SECRETS, TIMEOUTS};

/// `authProviders`.
pub(super) fn providers() -> Value {
    let provider = object(
        "The provider of username/password accounts.",
        json!({
            "type": { "description": "The provider.", "enum": ["password"] },
            "emailHandlerConfig": handler(),
        }),
    );
    json!({
        "description": "Exactly one provider, of type \"password\".",
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": required(provider, &["type"]),
    })
}

fn handler() -> Value {
    let handler = object(
        "How mail is sent. Without it, requests for mail are answered with 501.",
        json!({
            "baseUrl": text_of(
                "What links begin with, if not with publicUrl: an https: address, or an app's own scheme for deep links.",
                "^[A-Za-z][A-Za-z0-9+.-]*://",
                None
            ),
            "connectionString": one_or_more(
                "The relay: smtp://user:password@host (TLS by STARTTLS) or smtps://user:password@host. Or a list of \
                 relays in order: the first takes the mail, the next ones while it is at fault.",
                "^[Ss][Mm][Tt][Pp][Ss]?:",
                8
            ),
            "webhook": webhook(),
            "from": text_of(
                "Whom the mails are from: sender@server.com, or \"Sender Name\" sender@server.com. A webhook does \
                 without.",
                "@",
                None
            ),
            "dkim": dkim(),
            "allowInsecureBaseUrl": boolean(
                "Lets links be http: beyond this machine, where whoever sees the traffic can read the token.",
                false
            ),
            "resetActionConfig": { "description": "The mail that resets a password.", "$ref": "#/$defs/action" },
            "confirmActionConfig": { "description": "The mail that confirms an address.", "$ref": "#/$defs/action" },
            "changedActionConfig": {
                "description": "The mail that says that the password was changed. It holds no token.",
                "$ref": "#/$defs/action",
            },
        }),
    );
    let (relay, webhook) = (&["connectionString", "from"], &["webhook"]);
    one_of(handler, &[relay, webhook])
}

fn webhook() -> Value {
    let webhook = object(
        "Where mails are posted as signed JSON, in place of connectionString.",
        json!({
            "url": text_of(
                "Where: https:, or http: on this machine.", "^[Hh][Tt][Tt][Pp][Ss]?://", None
            ),
            "secret": one_or_more(
                "What signs: whsec_ and base64 of 24 to 64 bytes. Or a list of secrets that all sign, while one takes \
                 another's place.",
                "^whsec_[A-Za-z0-9+/]+=*$",
                MOST_SECRETS
            ),
            "timeout": time(
                "How long one delivery may take, from connecting to the answer.", TIMEOUTS, Duration::from_secs(30)
            ),
            "headers": {
                "description": "Headers that each request has besides, such as Authorization.",
                "type": "object",
                "additionalProperties": { "type": "string", "minLength": 1 },
                "maxProperties": MOST_HEADERS,
            },
            "maxConnections": integer(
                "How many connections may be open at once.", CONNECTIONS, 5
            ),
        }),
    );
    required(webhook, &["url", "secret"])
}

/// The keys that sign the mails.
fn dkim() -> Value {
    let key = || {
        json!({
            "domainName": text_of("The domain that signs: that of from, or one above or below it.", "\\.", None),
            "keySelector": text_of("Which of the domain's keys it is: what stands before ._domainkey.", ".", None),
            "privateKey": {
                "description": "The private key in PEM: RSA of 2048 to 4096 bits, or Ed25519. Text, or a file that holds it.",
                "$ref": "#/$defs/text",
            },
        })
    };
    let mut keys = key();
    keys["hashAlgo"] = json!({ "description": "The hash; receivers take no other.", "enum": ["sha256"] });
    keys["headerFieldNames"] = text_of(
        "The header fields that are signed, with colons between, in place of the usual ones.",
        "[Ff][Rr][Oo][Mm]",
        None,
    );
    keys["skipFields"] = text_of(
        "Header fields that are not signed, with colons between: those that the relay rewrites.",
        "^[!-~]+$",
        None,
    );
    let one = required(object("A key.", key()), &["domainName", "keySelector", "privateKey"]);
    keys["keys"] = json!({
        "description": "Several keys, each with a signature of its own, in place of domainName, keySelector and privateKey.",
        "type": "array",
        "minItems": 1,
        "items": one,
    });
    object("What signs the mails (DKIM), with the names of nodemailer.", keys)
}

/// The texts of one mail.
pub(super) fn action() -> Value {
    object(
        "The texts of one mail; what is left out keeps its default. Placeholders: %TOKEN%, %BASE_URL%, %IP%, %EMAIL%, \
         %APP_NAME%, %EXPIRES_IN%, %USER_AGENT%.",
        json!({
            "subject": { "description": "The subject.", "$ref": "#/$defs/text" },
            "textTemplate": { "description": "The text part.", "$ref": "#/$defs/text" },
            "htmlTemplate": { "description": "The HTML part; values are escaped.", "$ref": "#/$defs/text" },
        }),
    )
}

/// A text of a mail.
pub(super) fn text() -> Value {
    let file = object(
        "A text in a file of its own.",
        json!({
            "file": { "description": "The file, seen from this one, in UTF-8.", "type": "string", "minLength": 1 },
        }),
    );
    let file = required(file, &["file"]);
    json!({ "description": "Text, or a file that holds it.", "anyOf": [{ "type": "string" }, file] })
}
