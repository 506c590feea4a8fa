//! `PUT /auth/users`: an administrator makes an account, or changes what is kept with it.

use axum::response::Response;
use regain_core::flows::put_account::{self, PutError, Wanted};
use regain_core::flows::session::Authenticated;
use regain_core::metadata::Metadata;
use regain_core::{AccountId, Name, Provider};

use super::super::Site;
use super::super::error::Problem;
use super::super::json::Object;
use super::{account, unknown_provider};

pub(super) async fn put(site: &Site, by: &Authenticated, body: Object) -> Result<Response, Problem> {
    // Said before the parameters are looked at, as in ROS.
    if !by.is_admin() {
        return Err(PutError::Denied.into());
    }
    let wanted = parse(site, body)?;
    account::shown(&put_account::put(&site.service, by, wanted).await?)
}

/// Two of the names in problems are not those of the body: that is so in ROS.
fn parse(site: &Site, mut body: Object) -> Result<Wanted, Problem> {
    const NAME: &str = "providerId";
    let (provider, name) = (body.filled("provider", "provider")?, body.filled("provider_id", NAME)?);
    let (provider, name) = match (provider, name) {
        (Some(provider), Some(name)) => (provider, name),
        (None, None) => return Err(Problem::missing(&["provider", NAME])),
        (None, Some(_)) => return Err(Problem::missing(&["provider"])),
        (Some(_), None) => return Err(Problem::missing(&[NAME])),
    };
    let provider = Provider::from_word(&provider).ok_or_else(unknown_provider)?;
    let name = Name::of(provider, &name, site.service.policy.key_mode)
        .map_err(|invalid| Problem::invalid(NAME, format!("Parameter 'provider_id' {invalid}.")))?;
    let id = body.filled("user_id", "userId")?.map(|id| parse_id(&id)).transpose()?;
    let is_admin = body.flag("is_admin")?.flatten();
    let (metadata, is_confirmed) = Metadata::parse(body.texts("metadata")?)
        .map_err(|invalid| Problem::invalid("metadata", format!("Parameter 'metadata' {invalid}.")))?;
    Ok(Wanted { name, id, is_admin, is_confirmed, metadata })
}

fn parse_id(text: &str) -> Result<AccountId, Problem> {
    let reason = "Parameter 'user_id' must be 1 to 128 characters that need no escaping in a URL, and not be reserved.";
    AccountId::parse(text).ok_or_else(|| Problem::invalid("userId", reason))
}
