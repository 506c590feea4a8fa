//! `POST /auth/revoke`: signing out, by ending one session. Any token that was signed here can be ended.

use axum::response::Response;
use regain_core::flows::session::{self, Authenticated};

use super::super::Site;
use super::super::error::Problem;
use super::super::headers;
use super::super::json::Object;

pub(super) async fn post(site: &Site, by: &Authenticated, mut body: Object) -> Result<Response, Problem> {
    let token = body.filled("token", "token")?;
    let token = token.ok_or_else(|| Problem::missing(&["token"]))?;
    session::revoke(&site.service, by, &token).await?;
    Ok(headers::done())
}
