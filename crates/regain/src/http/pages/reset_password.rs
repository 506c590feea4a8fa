//! `/reset-password`: the page that a reset link opens, and the one that asks for a link.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use regain_core::Password;
use regain_core::flows::reset_password::{self, CompleteError, RequestError};

use super::super::error::Problem;
use super::super::{Site, client};
use super::fields::Fields;
use super::html::Html;
use super::page::{self, Page};
use super::{REDIRECT_FIELD, REDIRECT_QUERY, origin};
use crate::config::RedirectTarget;

const REPEATED: &str = "password-repeated";

const DIFFERENT: &str = "The two passwords are not the same.";
const NO_PASSWORD: &str = "Enter a new password.";
const NO_EMAIL: &str = "Enter the email address of your account.";
const BAD_LINK: &str = "This link does not work any more: it was used already, another one was, or it is too old. You can ask for a new one here.";

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

/// Shows the form that fits the link. The token is not looked at: a bad one is refused when it is used, and a form
/// costs nothing, whoever asks for it.
fn show(site: &Site, parts: &Parts) -> Result<Response, Problem> {
    let mut query = Fields::of_query(parts, &["token", REDIRECT_QUERY])?;
    let target = query.take(REDIRECT_QUERY).and_then(|url| site.settings.redirects.allows(&url));
    Ok(match query.take("token") {
        Some(token) => new_password_form(site, &token, target.as_ref(), None),
        None => email_form(site, target.as_ref(), None),
    })
}

async fn submit(site: &Site, parts: &Parts, body: Body) -> Result<Response, Problem> {
    origin::check(site, parts)?;
    let known = ["token", "password", REPEATED, "email", REDIRECT_FIELD];
    let mut form = Fields::of_body(parts, body, &known).await?;
    // Checked again: the field comes from the browser, not from the page that we made.
    let target = form.take(REDIRECT_FIELD).and_then(|url| site.settings.redirects.allows(&url));
    match (form.take("token"), form.take("email")) {
        (Some(token), _) => complete(site, parts, form, &token, target).await,
        (None, Some(email)) => request(site, parts, email.trim(), target).await,
        (None, None) => Ok(failed(target, NO_EMAIL, || email_form(site, None, Some(NO_EMAIL)))),
    }
}

/// Asks for a link. Known or not, mail or no mail: the answer is the same.
async fn request(
    site: &Site,
    parts: &Parts,
    email: &str,
    target: Option<RedirectTarget>,
) -> Result<Response, Problem> {
    let Ok(name) = site.service.name(email) else {
        return Ok(failed(target, NO_EMAIL, || email_form(site, None, Some(NO_EMAIL))));
    };
    match reset_password::request(&site.service, &client::caller(site, parts), &name).await {
        // That there is no mail is for the operator to know, and tells nothing that helps here.
        Ok(()) | Err(RequestError::NotEnabled) => {}
        Err(error @ (RequestError::OutboxFull | RequestError::Trouble(_))) => return Err(error.into()),
    }
    Ok(match target {
        Some(target) => page::redirect(target.url().to_owned()),
        None => page::notice(
            site,
            StatusCode::OK,
            "Check your inbox",
            "If there is an account with this email address, a link to set a new password is on its way to it. \
             If nothing arrives within a few minutes, look into your spam folder.",
        ),
    })
}

