//! `POST /auth/password/updateAccount`: asking for links, and using them, from an app.

use axum::response::Response;
use regain_core::flows::confirm_email::{self, Confirmed};
use regain_core::flows::reset_password::{self, RequestError};
use regain_core::{Caller, Name, Password};

use super::super::Site;
use super::super::error::{Problem, already_confirmed};
use super::super::headers;
use super::super::json::Object;

pub(super) async fn post(site: &Site, caller: Caller, mut body: Object) -> Result<Response, Problem> {
    let service = &site.service;
    // ROS says so before it looks at the action, even at an unknown one.
    if !service.policy.mail {
        return Err(RequestError::NotEnabled.into());
    }
    let mut data = match body.object("data") {
        Ok(data) => data.ok_or_else(|| Problem::missing(&["data"]))?,
        Err(_) => return Err(unknown_action()),
    };
    match data.text("action", "action")?.as_deref() {
        Some("reset_password") => {
            reset_password::request(service, &caller, &name(site, body)?).await?;
        }
        Some("complete_reset") => {
            let (token, password) = new_password(data)?;
            reset_password::complete(service, &caller, &token, &password).await?;
        }
        Some("request_email_confirmation") => {
            confirm_email::request(service, &caller, &name(site, body)?).await?;
        }
        Some("confirm_email") => {
            let token = token(&mut data)?.ok_or_else(|| Problem::missing(&["token"]))?;
            match confirm_email::complete(service, &caller, &token).await? {
                Confirmed::Now => {}
                Confirmed::Already => return Err(already_confirmed()),
            }
        }
        _ => return Err(unknown_action()),
    }
    Ok(headers::done())
}

fn name(site: &Site, mut body: Object) -> Result<Name, Problem> {
    const PARAMETER: &str = "provider_id";
    let text = body.filled(PARAMETER, PARAMETER)?;
    let text = text.ok_or_else(|| Problem::missing(&[PARAMETER]))?;
    let invalid = |invalid| Problem::invalid(PARAMETER, format!("Parameter 'provider_id' {invalid}."));
    site.service.name(&text).map_err(invalid)
}

/// An empty token counts as missing, an empty password as given.
fn new_password(mut data: Object) -> Result<(String, Password), Problem> {
    const PASSWORD: &str = "new_password";
    let (password, token) = (data.text(PASSWORD, PASSWORD)?, token(&mut data)?);
    match (password, token) {
        (Some(password), Some(token)) => {
            let password =
                Password::parse(password).map_err(|refusal| Problem::refused_password(PASSWORD, refusal))?;
            Ok((token, password))
        }
        (None, None) => Err(Problem::missing(&[PASSWORD, "token"])),
        (None, Some(_)) => Err(Problem::missing(&[PASSWORD])),
        (Some(_), None) => Err(Problem::missing(&["token"])),
    }
}

fn token(data: &mut Object) -> Result<Option<String>, Problem> {
    data.filled("token", "token")
}

pub(in super::super) fn unknown_action() -> Problem {
    Problem::invalid(
        "action",
        "Parameter 'data' must be an object whose 'action' is 'reset_password', 'complete_reset', \
         'request_email_confirmation' or 'confirm_email'.",
    )
}
