//! The pages that mailed links open, with the names of their queries and forms.

use regain_core::{Policy, name, password};
use serde_json::json;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, HttpMethod, ObjectBuilder, ResponseBuilder, Schema};

use super::super::error::Problem;
use super::account::{link_token, new_password};
use super::answers::Answers;
use super::parts::{Heading, Needs, Route, any_of, body, in_query, object, text};
use super::samples;

pub(super) const GROUP: &str = "Pages";

const FORM: &str = "application/x-www-form-urlencoded";
const TARGET: &str = "https://app.example.org/done";

pub(super) fn routes(policy: &Policy) -> Vec<Route> {
    vec![show_reset(), submit_reset(policy), show_confirmation(), submit_confirmation(), style()]
}

fn query() -> [Parameter; 2] {
    let token = text("The token of the link. It is looked at when the form is sent, not before.");
    let target =
        text("Where to lead to in the end: an address that `redirectAllowList` names. Others are ignored.");
    [in_query("token", token, samples::LINK_TOKEN), in_query("redirectUrl", target, TARGET)]
}

fn redirect_field() -> ObjectBuilder {
    text("As `redirectUrl` of the query.")
}

/// Where the browser is led to, if the form names an address that is allowed.
fn led_back() -> ResponseBuilder {
    let location = text(
        "The address in the form, with `success=true`, or `success=false` and a `message`, added to its query; \
         as it stands where a link was asked for.",
    );
    ResponseBuilder::new()
        .description(
            "The form named an address that is allowed: the browser is led there, whatever the outcome.",
        )
        .header("Location", HeaderBuilder::new().schema(Some(location)).build())
}

fn submitted(answers: Answers) -> Answers {
    answers
        .other(302, led_back())
        .page(403, "The form was sent from another website.")
        .page(408, "The form did not arrive in time.")
        .page(413, "The form is too large.")
        .page(415, "The form is not in UTF-8.")
}

fn show_reset() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "showReset",
        summary: "The form for a new password, or for a link to one",
        about: "With a token, the form for a new password; without, the form that asks for a link. Changes nothing.",
    };
    let answers = Answers::of_page()
        .page(200, "The form.")
        .page(400, "A part of the query is given more than once, or not in UTF-8.")
        .build();
    let operation = heading.operation().parameters(Some(query())).responses(answers).build();
    Route { path: "/reset-password", method: HttpMethod::Get, operation }
}

fn submit_reset(policy: &Policy) -> Route {
    let heading = Heading {
        group: GROUP,
        id: "submitReset",
        summary: "Set a new password, or ask for a link",
        about: "A token counts before an address. JSON with the same names does as well as a form.",
    };
    let reset = object("The form that a link opens.")
        .title(Some("A new password"))
        .needs("token", link_token())
        .needs("password", new_password(policy))
        .needs("password-repeated", text("The same again.").max_length(Some(password::MAX_BYTES)))
        .property("redirect-url", redirect_field())
        .build();
    let ask = object("The form without a link.")
        .title(Some("A link to a new password"))
        .needs(
            "email",
            text("The name of the account. White space around it is left away.")
                .min_length(Some(1))
                .max_length(Some(name::MAX_BYTES)),
        )
        .property("redirect-url", redirect_field())
        .build();
    let new = samples::NEW_PASSWORD;
    let fields = body(
        FORM,
        any_of("One of two forms.", [Schema::from(reset).into(), Schema::from(ask).into()]),
        &[
            (
                "reset",
                "A new password",
                json!({"token": samples::LINK_TOKEN, "password": new, "password-repeated": new}),
            ),
            ("ask", "A link to a new password", json!({"email": samples::NAME})),
            (
                "askAndReturn",
                "A link, and back to the app",
                json!({"email": samples::NAME, "redirect-url": TARGET}),
            ),
        ],
    );
    let answers = submitted(Answers::of_page())
        .page(200, "The password is changed; or the link is on its way, if there is such an account.")
        .page(400, "The form again, with what was wrong.")
        .build();
    let operation = heading.operation().request_body(Some(fields)).responses(answers).build();
    Route { path: "/reset-password", method: HttpMethod::Post, operation }
}

fn show_confirmation() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "showConfirmation",
        summary: "The button that confirms an address",
        about: "Changes nothing, so that programs which follow every link of a mail confirm nothing.",
    };
    let answers = Answers::of_page()
        .page(200, "The page with the button.")
        .page(400, "The token is missing (a page where `Accept` names HTML, else 602), or the query is not readable.")
        .problem("noToken", "The token is missing", Problem::missing(&["token"]))
        .build();
    let operation = heading.operation().parameters(Some(query())).responses(answers).build();
    Route { path: "/confirm-email", method: HttpMethod::Get, operation }
}

fn submit_confirmation() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "submitConfirmation",
        summary: "Confirm an address",
        about: "What the button sends. A second time is a success, too. JSON with the same names does as well as a form.",
    };
    let form = object("The form behind the button.")
        .needs("token", link_token())
        .property("redirect-url", redirect_field())
        .build();
    let fields = body(
        FORM,
        form,
        &[
            ("confirm", "Confirm", json!({"token": samples::LINK_TOKEN})),
            (
                "confirmAndReturn",
                "Confirm, and back to the app",
                json!({"token": samples::LINK_TOKEN, "redirect-url": TARGET}),
            ),
        ],
    );
    let answers = submitted(Answers::of_page())
        .page(200, "The address is confirmed, or was so already.")
        .page(400, "The link does not work. Without a token: a page where `Accept` names HTML, else 602.")
        .problem("noToken", "The token is missing", Problem::missing(&["token"]))
        .build();
    let operation = heading.operation().request_body(Some(fields)).responses(answers).build();
    Route { path: "/confirm-email", method: HttpMethod::Post, operation }
}

fn style() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "style",
        summary: "The style of the pages",
        about: "One file for all pages.",
    };
    let css = ContentBuilder::new().schema(Some(text("A style sheet."))).build();
    let ok = ResponseBuilder::new().description("The style sheet.").content("text/css", css);
    let operation = heading.operation().responses(Answers::default().other(200, ok).build()).build();
    Route { path: "/password-auth-ui-styles.css", method: HttpMethod::Get, operation }
}
