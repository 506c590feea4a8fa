//! `POST /auth` with the provider `realm`: a user token for a session. No login is needed, the session is the proof.

use axum::response::Response;
use regain_core::flows::user_token;

use super::super::Site;
use super::super::error::Problem;
use super::super::json::Object;
use super::auth::{app_id, signed};

pub(super) async fn trade(site: &Site, mut body: Object) -> Result<Response, Problem> {
    let session = body.filled("data", "data")?.ok_or_else(|| Problem::missing(&["data"]))?;
    let path = body.filled("path", "path")?;
    let token = user_token::trade(&site.service, &app_id(&mut body)?, &session).await?;
    match path {
        None => Ok(signed("user_token", &token)),
        Some(_) => Err(Problem::nothing_synced()),
    }
}
