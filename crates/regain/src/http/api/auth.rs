//! `POST /auth`: signing in and registering with name and password, in both shapes that clients send. Trading a session
//! for a user token, which ROS has at the same place, is in [`super::user_token`].

use axum::http::StatusCode;
use axum::response::Response;
use regain_core::flows::{register, sign_in};
use regain_core::{AppId, Caller, Name, Password, Provider, SignedToken};

use super::super::Site;
use super::super::error::Problem;
use super::super::headers;
use super::super::json::Object;
use super::{unknown_provider, user_token};

/// What the client asks for.
struct Asked {
    name: Name,
    password: Password,
    register: Register,
    app: AppId,
}

/// The three meanings of `register`.
#[derive(Clone, Copy)]
enum Register {
    /// True: make an account.
    Must,
    /// False or null: do not.
    MustNot,
    /// Left out: make one where nobody has that name.
    May,
}

pub(super) async fn post(site: &Site, caller: Caller, mut body: Object) -> Result<Response, Problem> {
    let provider = body.filled("provider", "provider")?.ok_or_else(|| Problem::missing(&["provider"]))?;
    match Provider::from_word(&provider) {
        Some(Provider::Password) => sign_in(site, caller, body).await,
        Some(Provider::Realm) => user_token::trade(site, body).await,
        None => Err(unknown_provider()),
    }
}

/// The answer that carries a signed token under this name.
pub(super) fn signed(name: &'static str, token: &SignedToken) -> Response {
    // Neither part needs escaping: one is base64, the other the JSON that is inside it, byte for byte.
    let (token, json) = (&*token.token, &token.json);
    headers::json(StatusCode::OK, format!("{{\"{name}\":{{\"token\":\"{token}\",\"token_data\":{json}}}}}"))
}

/// The application that a client names.
pub(super) fn app_id(body: &mut Object) -> Result<AppId, Problem> {
    AppId::parse(&body.text("app_id", "app_id")?.unwrap_or_default()).ok_or_else(|| {
        let reason = "Parameter 'app_id' must not be longer than 255 bytes or contain control characters.";
        Problem::invalid("app_id", reason)
    })
}

async fn sign_in(site: &Site, caller: Caller, body: Object) -> Result<Response, Problem> {
    let Asked { name, password, register, app } = parse(site, body)?;
    let service = &site.service;
    let session = match register {
        Register::Must => register::register(service, &caller, &name, &password, &app).await?,
        Register::MustNot => sign_in::sign_in(service, &caller, &name, &password, &app).await?,
        Register::May => sign_in::sign_in_or_register(service, &caller, &name, &password, &app).await?,
    };
    Ok(signed("refresh_token", &session))
}

fn parse(site: &Site, mut body: Object) -> Result<Asked, Problem> {
    // What is wrong with it is told last, as it matters least.
    let app = app_id(&mut body);
    // Whether there is a `user_info` decides about the shape; the missing-parameter names are the same in both.
    let (name, mut rest) = match body.object("user_info")? {
        Some(user_info) => (body.filled("data", "username")?, user_info),
        None => (body.filled("username", "username")?, body),
    };
    let name = name.ok_or_else(|| Problem::missing(&["username"]))?;
    let name = site
        .service
        .name(&name)
        .map_err(|invalid| Problem::invalid("username", format!("Parameter 'username' {invalid}.")))?;
    let password = rest.text("password", "password")?.ok_or_else(|| Problem::missing(&["password"]))?;
    let password =
        Password::parse(password).map_err(|refusal| Problem::refused_password("password", refusal))?;
    let register = match rest.flag("register")? {
        None => Register::May,
        Some(Some(true)) => Register::Must,
        Some(Some(false) | None) => Register::MustNot,
    };
    Ok(Asked { name, password, register, app: app? })
}
