//! The shapes of bodies that routes have in common, by name.

use utoipa::openapi::schema::{AdditionalProperties, OneOfBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ArrayBuilder, Components, ComponentsBuilder, ObjectBuilder, Schema};

use super::answers::Shared;
use super::parts::{Needs, named, object, one_of_words, text, truth, whole_number};

pub(super) const PROBLEM: &str = "Problem";
pub(super) const DONE: &str = "Done";
pub(super) const TOKENS: &str = "Tokens";
pub(super) const USER: &str = "User";
pub(super) const PROVIDERS: &str = "Providers";
pub(super) const HEALTH: &str = "Health";
pub(super) const DOCUMENT: &str = "Document";

/// The names of the security schemes.
pub(super) const SESSION_HEADER: &str = "session";
pub(super) const ACCESS_TOKEN_HEADER: &str = "accessToken";

/// Everything that is referred to by name.
pub(super) fn components() -> Components {
    let header = |name, about: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)))
    };
    let components = ComponentsBuilder::new()
        .schema(PROBLEM, problem())
        .schema(DONE, object("An empty object: it is done.").max_properties(Some(0)))
        .schema(TOKENS, tokens())
        .schema("RefreshToken", refresh_token())
        .schema("UserToken", user_token())
        .schema(USER, user())
        .schema(PROVIDERS, providers())
        .schema(HEALTH, health())
        .schema(DOCUMENT, object("An OpenAPI 3.1 document.").needs("openapi", text("The version of the format.")))
        .security_scheme(
            SESSION_HEADER,
            header(
                "Authorization",
                "The session token as `POST /auth` answered it, or the administrator's token, with no word before it.",
            ),
        )
        .security_scheme(
            ACCESS_TOKEN_HEADER,
            header("x-realm-access-token", "The same token, looked at where there is no `Authorization`."),
        );
    let shared =
        |components: ComponentsBuilder, answer: Shared| components.response(answer.name(), answer.response());
    Shared::ALL.into_iter().fold(components, shared).build()
}

fn problem() -> ObjectBuilder {
    let parameter = object("A parameter and what is wrong with it.")
        .needs("name", text("The name of the parameter."))
        .needs("reason", text("What is wrong with it, for people."));
    object("What went wrong, in the form of RFC 7807.")
        .property("type", text("Names the kind of problem. Not an address to open."))
        .needs("title", text("A sentence that is the same for each kind of problem."))
        .needs("status", whole_number("The HTTP status."))
        .property("detail", text("A sentence about this case, for people."))
        .property(
            "code",
            whole_number("The number of the kind of problem, as the Realm Object Server numbers them."),
        )
        .property(
            "invalid_params",
            ArrayBuilder::new()
                .items(parameter)
                .min_items(Some(1))
                .description(Some("One entry for each parameter, with the codes 601 and 602.")),
        )
}

fn tokens() -> Schema {
    let holder = |name: &str, about: &str, schema: &str| {
        let signed = object(about)
            .needs(
                "token",
                text("The token: base64 of its JSON, a colon, base64 of its signature (RSA, SHA-256)."),
            )
            .needs("token_data", named(schema));
        object(about).needs(name, signed.build())
    };
    OneOfBuilder::new()
        .description(Some("A token and what it says."))
        .item(holder("refresh_token", "A session: the answer of the provider `password`.", "RefreshToken"))
        .item(holder("user_token", "A user token: the answer of the provider `realm`.", "UserToken"))
        .build()
        .into()
}

fn token_data(about: &str) -> ObjectBuilder {
    object(about)
        .needs("app_id", text("The application that asked."))
        .needs("identity", text("The identity of the account."))
        .needs("salt", text("Makes each token unlike all others.").pattern(Some("^[0-9a-f]{8}$")))
        .needs("expires", whole_number("Until when it holds, in seconds since 1970."))
        .needs("is_admin", truth("Whether the account was an administrator's when the token was made."))
}

fn refresh_token() -> ObjectBuilder {
    let access = ArrayBuilder::new()
        .items(one_of_words("What it is good for.", ["refresh"]))
        .min_items(Some(1))
        .max_items(Some(1))
        .description(Some("Always `[\"refresh\"]`."));
    token_data("What a session says of itself.")
        .needs("access", access)
        .needs("isEmailConfirmed", truth("Whether the address was confirmed when the token was made."))
        .property(
            "gen",
            whole_number("How often all sessions of the account were ended before; left out for 0."),
        )
}

fn user_token() -> ObjectBuilder {
    token_data("What a user token says. Other services check it with the public key; nothing here takes it.")
}

fn user() -> ObjectBuilder {
    let list = |about: &str, item: ObjectBuilder| ArrayBuilder::new().items(item).description(Some(about));
    let name = object("A name.")
        .needs("provider", one_of_words("What kind of account it is.", ["password", "realm"]))
        .needs("provider_id", text("The name."));
    let entry = object("A text by its key.").needs("key", text("The key.")).needs("value", text("The text."));
    object("An account.")
        .needs("user_id", text("The identity: 32 hex digits, or what an administrator chose."))
        .needs("is_admin", truth("Whether it is an administrator's."))
        .needs("accounts", list("Always one name.", name.additional_properties(Some(no_more()))).min_items(Some(1)).max_items(Some(1)))
        .needs(
            "metadata",
            list(
                "`isEmailConfirmed` once the address is confirmed, and what administrators keep with the account.",
                entry.additional_properties(Some(no_more())),
            ),
        )
}

/// realm-java takes no third key.
fn no_more() -> AdditionalProperties<Schema> {
    AdditionalProperties::FreeForm(false)
}

fn providers() -> ArrayBuilder {
    let provider = object("A kind of account.")
        .needs("name", one_of_words("What it is called.", ["password"]))
        .needs("type", one_of_words("What it is.", ["password"]))
        .needs("config", object("Its part of the configuration, without secrets."));
    ArrayBuilder::new().items(provider).description(Some("The providers that are configured."))
}

fn health() -> ObjectBuilder {
    object("How the process is.")
        .needs("version", text("The version of Regain."))
        .needs("status", one_of_words("`degraded` where something needs the operator.", ["ok", "degraded"]))
        .property("reason", text("What needs the operator."))
}
