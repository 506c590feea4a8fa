//! `/auth/providers`.

use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::super::error::{Kind, Problem};
use super::answers::Answers;
use super::parts::{Heading, Route, in_path, json_body, needs_session, object, text};
use super::schemas;

pub(super) const GROUP: &str = "Providers";

pub(super) fn routes() -> Vec<Route> {
    vec![list(), add(), remove()]
}

fn list() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "providers",
        summary: "The configuration of the providers",
        about: "For administrators. What the configuration sets for the provider `password`, without secrets. The \
                provider `realm` is always there and has nothing to configure.",
    };
    let config = json!({"emailHandlerConfig": {"from": "ann@example.org"}});
    let shown = json!([{"name": "password", "type": "password", "config": config}]);
    let answers = Answers::new()
        .success("The providers.", schemas::PROVIDERS, &[("password", "The one there is", shown)])
        .needing_session()
        .problem("noAdmin", "This is no administrator", Problem::of(Kind::AccessDenied))
        .build();
    let operation = needs_session(heading.operation()).responses(answers).build();
    Route { path: "/auth/providers", method: HttpMethod::Get, operation }
}

fn refused(answers: Answers) -> Answers {
    answers
        .needing_session()
        .problem("noAdmin", "This is no administrator", Problem::of(Kind::AccessDenied))
        .problem("fixed", "Whoever asks: providers are configured in the file", Problem::providers_fixed())
}

fn add() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "addProvider",
        summary: "Always refused: providers are configured in the file",
        about: "For administrators. The Realm Object Server can be told to take providers at run time; this server \
                answers as one that was not.",
    };
    let body = json_body(
        object("A provider.").property("type", text("What it is.")).build(),
        &[("google", "A provider of another kind", json!({"type": "google"}))],
    );
    let operation = needs_session(heading.operation().request_body(Some(body)));
    let operation = operation.responses(refused(Answers::new().reading_json()).build()).build();
    Route { path: "/auth/providers", method: HttpMethod::Post, operation }
}

fn remove() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "removeProvider",
        summary: "Always refused: providers are configured in the file",
        about: "For administrators.",
    };
    let name = in_path("name", text("What it is called.").min_length(Some(1)), "password");
    let operation = needs_session(heading.operation().parameter(name));
    let operation = operation.responses(refused(Answers::new()).build()).build();
    Route { path: "/auth/providers/{name}", method: HttpMethod::Delete, operation }
}
