//! `PUT /auth/password`: a new password with a session in hand.

use axum::response::Response;
use regain_core::flows::change_password::{self, ChangeError};
use regain_core::flows::session::Authenticated;
use regain_core::{Caller, Password, Provider};

use super::super::Site;
use super::super::error::Problem;
use super::super::headers;
use super::super::json::Object;
use super::{account_id, check_provider};

/// The order of the checks is that of ROS: whose, which provider, `data`, does the account exist, the password.
pub(super) async fn put(
    site: &Site,
    caller: Caller,
    by: &Authenticated,
    provider: Option<Provider>,
    mut body: Object,
) -> Result<Response, Problem> {
    let id = body.filled("user_id", "user_id")?.map(|id| account_id(&id));
    let target = change_password::target(&site.service, by, id.as_ref()).await;
    if let Err(ChangeError::Denied) = target {
        return Err(ChangeError::Denied.into());
    }
    check_provider(provider)?;
    let mut data = body.object("data")?.ok_or_else(|| Problem::missing(&["data"]))?;
    let target = target?;
    let new = data.filled("new_password", "new_password")?;
    let new = password(new.ok_or_else(|| Problem::missing(&["new_password"]))?, "new_password")?;
    let current = data.text("password", "password")?.map(|text| password(text, "password")).transpose()?;
    change_password::change(&site.service, &caller, by, &target, current.as_ref(), &new).await?;
    Ok(headers::done())
}

fn password(text: String, name: &'static str) -> Result<Password, Problem> {
    Password::parse(text).map_err(|refusal| Problem::refused_password(name, refusal))
}
