//! `/auth/providers`: what providers there are, for administrators. They are configured at start and never changed here.

use axum::http::StatusCode;
use axum::response::Response;
use regain_core::Provider;
use regain_core::flows::session::Authenticated;
use serde::Serialize;

use super::super::error::{Kind, Problem};
use super::super::{Site, headers};

/// `GET /auth/providers`. `realm` is not listed, as in ROS: it is not configured, it is always there.
pub(super) fn list(site: &Site, by: &Authenticated) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Wire<'a> {
        name: &'static str,
        #[serde(rename = "type")]
        kind: &'static str,
        config: &'a serde_json::Map<String, serde_json::Value>,
    }
    check_admin(by)?;
    let password = Provider::Password.as_str();
    let wire = [Wire { name: password, kind: password, config: &site.settings.provider_config }];
    match serde_json::to_vec(&wire) {
        Ok(body) => Ok(headers::json(StatusCode::OK, body)),
        Err(error) => Err(Problem::internal(error.to_string())),
    }
}

/// `POST /auth/providers` and `DELETE /auth/providers/:name`.
pub(super) fn change(by: &Authenticated) -> Problem {
    check_admin(by).err().unwrap_or_else(Problem::providers_fixed)
}

fn check_admin(by: &Authenticated) -> Result<(), Problem> {
    if by.is_admin() { Ok(()) } else { Err(Problem::of(Kind::AccessDenied)) }
}
