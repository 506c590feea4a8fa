//! The link of a mail, for whoever does not take the text from the templates.

use regain_core::{Purpose, Token};
use zeroize::Zeroizing;

/// The link that carries `token`, or `None` for a mail without a link.
///
/// `base` is what links begin with, without a slash at its end. The paths are those of the pages and of the default
/// texts.
pub(super) fn link(base: &str, purpose: Purpose, token: Option<&Token>) -> Option<Zeroizing<String>> {
    let path = match purpose {
        Purpose::Reset => "reset-password",
        Purpose::Confirm => "confirm-email",
        Purpose::PasswordChanged => return None,
    };
    let token = token?.expose();
    Some(Zeroizing::new(format!("{base}/{path}?token={}", token.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";

    #[test]
    fn a_link_is_the_one_of_the_documentation() {
        let token = Token::parse(TOKEN);
        let link = |purpose| link("myapp://update-account", purpose, token.as_ref());
        assert_eq!(
            link(Purpose::Reset).unwrap().as_str(),
            format!("myapp://update-account/reset-password?token={TOKEN}")
        );
        assert_eq!(
            link(Purpose::Confirm).unwrap().as_str(),
            format!("myapp://update-account/confirm-email?token={TOKEN}")
        );
        assert!(link(Purpose::PasswordChanged).is_none());
    }

    #[test]
    fn without_a_token_there_is_no_link() {
        assert!(link("https://example.org", Purpose::Reset, None).is_none());
    }
}
