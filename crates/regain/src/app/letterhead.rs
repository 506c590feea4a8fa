//! From the configuration to the composer of its mails.

use crate::config::Config;
use crate::mail::{Composer, Letterhead, TemplateMistake, Templates};

/// The composer; `None` where no mail is configured.
///
/// A configuration that was read from a file has had its templates checked, each with its line; one that was made in
/// Rust is checked here.
pub(super) fn composer(config: &Config) -> Result<Option<Composer>, Vec<TemplateMistake>> {
    let Some(email) = config.email() else { return Ok(None) };
    let base = config.link_base();
    Ok(Some(Composer::new(Letterhead {
        sender: email.from.clone(),
        templates: Templates::new(email.overrides(), base.is_some())?,
        link_base: base.map(|base| base.as_str().to_owned()).unwrap_or_default(),
        app_name: config.app_name.clone(),
        reset_lifetime: config.reset_token_lifetime,
        confirm_lifetime: config.confirm_token_lifetime,
    })))
}
