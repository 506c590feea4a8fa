//! What all pages have in common: the frame, errors, and how they become answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html as HtmlBody, IntoResponse, Response};

use super::super::error::Problem;
use super::super::{Site, headers};
use super::html::Html;
use crate::config::RedirectTarget;

/// A page before it is put into its frame.
pub(super) struct Page<'a> {
    pub(super) status: StatusCode,
    pub(super) title: &'a str,
    pub(super) body: Html,
    /// Where its form may lead to in the end: browsers hold `form-action` against redirects, too.
    pub(super) leads_to: Option<&'a RedirectTarget>,
}

impl Page<'_> {
    pub(super) fn into_response(self, site: &Site) -> Response {
        let app = &site.settings.app_name;
        let html = Html::default()
            .raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
            .raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>")
            .text(self.title)
            .raw(" – ")
            .text(app)
            .raw("</title>\n<link rel=\"stylesheet\" href=\"/password-auth-ui-styles.css\">\n</head>\n<body>\n")
            .raw("<main>\n<p class=\"app\">")
            .text(app)
            .raw("</p>\n<h1>")
            .text(self.title)
            .raw("</h1>\n")
            .part(self.body)
            .raw("</main>\n</body>\n</html>\n");
        let mut response = (self.status, HtmlBody(html.into_string())).into_response();
        if let Some(target) = self.leads_to {
            let policy = format!("{} {}", headers::PAGE_POLICY, target.origin_for_csp());
            // Without it the browser stays on our page, which is safe.
            if let Ok(policy) = HeaderValue::try_from(policy) {
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            }
        }
        response
    }
}

/// A page that says what went wrong where there is no form to say it on.
pub(super) fn of_problem(site: &Site, mut problem: Problem) -> Response {
    let (title, text) = match problem.status() {
        StatusCode::TOO_MANY_REQUESTS => {
            ("Too many attempts", "Please wait a minute, then go back and try again.")
        }
        StatusCode::SERVICE_UNAVAILABLE => (
            "Please try again",
            "The server cannot do this at the moment. Go back and try again in a few seconds.",
        ),
        StatusCode::INTERNAL_SERVER_ERROR => {
            ("Something went wrong", "This is our fault, not yours. Please try again later.")
        }
        StatusCode::FORBIDDEN => (
            "This request was not accepted",
            "It was sent from another website. Open the link of your mail again.",
        ),
        _ => ("This request was not understood", "Open the link of your mail again, or ask for a new one."),
    };
    let body = Html::default().raw("<p role=\"alert\">").text(text).raw("</p>\n");
    let mut response = Page { status: problem.status(), title, body, leads_to: None }.into_response(site);
    problem.mark(&mut response);
    response
}

/// A page of one paragraph.
pub(super) fn notice(site: &Site, status: StatusCode, title: &str, text: &'static str) -> Response {
    let body = Html::default().raw("<p>").text(text).raw("</p>\n");
    Page { status, title, body, leads_to: None }.into_response(site)
}

/// The box above a form that says what to do about it.
pub(super) fn alert(text: Option<&str>) -> Html {
    match text {
        Some(text) => {
            Html::default().raw("<p class=\"alert\" id=\"problem\" role=\"alert\">").text(text).raw("</p>\n")
        }
        None => Html::default(),
    }
}

/// A hidden field, where there is something to hide.
pub(super) fn hidden(name: &'static str, value: Option<&str>) -> Html {
    match value {
        Some(value) => Html::default()
            .raw("<input type=\"hidden\" name=\"")
            .raw(name)
            .raw("\" value=\"")
            .text(value)
            .raw("\">\n"),
        None => Html::default(),
    }
}

/// Back to the application. There is no body: ROS's held the address as a link to click.
pub(super) fn redirect(location: String) -> Response {
    match HeaderValue::try_from(location) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => Problem::internal("a redirect is no header value").into_response(),
    }
}
