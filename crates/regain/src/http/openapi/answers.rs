//! What an operation may answer: successes, pages, and problems out of the one table of [`super::super::error`].

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use regain_core::flows::Trouble;
use regain_core::flows::session::AuthenticateError;
use regain_core::limits::RetryAfter;
use serde_json::Value;
use utoipa::openapi::example::Example;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder, Responses, ResponsesBuilder,
};

use super::super::body;
use super::super::error::{Kind, Problem};
use super::super::json;
use super::parts::{Examples, example, named, text, whole_number};
use super::schemas::PROBLEM;

const JSON: &str = "application/json";
const HTML: &str = "text/html";

/// The answers of one operation. What is said of a status is said once.
#[derive(Default)]
pub(super) struct Answers {
    said: BTreeMap<u16, RefOr<Response>>,
    problems: BTreeMap<u16, Vec<(&'static str, Example)>>,
    pages: BTreeMap<u16, &'static str>,
}

impl Answers {
    /// What every operation of the API may answer.
    pub(super) fn new() -> Self {
        Self::default().shared(&[Shared::Failure, Shared::Unavailable])
    }

    /// What every page may answer: its problems are pages, too.
    pub(super) fn of_page() -> Self {
        Self::default()
            .page(429, "This client has tried too often. Try again after `Retry-After` seconds.")
            .page(500, "The server failed.")
            .page(503, "The server is too busy. Try again after `Retry-After` seconds.")
    }

    /// A success with a JSON body.
    pub(super) fn success(mut self, about: &str, schema: &str, examples: Examples<'_>) -> Self {
        let examples = examples.iter().map(|(name, summary, value)| (*name, example(summary, value.clone())));
        let content = ContentBuilder::new().schema(Some(named(schema))).examples_from_iter(examples).build();
        let response = ResponseBuilder::new().description(about).content(JSON, content).build();
        self.said.insert(200, response.into());
        self
    }

    /// The success that says nothing.
    pub(super) fn done(self, about: &str) -> Self {
        self.success(about, super::schemas::DONE, &[("done", "Done", Value::Object(serde_json::Map::new()))])
    }

    /// Any other answer.
    pub(super) fn other(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.said.insert(status, response.build().into());
        self
    }

    /// A page.
    pub(super) fn page(mut self, status: u16, about: &'static str) -> Self {
        self.pages.insert(status, about);
        self
    }

    /// A problem, as it is sent.
    pub(super) fn problem(mut self, name: &'static str, summary: &str, problem: impl Into<Problem>) -> Self {
        let problem = problem.into();
        let shown = example(summary, wire(&problem));
        self.problems.entry(problem.status().as_u16()).or_default().push((name, shown));
        self
    }

    /// What a route may answer that reads a JSON body.
    pub(super) fn reading_json(self) -> Self {
        let problem = |text: &str| json::parse(text.as_bytes()).err();
        let cut_off = problem("{\"provider\":").unwrap_or_else(Problem::not_found);
        let repeated = problem("{\"token\":1,\"token\":2}").unwrap_or_else(Problem::not_found);
        self.problem("malformed", "The body is cut off, or is no JSON object", cut_off)
            .problem("repeated", "A key stands in the body twice", repeated)
            .shared(&[Shared::Timeout, Shared::TooLarge, Shared::UnsupportedMediaType])
    }

    /// What a route may answer that looks at a session without needing one.
    pub(super) fn checking_session(self) -> Self {
        self.problem("badSession", "A session is presented that does not hold", AuthenticateError::Invalid)
            .problem("endedSession", "A session is presented that was signed out", AuthenticateError::Revoked)
    }

    /// What a route may answer that needs a session.
    pub(super) fn needing_session(self) -> Self {
        self.problem("noSession", "No session is presented", Problem::of(Kind::InvalidCredentials))
            .checking_session()
    }

    /// What a route may answer that is limited for each client or name.
    pub(super) fn limited(self) -> Self {
        self.shared(&[Shared::TooManyRequests])
    }

