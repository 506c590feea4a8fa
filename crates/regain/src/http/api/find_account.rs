//! `GET /auth/users/...`: looking up one's own account, or as an administrator anybody's.

use axum::response::Response;
use regain_core::flows::find_account::{self, FindError};
use regain_core::flows::session::Authenticated;
use regain_core::{Name, Provider};

use super::super::Site;
use super::super::error::Problem;
use super::super::place;
use super::{account, account_id};

/// `GET /auth/users/:user_id`.
pub(super) async fn by_id(site: &Site, by: &Authenticated, id: &str) -> Result<Response, Problem> {
    account::shown(&find_account::by_id(&site.service, by, &account_id(id)).await?)
}

/// `GET /auth/users/:provider/:provider_id`.
///
/// Some clients escape the name twice and some once, so what is left after the path was decoded is read both ways.
pub(super) async fn by_name(
    site: &Site,
    by: &Authenticated,
    provider: Option<Provider>,
    text: &str,
) -> Result<Response, Problem> {
    let provider = provider.ok_or(FindError::Unknown)?;
    let decoded = place::decode(text).filter(|decoded| *decoded != text);
    let readings: Vec<Name> = [decoded.as_deref(), Some(text)]
        .into_iter()
        .flatten()
        .filter_map(|reading| Name::of(provider, reading, site.service.policy.key_mode).ok())
        .collect();
    account::shown(&find_account::by_name(&site.service, by, &readings).await?)
}
