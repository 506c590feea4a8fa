//! `DELETE /auth/users/:user_id`, and `/auth/user/:user_id` as older clients have it.

use axum::response::Response;
use regain_core::flows::delete_account;
use regain_core::flows::session::Authenticated;

use super::super::Site;
use super::super::error::Problem;
use super::super::headers;
use super::account_id;

pub(super) async fn delete(site: &Site, by: &Authenticated, id: &str) -> Result<Response, Problem> {
    delete_account::delete(&site.service, by, &account_id(id)).await?;
    Ok(headers::done())
}
