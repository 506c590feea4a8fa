//! The configuration as a JSON Schema, for editors: keys, types, ranges, defaults, and what each key is for.
//!
//! Ranges are the reader's and defaults are those of [`Config::default`]; the tests compare the keys, too. A schema sees
//! one file and no environment, and knows less than the reader: what it accepts may still be refused.

mod mail;
mod values;

use serde_json::{Value, json};

use self::values::{boolean, integer, object, switch, text, texts, time};
use super::Config;
use super::read::keys::MOST_OTHERS;
use super::read::limits::{BUDGETS, CONNECTIONS, RATES, WAITING};
use super::read::{CONFIRMATIONS, PASSWORD_LENGTHS, RESETS, SESSIONS};

/// Writes the JSON Schema (draft 2020-12) of a configuration file.
pub fn schema() -> String {
    let config = Config::default();
    let mut schema = object("All settings of Regain. See docs/configuration.md.", top(&config));
    if let Some(schema) = schema.as_object_mut() {
        // First, since readers look for it there.
        schema.shift_insert(0, "$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.shift_insert(1, "title".to_owned(), json!("Configuration of Regain"));
        schema.insert("$defs".to_owned(), definitions());
    }
    format!("{schema:#}")
}

fn definitions() -> Value {
    json!({
        "fromEnvironment": values::from_environment(),
        "text": mail::text(),
        "action": mail::action(),
    })
}

fn top(config: &Config) -> Value {
    json!({
        "address": text(
            "Where to listen; \"0.0.0.0\" is every network.", "^[0-9A-Fa-f:.]+$", Some(&config.address.to_string())
        ),
        "port": integer("Where to listen; 0 takes a free port.", 0..=u16::MAX, config.port),
        "dataPath": text(
            "The directory of the database and the keys, seen from this file.",
            ".",
            Some(&config.data_path.to_string_lossy())
        ),
        "database": text(
            "The PostgreSQL database, where it is not regain.db under dataPath: \
             postgres://USER@HOST:PORT,HOST:PORT/NAME?option=value.",
            "^postgres(ql)?://",
            None
        ),
        "databasePassword": text("The password of that database's user, where it is not in database.", "", None),
        "databasePasswordFile": text("A file with that password in its first line, seen from this file.", ".", None),
        "databaseConnections": integer(
            "How many connections to PostgreSQL a process keeps at most, beside one that listens.",
            1..=1_000,
            super::DATABASE_CONNECTIONS
        ),
        "publicUrl": text(
            "Where browsers reach this server. Links in mails begin with it unless baseUrl is set.",
            "^[Hh][Tt][Tt][Pp][Ss]?://",
            None
        ),
        "adminAddress": text(
            "Where metrics are served, for the operator alone: an IP address with a port, such as 127.0.0.1:9081. Off \
             where it is left out.",
            "^[^ ]+:[0-9]+$",
            None
        ),
        "appName": text("What pages and mails call your application.", "\\S", Some(&config.app_name)),
        "trustedProxies": texts(
            "The proxies in front, as addresses or networks. Only they are believed about the client's address.",
            "^[0-9A-Fa-f:.]+(/[0-9]+)?$"
        ),
        "redirectUrls": texts(
            "Where a page may send the browser: origins, addresses with a path, an app's own schemes.",
            "^[A-Za-z][A-Za-z0-9+.-]*://"
        ),
        "refreshTokenTtl": time("How long a session lasts.", SESSIONS, config.refresh_token_ttl),
        "resetTokenLifetime": time("How long a reset link is good.", RESETS, config.reset_token_lifetime),
        "confirmTokenLifetime": time(
            "How long a confirmation link is good.", CONFIRMATIONS, config.confirm_token_lifetime
        ),
        "requireEmailConfirmation": boolean(
            "Nobody can sign in before the address is confirmed. Realm clients expect false.",
            config.require_email_confirmation
        ),
        "registerByLogin": boolean(
            "Signing in with an unknown name makes an account where the client does not say otherwise.",
            config.register_by_login
        ),
        "authorizationHeaderName": text(
            "The header in which a token is looked for first, before Authorization and x-realm-access-token.",
            "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            None
        ),
        "writeAdminTokenToJson": boolean(
            "Whether keys/admin.json is made, with an administrator's token in it, and such tokens are accepted.",
            config.write_admin_token_to_json
        ),
        "keys": object(
            "Keys for several processes over one database. What is left out is a file under dataPath.", keys()
        ),
        "passwordPolicy": object("What a new password must be.", json!({
            "minLength": integer(
                "The fewest characters of a new password.", PASSWORD_LENGTHS, config.password_policy.min_length
            ),
            "requireCurrent": boolean(
                "Whether changing a password asks for the current one. No Realm client sends it.",
                config.password_policy.require_current
            ),
        })),
        "limits": object("Limits against abuse. false switches one off, true sets its default.", limits(config)),
        "authProviders": mail::providers(),
    })
}

fn keys() -> Value {
    let list = |description: &str| {
        json!({
            "description": description,
            "type": "array",
            "maxItems": MOST_OTHERS,
            "items": { "$ref": "#/$defs/text" },
        })
    };
    json!({
        "tokenKey": {
            "description": "What derives the tokens of links: 32 bytes in hex or base64.", "$ref": "#/$defs/text"
        },
        "otherTokenKeys": list("Other token keys: earlier ones, or one that is to come."),
        "signingKey": { "description": "What signs sessions: an RSA key in PKCS#8 PEM.", "$ref": "#/$defs/text" },
        "otherPublicKeys": list(
            "The public halves (PEM) of other signing keys, whose sessions are taken as well: earlier ones, or one that is \
             to come."
        ),
    })
}

fn limits(config: &Config) -> Value {
    let limits = &config.limits;
    let shares = object(
        "What one client may do in a minute.",
        json!({
            "signIn": switch("Sign-ins; beyond it 429.", RATES, limits.sign_in),
            "register": switch("Registrations; beyond it 429.", RATES, limits.register),
            "mail": switch(
                "Requests for mail; beyond it they are answered as ever and nothing is sent.", RATES, limits.mail
            ),
            "tokenGuesses": switch("Unknown tokens; beyond it 429.", RATES, limits.token_guesses),
        }),
    );
    json!({
        "perAddress": boolean(
            "Repeated requests for mail to one address are answered as ever, but one mail goes out.", limits.per_address
        ),
        "perClient": {
            "description": "What one client (an IPv4 address or an IPv6 /64) may do in a minute. false switches all four \
                            off.",
            "anyOf": [shares, { "type": "boolean" }, { "$ref": "#/$defs/fromEnvironment" }],
        },
        "failedSignIns": switch(
            "Failed sign-ins for one name in an hour, after which each client has one try a minute.",
            RATES,
            limits.failed_sign_ins
        ),
        "mailPerHour": switch(
            "Mails handed to relays in an hour, of all accounts together; more wait. The last quarter is for resets alone.",
            BUDGETS,
            limits.mail_per_hour
        ),
        "waitingLetters": switch(
            "Mails that wait to be delivered, after which requests for mail are answered with 503.",
            WAITING,
            limits.waiting_letters
        ),
        "maxConnections": integer(
            "Connections that are open at once. Cannot be switched off.", CONNECTIONS, config.max_connections
        ),
    })
}

#[cfg(test)]
pub(super) mod tests;
