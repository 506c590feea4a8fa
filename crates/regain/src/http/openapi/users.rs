//! `/auth/users`: accounts, which the wire calls users.

use regain_core::flows::delete_account::DeleteError;
use regain_core::flows::find_account::FindError;
use regain_core::flows::put_account::PutError;
use regain_core::metadata::{CONFIRMED_KEY, InvalidMetadata};
use regain_core::name;
use serde_json::{Value, json};
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Deprecated, HttpMethod, ObjectBuilder, Schema, Type};

use super::super::api;
use super::super::error::Problem;
use super::answers::Answers;
use super::parts::{
    Heading, Needs, PLAIN, Route, in_path, json_body, needs_session, object, one_of_words, text,
    text_or_null, truth_or_null,
};
use super::{samples, schemas};

pub(super) const GROUP: &str = "Users";

/// What an identity that an administrator chooses must be. An empty one counts as left out.
pub(super) const CHOSEN_ID: &str = "^[A-Za-z0-9_.!~*'()-]{0,128}$";

const MADE_ID: &str = "ben-of-notes";

pub(super) fn routes() -> Vec<Route> {
    vec![by_id(), by_name(), put(), delete(), older_delete()]
}

fn user_id() -> Parameter {
    in_path("user_id", text("The identity of the account.").min_length(Some(1)), samples::ID)
}

fn ann() -> Value {
    json!({
        "user_id": samples::ID,
        "is_admin": false,
        "accounts": [{"provider": "password", "provider_id": samples::NAME}],
        "metadata": [],
    })
}

fn by_id() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "userById",
        summary: "Look up an account by its identity",
        about: "One's own, or as an administrator anybody's.",
    };
    let answers = Answers::new()
        .success("The account.", schemas::USER, &[("ann", "Ann, not confirmed yet", ann())])
        .needing_session()
        .problem("notYours", "The account is another's, or there is none", FindError::Denied)
        .problem("unknownAccount", "There is no such account; said to administrators", FindError::Unknown)
        .problem("undecodable", "A percent sign in the path escapes nothing", undecodable())
        .build();
    let operation = needs_session(heading.operation().parameter(user_id())).responses(answers).build();
    Route { path: "/auth/users/{user_id}", method: HttpMethod::Get, operation }
}

fn undecodable() -> Problem {
    Problem::plain(axum::http::StatusCode::BAD_REQUEST, "Failed to decode param '100%'")
}

fn by_name() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "userByName",
        summary: "Look up an account by its name",
        about: "One's own, or as an administrator anybody's. An account of somebody else is answered as one that \
                does not exist. The name may be escaped once or twice.",
    };
    let provider = one_of_words("What kind of account it is.", ["password", "realm"]);
    let provider_id = text("The name.").min_length(Some(1));
    let answers = Answers::new()
        .success("The account.", schemas::USER, &[("ann", "Ann, not confirmed yet", ann())])
        .needing_session()
        .problem("unknownAccount", "There is no such account, or it is another's", FindError::Unknown)
        .problem("undecodable", "A percent sign in the path escapes nothing", undecodable())
        .build();
    let operation = heading
        .operation()
        .parameter(in_path("provider", provider, "password"))
        .parameter(in_path("provider_id", provider_id, samples::NAME));
    let operation = needs_session(operation).responses(answers).build();
    Route { path: "/auth/users/{provider}/{provider_id}", method: HttpMethod::Get, operation }
}

fn metadata() -> ObjectBuilder {
    let limits =
        [InvalidMetadata::TooMany, InvalidMetadata::Key, InvalidMetadata::Value, InvalidMetadata::Confirmed];
    let [many, key, value, confirmed] = limits.map(|limit| limit.to_string());
    object("")
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(format!(
            "Texts by key, in place of all that were there. Refused where it {key}, or {value}. It {many}, and it \
             {confirmed}: that is the account's own flag."
        )))
        .property(CONFIRMED_KEY, one_of_words("Whether the address is confirmed.", ["true", "false"]))
        .additional_properties(Some(AdditionalProperties::RefOr(
            Schema::from(text("A text.").build()).into(),
        )))
}