    fn shared(mut self, which: &[Shared]) -> Self {
        for shared in which {
            let status = shared.problem().status().as_u16();
            self.said.insert(status, Ref::from_response_name(shared.name()).into());
        }
        self
    }

    pub(super) fn build(self) -> Responses {
        let Self { said, problems, mut pages } = self;
        let mut responses = ResponsesBuilder::new();
        for (status, examples) in problems {
            let page = pages.remove(&status);
            let mut response =
                ResponseBuilder::new().description(page.unwrap_or_else(|| about(status))).content(
                    JSON,
                    ContentBuilder::new().schema(Some(named(PROBLEM))).examples_from_iter(examples).build(),
                );
            if page.is_some() {
                response = response.content(HTML, html());
            }
            responses = responses.response(status.to_string(), response.build());
        }
        for (status, about) in pages {
            let page = ResponseBuilder::new().description(about).content(HTML, html()).build();
            responses = responses.response(status.to_string(), page);
        }
        for (status, response) in said {
            responses = responses.response(status.to_string(), response);
        }
        responses.build()
    }
}

/// Answers that many operations may give, each said in one place.
#[derive(Clone, Copy)]
pub(super) enum Shared {
    Timeout,
    TooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    Failure,
    Unavailable,
}

impl Shared {
    pub(super) const ALL: [Self; 6] = [
        Self::Timeout,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
        Self::Failure,
        Self::Unavailable,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "Timeout",
            Self::TooLarge => "TooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::TooManyRequests => "TooManyRequests",
            Self::Failure => "Failure",
            Self::Unavailable => "Unavailable",
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Timeout => Problem::plain(StatusCode::REQUEST_TIMEOUT, "request timeout"),
            Self::TooLarge => Problem::plain(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"),
            Self::UnsupportedMediaType => {
                Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported charset \"LATIN1\"")
            }
            Self::TooManyRequests => Trouble::from(RetryAfter(Duration::from_secs(1))).into(),
            Self::Failure => Problem::internal(""),
            Self::Unavailable => Problem::unavailable_for_now(),
        }
    }

    fn about(self) -> String {
        match self {
            Self::Timeout => "The body did not arrive in time.".to_owned(),
            Self::TooLarge => format!("The body has more than {} bytes.", body::LONGEST),
            Self::UnsupportedMediaType => {
                "The body is not in UTF-8, or is encoded in a way that is not read here.".to_owned()
            }
            Self::TooManyRequests => {
                "This client has tried too often, or many have with this name.".to_owned()
            }
            Self::Failure => "The server failed. Its log has more under the `x-request-id`.".to_owned(),
            Self::Unavailable => "The server is starting, stopping or too busy.".to_owned(),
        }
    }

    pub(super) fn response(self) -> Response {
        let problem = self.problem();
        let shown = [("problem", example(self.name(), wire(&problem)))];
        let content = ContentBuilder::new().schema(Some(named(PROBLEM))).examples_from_iter(shown).build();
        let response = ResponseBuilder::new().description(self.about()).content(JSON, content);
        let header = match self {
            Self::TooManyRequests | Self::Unavailable => {
                ("Retry-After", whole_number("Seconds to wait.").minimum(Some(1)))
            }
            Self::Failure => ("x-request-id", text("The number of the request in the log.")),
            Self::Timeout | Self::TooLarge | Self::UnsupportedMediaType => return response.build(),
        };
        response.header(header.0, HeaderBuilder::new().schema(Some(header.1)).build()).build()
    }
}

fn about(status: u16) -> &'static str {
    match status {
        400 => "Parameters are missing (602) or invalid (601), or the body is no JSON object.",
        401 => "The name, the password or the session is not right (611).",
        403 => "This is not allowed (614).",
        404 => "There is no such account (612, 618).",
        501 => "Mail is not configured (803).",
        _ => "Something is wrong with the request.",
    }
}

fn html() -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(text("An HTML page."))).build()
}

/// The body as it is sent.
fn wire(problem: &Problem) -> Value {
    serde_json::from_slice(&problem.body()).unwrap_or_default()
}
