//! `POST /auth` and `POST /auth/revoke`.

use regain_core::flows::session::RevokeError;
use regain_core::flows::sign_in::SignInError;
use regain_core::flows::user_token::TradeError;
use regain_core::{PasswordRefusal, Policy, name, password};
use serde_json::json;
use utoipa::openapi::{HttpMethod, ObjectBuilder, Schema};

use super::super::api;
use super::super::error::Problem;
use super::answers::Answers;
use super::parts::{
    Heading, Needs, PLAIN, Route, any_of, json_body, needs_session, object, one_of_words, text, text_or_null,
    truth_or_null,
};
use super::{samples, schemas};

pub(super) const GROUP: &str = "Sessions";

pub(super) fn routes(policy: &Policy) -> Vec<Route> {
    vec![sign_in(policy), revoke()]
}

fn sign_in(policy: &Policy) -> Route {
    let heading = Heading {
        group: GROUP,
        id: "signIn",
        summary: "Register, sign in, or trade a session for a user token",
        about: "With the provider `password`: registers where `register` is true, signs in where it is false or null; \
                where it is left out, signs in whom it knows and registers whom it does not. Registering signs in, \
                and mails a link that confirms the address where the name is one. A name that is taken is refused \
                as a wrong password is.\n\n\
                With the provider `realm`: answers a user token for the session in `data`.",
    };
    let (name, word) = (samples::NAME, samples::PASSWORD);
    let in_info = |register: Option<bool>| match register {
        Some(register) => json!({"password": word, "register": register}),
        None => json!({"password": word}),
    };
    let sdk = |register| json!({"provider": "password", "data": name, "user_info": in_info(register)});
    let body = json_body(
        any_of("What is asked for.", [sdk_shape().into(), flat_shape().into(), trade_shape().into()]),
        &[
            ("register", "Register", sdk(Some(true))),
            ("signIn", "Sign in", sdk(Some(false))),
            ("signInOrRegister", "Whichever fits", sdk(None)),
            (
                "singleLevel",
                "Sign in, all in one level",
                json!({"provider": "password", "username": name, "password": word, "register": false}),
            ),
            (
                "userToken",
                "Trade a session for a user token",
                json!({"provider": "realm", "data": samples::session_token()}),
            ),
        ],
    );
    let too_short = PasswordRefusal::TooShort { min_length: policy.password.min_length };
    let answers = Answers::new()
        .success(
            "A session, or a user token.",
            schemas::TOKENS,
            &[
                ("session", "A session", samples::signed_in()),
                ("userToken", "A user token", samples::traded()),
            ],
        )
        .reading_json()
        .checking_session()
        .limited()
        .problem("noProvider", "No provider is named", Problem::missing(&["provider"]))
        .problem("noName", "No name is given", Problem::missing(&["username"]))
        .problem("noPassword", "No password is given", Problem::missing(&["password"]))
        .problem("noSessionToTrade", "No session is given to trade", Problem::missing(&["data"]))
        .problem("unknownProvider", "The provider is none of this server's", api::unknown_provider())
        .problem(
            "tooLongName",
            "The name is too long",
            Problem::invalid("username", format!("Parameter 'username' {}.", name::InvalidName::TooLong)),
        )
        .problem(
            "tooShortPassword",
            "The password is too short to register with",
            Problem::refused_password("password", too_short),
        )
        .problem(
            "wrongCredentials",
            "The name is unknown, its password is another, or it is taken",
            SignInError::InvalidCredentials,
        )
        .problem(
            "unconfirmed",
            "The address must be confirmed first (`requireEmailConfirmation`)",
            SignInError::MustConfirm,
        )
        .problem("notTraded", "The session to trade does not hold", TradeError::Denied)
        .problem("nothingSynced", "A `path` is asked for", Problem::nothing_synced())
        .build();
    let operation = heading.operation().request_body(Some(body)).responses(answers).build();
    Route { path: "/auth", method: HttpMethod::Post, operation }
}

fn user_name() -> ObjectBuilder {
    text(format!(
        "The name, usually an email address. It {} or contain control characters.",
        name::InvalidName::TooLong
    ))
    .min_length(Some(1))
    .max_length(Some(name::MAX_BYTES))
}

fn given_password() -> ObjectBuilder {
    text(format!(
        "The password. It {}; to register, it must be as long as the server asks.",
        PasswordRefusal::TooLong
    ))
    .max_length(Some(password::MAX_BYTES))
}

fn register() -> ObjectBuilder {
    truth_or_null("True registers, false or null signs in, left out does whichever fits.")
}

fn app_id() -> ObjectBuilder {
    text_or_null("The application, as the token shall name it. At most 255 bytes without control characters.")
        .max_length(Some(255))
        .pattern(Some(PLAIN))
}

fn of_password() -> ObjectBuilder {
    object("").needs("provider", one_of_words("The provider.", ["password"])).property("app_id", app_id())
}

fn sdk_shape() -> Schema {
    let user_info = object("The password, and whether to register.")
        .needs("password", given_password())
        .property("register", register());
    of_password()
        .title(Some("Name and password, as the SDKs send them"))
        .description(Some("The name is in `data`, the rest in `user_info`."))
        .needs("data", user_name())
        .needs("user_info", user_info)
        .build()
        .into()
}

fn flat_shape() -> Schema {
    of_password()
        .title(Some("Name and password in one level"))
        .description(Some("Read where there is no `user_info`."))
        .needs("username", user_name())
        .needs("password", given_password())
        .property("register", register())
        .build()
        .into()
}

fn trade_shape() -> Schema {
    object("The session is the proof; no header is needed.")
        .title(Some("A session to trade"))
        .needs("provider", one_of_words("The provider.", ["realm"]))
        .needs("data", text("The session token.").min_length(Some(1)))
        .property("path", text_or_null("Must be left out: nothing is synchronised here."))
        .property("app_id", app_id())
        .build()
        .into()
}

fn revoke() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "signOut",
        summary: "Sign out: end a session",
        about: "Ends the session in the body: one's own, or as an administrator anybody's. One that has ended by \
                itself is done with. The body is read as JSON whatever its media type.",
    };
    let body = json_body(
        object("Which session.").needs("token", text("The session token.").min_length(Some(1))).build(),
        &[("own", "One's own session", json!({"token": samples::session_token()}))],
    );
    let answers = Answers::new()
        .done("The session has ended.")
        .reading_json()
        .needing_session()
        .problem("noToken", "No token is given", Problem::missing(&["token"]))
        .problem("badToken", "It is no token of this server", RevokeError::InvalidToken)
        .problem("notYours", "The session is another's", RevokeError::Denied)
        .build();
    let operation = needs_session(heading.operation().request_body(Some(body))).responses(answers).build();
    Route { path: "/auth/revoke", method: HttpMethod::Post, operation }
}