async fn complete(
    site: &Site,
    parts: &Parts,
    mut form: Fields,
    token: &str,
    target: Option<RedirectTarget>,
) -> Result<Response, Problem> {
    let form_again = |problem: &str| new_password_form(site, token, None, Some(problem));
    let (password, repeated) = (form.take("password"), form.take(REPEATED));
    if password != repeated {
        return Ok(failed(target, DIFFERENT, || form_again(DIFFERENT)));
    }
    let Some(password) = password else { return Ok(failed(target, NO_PASSWORD, || form_again(NO_PASSWORD))) };
    let outcome = match Password::parse(password) {
        Ok(password) => {
            reset_password::complete(&site.service, &client::caller(site, parts), token, &password).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    Ok(match outcome {
        Ok(()) => match target {
            Some(target) => page::redirect(target.with_query(&[("success", "true")])),
            None => page::notice(
                site,
                StatusCode::OK,
                "Your password has been changed",
                "You can now sign in with your new password. All devices that were signed in have been signed out.",
            ),
        },
        Err(CompleteError::Password(refusal)) => {
            let sentence = format!("The password {refusal}.");
            failed(target, &sentence, || form_again(&sentence))
        }
        Err(error @ CompleteError::InvalidToken) => {
            let problem = Problem::from(error);
            failed(target, problem.sentence(), || email_form(site, None, Some(BAD_LINK)))
        }
        Err(CompleteError::Trouble(trouble)) => return Err(trouble.into()),
    })
}

/// Tells the application where it asked for that, else the person.
fn failed(target: Option<RedirectTarget>, sentence: &str, page: impl FnOnce() -> Response) -> Response {
    match target {
        Some(target) => {
            let message = format!("Failed to complete password reset: {sentence}");
            page::redirect(target.with_query(&[("success", "false"), ("message", &message)]))
        }
        None => page(),
    }
}

fn email_form(site: &Site, target: Option<&RedirectTarget>, problem: Option<&str>) -> Response {
    let body = Html::default()
        .part(page::alert(problem))
        .raw("<p>Enter the email address of your account. You will get a link to set a new password.</p>\n")
        .raw("<form method=\"post\" action=\"/reset-password\">\n")
        .part(page::hidden(REDIRECT_FIELD, target.map(RedirectTarget::url)))
        .raw("<label for=\"email\">Email address</label>\n")
        .raw("<input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"email\" required maxlength=\"254\"")
        .raw(if problem.is_some() { " aria-describedby=\"problem\"" } else { " autofocus" })
        .raw(">\n<button type=\"submit\">Send the link</button>\n</form>\n");
    form_page(site, "Reset your password", body, target, problem)
}

fn new_password_form(
    site: &Site,
    token: &str,
    target: Option<&RedirectTarget>,
    problem: Option<&str>,
) -> Response {
    let min_length = site.service.policy.password.min_length.to_string();
    let field = |name: &'static str, label: &'static str, described_by: &'static str, end: &'static str| {
        let html = Html::default().raw("<label for=\"").raw(name).raw("\">").raw(label).raw("</label>\n");
        html.raw("<input id=\"")
            .raw(name)
            .raw("\" name=\"")
            .raw(name)
            .raw("\" type=\"password\" autocomplete=\"new-password\" required minlength=\"")
            .text(&min_length)
            .raw("\" aria-describedby=\"")
            .raw(described_by)
            .raw(end)
    };
    let (first, second) = match problem {
        Some(_) => {
            (("hint problem", "\" aria-invalid=\"true\">\n"), ("problem", "\" aria-invalid=\"true\">\n"))
        }
        None => (("hint", "\" autofocus>\n"), ("hint", "\">\n")),
    };
    let body = Html::default()
        .part(page::alert(problem))
        .raw("<form method=\"post\" action=\"/reset-password\">\n")
        .part(page::hidden(REDIRECT_FIELD, target.map(RedirectTarget::url)))
        .part(page::hidden("token", Some(token)))
        .part(field("password", "New password", first.0, first.1))
        .raw("<p class=\"hint\" id=\"hint\">At least ")
        .text(&min_length)
        .raw(" characters. Several words that only you would put together are a good choice.</p>\n")
        .part(field(REPEATED, "New password again", second.0, second.1))
        .raw("<button type=\"submit\">Set the new password</button>\n</form>\n");
    form_page(site, "Choose a new password", body, target, problem)
}

fn form_page(
    site: &Site,
    title: &str,
    body: Html,
    target: Option<&RedirectTarget>,
    problem: Option<&str>,
) -> Response {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Page { status, title, body, leads_to: target }.into_response(site)
}
