//! `POST /auth/password/updateAccount` and `PUT /auth/password`.

use regain_core::flows::change_password::ChangeError;
use regain_core::flows::confirm_email;
use regain_core::flows::reset_password::{CompleteError, RequestError};
use regain_core::{PasswordRefusal, Policy, name, password};
use serde_json::json;
use utoipa::openapi::{HttpMethod, ObjectBuilder, Schema};

use super::super::api;
use super::super::error::Problem;
use super::answers::Answers;
use super::parts::{
    Heading, Needs, PLAIN, Route, any_of, json_body, needs_session, object, one_of_words, text, text_or_null,
};
use super::samples;

pub(super) const GROUP: &str = "Password and email";

pub(super) fn routes(policy: &Policy) -> Vec<Route> {
    vec![update_account(policy), change_password(policy)]
}

fn update_account(policy: &Policy) -> Route {
    let heading = Heading {
        group: GROUP,
        id: "updateAccount",
        summary: "Ask for a link by mail, or use its token",
        about: "Without a login. The two requests are answered alike and at once, whether there is such an account \
                or not; the mail follows where there is one. A reset ends all sessions of the account.",
    };
    let name = samples::NAME;
    let request = |action: &str| json!({"provider_id": name, "data": {"action": action}});
    let (token, new) = (samples::LINK_TOKEN, samples::NEW_PASSWORD);
    let body = json_body(
        any_of(
            "What is asked for.",
            [
                asking("reset_password", "Ask for a link to set a new password"),
                completing_reset(policy),
                asking("request_email_confirmation", "Ask for a link to confirm the address"),
                confirming(),
            ]
            .map(Into::into),
        ),
        &[
            ("askReset", "Ask for a link to set a new password", request("reset_password")),
            (
                "completeReset",
                "Set a new password",
                json!({"data": {"action": "complete_reset", "token": token, "new_password": new}}),
            ),
            (
                "askConfirmation",
                "Ask for a link to confirm the address",
                request("request_email_confirmation"),
            ),
            (
                "confirmEmail",
                "Confirm the address",
                json!({"data": {"action": "confirm_email", "token": token}}),
            ),
        ],
    );
    let answers = Answers::new()
        .done("It is done, or the mail is on its way if there is such an account.")
        .reading_json()
        .checking_session()
        .limited()
        .problem("noMail", "Mail is not configured", RequestError::NotEnabled)
        .problem("noData", "`data` is missing", Problem::missing(&["data"]))
        .problem("unknownAction", "The action is none of the four", api::unknown_action())
        .problem("nobody", "Nobody is named", Problem::missing(&["provider_id"]))
        .problem(
            "noTokenOrPassword",
            "Token and new password are missing",
            Problem::missing(&["new_password", "token"]),
        )
        .problem(
            "tooShortPassword",
            "The new password is too short",
            CompleteError::Password(too_short(policy)),
        )
        .problem(
            "badResetToken",
            "The token resets nothing, or nothing any more",
            CompleteError::InvalidToken,
        )
        .problem(
            "badConfirmationToken",
            "The token confirms nothing, or has done so",
            confirm_email::CompleteError::InvalidToken,
        )
        .build();
    let operation = heading.operation().request_body(Some(body)).responses(answers).build();
    Route { path: "/auth/password/updateAccount", method: HttpMethod::Post, operation }
}

fn too_short(policy: &Policy) -> PasswordRefusal {
    PasswordRefusal::TooShort { min_length: policy.password.min_length }
}

pub(super) fn link_token() -> ObjectBuilder {
    text("The token of the mailed link: 64 hex digits.").pattern(Some("^[0-9a-f]{64}$"))
}

pub(super) fn new_password(policy: &Policy) -> ObjectBuilder {
    text(format!("The new password. It {} and {}.", too_short(policy), PasswordRefusal::TooLong))
        .min_length(Some(policy.password.min_length))
        .max_length(Some(password::MAX_BYTES))
}

fn asking(action: &'static str, title: &str) -> Schema {
    let provider_id = text("The name of the account.")
        .min_length(Some(1))
        .max_length(Some(name::MAX_BYTES))
        .pattern(Some(PLAIN));
    object("")
        .title(Some(title))
        .needs("provider_id", provider_id)
        .needs("data", object("The action.").needs("action", one_of_words("The action.", [action])))
        .build()
        .into()
}

fn completing_reset(policy: &Policy) -> Schema {
    let data = object("The action.")
        .needs("action", one_of_words("The action.", ["complete_reset"]))
        .needs("token", link_token())
        .needs("new_password", new_password(policy));
    object("").title(Some("Set a new password")).needs("data", data).build().into()
}

fn confirming() -> Schema {
    let data = object("The action.")
        .needs("action", one_of_words("The action.", ["confirm_email"]))
        .needs("token", link_token());
    object("").title(Some("Confirm the address")).needs("data", data).build().into()
}

fn change_password(policy: &Policy) -> Route {
    let heading = Heading {
        group: GROUP,
        id: "changePassword",
        summary: "Set a new password with a session in hand",
        about: "One's own, or as an administrator anybody's. Ends all other sessions of the account and voids its \
                reset links; the session that is presented goes on.",
    };
    let data = object("The passwords.").needs("new_password", new_password(policy)).property(
        "password",
        text_or_null("The current password, asked for where `passwordPolicy.requireCurrent` is set.")
            .max_length(Some(password::MAX_BYTES)),
    );
    let schema = object("The new password, and whose it is.")
        .needs("data", data)
        .property("user_id", text_or_null("The identity of the account; left out, that of the session."))
        .build();
    let new = json!({"new_password": samples::NEW_PASSWORD});
    let body = json_body(
        schema,
        &[
            ("own", "One's own password", json!({"data": new})),
            ("somebodyElse", "The password of any account", json!({"data": new, "user_id": samples::ID})),
        ],
    );
    let answers = Answers::new()
        .done("The password is changed.")
        .reading_json()
        .needing_session()
        .limited()
        .problem("noData", "`data` is missing", Problem::missing(&["data"]))
        .problem("noNewPassword", "No new password is given", Problem::missing(&["new_password"]))
        .problem(
            "tooShortPassword",
            "The new password is too short",
            ChangeError::Password(too_short(policy)),
        )
        .problem(
            "currentMissing",
            "The current password is asked for and missing",
            ChangeError::CurrentMissing,
        )
        .problem("currentWrong", "The current password is asked for and another", ChangeError::CurrentWrong)
        .problem("notYours", "The account is another's", ChangeError::Denied)
        .problem("unknownAccount", "There is no such account", ChangeError::UnknownAccount)
        .build();
    let operation = needs_session(heading.operation().request_body(Some(body))).responses(answers).build();
    Route { path: "/auth/password", method: HttpMethod::Put, operation }
}