fn put() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "putUser",
        summary: "Make an account, or change what is kept with it",
        about: "For administrators. The account is found by its provider and name. A new one has no password: set \
                one, or let its owner ask for a link. No mail is sent. In problems `provider_id` and `user_id` \
                are called `providerId` and `userId`.",
    };
    let name = text(format!("The name. It {} or contain control characters.", name::InvalidName::TooLong))
        .min_length(Some(1))
        .max_length(Some(name::MAX_BYTES))
        .pattern(Some(PLAIN));
    let id = text_or_null(
        "The identity of a new account, or that of the account: up to 128 letters, digits and `-_.!~*'()`. Left out or \
         empty, a new one gets a random one.",
    )
    .pattern(Some(CHOSEN_ID));
    let schema = object("The account.")
        .needs("provider", one_of_words("What kind of account it is.", ["password", "realm"]))
        .needs("provider_id", name)
        .property("user_id", id)
        .property("is_admin", truth_or_null("Whether it is an administrator's; left out, as it was."))
        .property("metadata", metadata())
        .build();
    let ben = "ben@example.org";
    let body = json_body(
        schema,
        &[
            (
                "make",
                "An account with an identity of one's choice",
                json!({
                    "provider": "password",
                    "provider_id": ben,
                    "user_id": MADE_ID,
                    "metadata": {CONFIRMED_KEY: "true", "team": "blue"},
                }),
            ),
            (
                "promote",
                "An administrator",
                json!({"provider": "password", "provider_id": samples::NAME, "is_admin": true}),
            ),
        ],
    );
    let made = json!({
        "user_id": MADE_ID,
        "is_admin": false,
        "accounts": [{"provider": "password", "provider_id": ben}],
        "metadata": [{"key": CONFIRMED_KEY, "value": "true"}, {"key": "team", "value": "blue"}],
    });
    let mut promoted = ann();
    promoted["is_admin"] = true.into();
    let answers = Answers::new()
        .success(
            "The account as it is now.",
            schemas::USER,
            &[("made", "A new account", made), ("promoted", "An administrator", promoted)],
        )
        .reading_json()
        .needing_session()
        .problem("noAdmin", "This is no administrator", PutError::Denied)
        .problem("nobody", "Provider and name are missing", Problem::missing(&["provider", "providerId"]))
        .problem("unknownProvider", "The provider is none of this server's", api::unknown_provider())
        .problem(
            "otherId",
            "The account has another identity, or the identity another account",
            PutError::OtherId,
        )
        .build();
    let operation = needs_session(heading.operation().request_body(Some(body))).responses(answers).build();
    Route { path: "/auth/users", method: HttpMethod::Put, operation }
}

fn deleting(id: &'static str, summary: &'static str) -> (Heading, Answers) {
    let heading = Heading {
        group: GROUP,
        id,
        summary,
        about: "One's own, or as an administrator anybody's. Its sessions and links end with it, and its name is \
                free again at once.",
    };
    let answers = Answers::new()
        .done("The account is gone.")
        .needing_session()
        .problem("notYours", "The account is another's, or there is none", DeleteError::Denied)
        .problem("unknownUser", "There is no such account; said to administrators", DeleteError::Unknown)
        .problem("undecodable", "A percent sign in the path escapes nothing", undecodable());
    (heading, answers)
}

fn delete() -> Route {
    let (heading, answers) = deleting("deleteUser", "Delete an account");
    let operation =
        needs_session(heading.operation().parameter(user_id())).responses(answers.build()).build();
    Route { path: "/auth/users/{user_id}", method: HttpMethod::Delete, operation }
}

fn older_delete() -> Route {
    let (heading, answers) = deleting("deleteUserOlder", "Delete an account, as older clients do");
    let operation = heading.operation().parameter(user_id()).deprecated(Some(Deprecated::True));
    let operation = needs_session(operation).responses(answers.build()).build();
    Route { path: "/auth/user/{user_id}", method: HttpMethod::Delete, operation }
}
