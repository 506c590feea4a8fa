//! `/confirm-email`: the page that a confirmation link opens. A button confirms, never the link itself.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use regain_core::flows::confirm_email::{self, CompleteError, Confirmed};

use super::super::error::Problem;
use super::super::{Site, client};
use super::fields::Fields;
use super::html::Html;
use super::page::{self, Page};
use super::{REDIRECT_FIELD, REDIRECT_QUERY, origin};

/// Answers a request to the page.
pub(in super::super) async fn answer(site: &Site, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::GET | Method::HEAD => show(site, &parts),
        Method::POST => submit(site, &parts, body).await,
        Method::OPTIONS => Ok(super::options()),
        _ => return Problem::not_found().into_response(),
    }
    .unwrap_or_else(|problem| page::of_problem(site, problem))
}

fn show(site: &Site, parts: &Parts) -> Result<Response, Problem> {
    let mut query = Fields::of_query(parts, &["token", REDIRECT_QUERY])?;
    let target = query.take(REDIRECT_QUERY).and_then(|url| site.settings.redirects.allows(&url));
    let Some(token) = query.take("token") else { return Ok(no_token(site, parts)) };
    let body = Html::default()
        .raw("<p>Press the button to confirm that this email address is yours.</p>\n")
        .raw("<form method=\"post\" action=\"/confirm-email\">\n")
        .part(page::hidden(REDIRECT_FIELD, target.as_ref().map(|target| target.url())))
        .part(page::hidden("token", Some(&token)))
        .raw("<button type=\"submit\">Confirm email address</button>\n</form>\n");
    let page =
        Page { status: StatusCode::OK, title: "Confirm your email address", body, leads_to: target.as_ref() };
    Ok(page.into_response(site))
}

async fn submit(site: &Site, parts: &Parts, body: Body) -> Result<Response, Problem> {
    origin::check(site, parts)?;
    let mut form = Fields::of_body(parts, body, &["token", REDIRECT_FIELD]).await?;
    // Checked again: the field comes from the browser, not from the page that we made.
    let target = form.take(REDIRECT_FIELD).and_then(|url| site.settings.redirects.allows(&url));
    let Some(token) = form.take("token") else { return Ok(no_token(site, parts)) };
    let outcome = confirm_email::complete(&site.service, &client::caller(site, parts), &token).await;
    let (success, title, text) = match outcome {
        Ok(Confirmed::Now) => {
            (true, "Your email address is confirmed", "Thank you. You can close this page.")
        }
        Ok(Confirmed::Already) => (
            true,
            "Your email address is already confirmed",
            "There is nothing left to do. You can close this page.",
        ),
        Err(CompleteError::InvalidToken) => (false, BAD_LINK, BAD_LINK_TEXT),
        Err(CompleteError::Trouble(trouble)) => return Err(trouble.into()),
    };
    Ok(match target {
        Some(target) if success => page::redirect(target.with_query(&[("success", "true")])),
        Some(target) => {
            let problem = Problem::from(CompleteError::InvalidToken);
            let message = format!("Failed to confirm email: {}", problem.sentence());
            page::redirect(target.with_query(&[("success", "false"), ("message", &message)]))
        }
        None => {
            let status = if success { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            page::notice(site, status, title, text)
        }
    })
}

const BAD_LINK: &str = "This link does not work";
const BAD_LINK_TEXT: &str = "It is too old or is not complete. Please ask for a new one in the app.";

/// ROS answers JSON here, and whoever does not ask for a page still gets it.
fn no_token(site: &Site, parts: &Parts) -> Response {
    let accepted = parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.into_iter().any(|value| value.to_ascii_lowercase().contains("text/html")) {
        page::notice(site, StatusCode::BAD_REQUEST, BAD_LINK, BAD_LINK_TEXT)
    } else {
        Problem::missing(&["token"]).into_response()
    }
}
