//! What a path names. Paths match whatever their case, with or without one slash at the end, as in ROS.
//!
//! A path is split first; each part that is a parameter is then decoded, once. Nothing is looked up here.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use regain_core::Provider;

/// How much of a part that cannot be decoded is shown back, in characters.
const LONGEST_SHOWN: usize = 64;

/// What a path names. A provider is `None` where there is none of that name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/auth`
    Auth,
    /// `/auth/revoke`
    Revoke,
    /// `/auth/:provider/updateAccount`
    UpdateAccount(Option<Provider>),
    /// `/auth/:provider`
    Account(Option<Provider>),
    /// `/auth/users`
    Users,
    /// `/auth/users/:user_id`
    User(String),
    /// `/auth/user/:user_id`, from before ROS had the plural.
    OlderUser(String),
    /// `/auth/users/:provider/:provider_id`
    NamedUser(Option<Provider>, String),
    /// `/auth/providers`
    Providers,
    /// `/auth/providers/:name`
    Provider,
    /// Under `/auth`, with a parameter whose percent signs escape nothing.
    Undecodable(String),
    /// Anything else under `/auth`.
    UnderAuth,
    /// `/health`
    Health,
    /// `/reset-password`
    ResetPassword,
    /// `/confirm-email`
    ConfirmEmail,
    /// The style of the pages.
    Style,
    /// `/openapi.json`
    #[cfg(feature = "openapi")]
    OpenApi,
    /// Nothing of ours.
    Unknown,
}

impl Place {
    pub(super) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::Unknown };
        let path = path.strip_suffix('/').unwrap_or(path);
        let (first, rest) = match path.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        match rest {
            Some(rest) if is(first, "auth") => Self::under_auth(rest),
            Some(_) => Self::Unknown,
            None if is(first, "auth") => Self::Auth,
            None if is(first, "health") => Self::Health,
            None if is(first, "reset-password") => Self::ResetPassword,
            None if is(first, "confirm-email") => Self::ConfirmEmail,
            None if is(first, "password-auth-ui-styles.css") => Self::Style,
            #[cfg(feature = "openapi")]
            None if is(first, "openapi.json") => Self::OpenApi,
            None => Self::Unknown,
        }
    }

    fn under_auth(rest: &str) -> Self {
        let mut split = rest.split('/');
        let parts = [split.next(), split.next(), split.next(), split.next()];
        if parts.iter().flatten().any(|part| part.is_empty()) {
            return Self::UnderAuth;
        }
        let place = match parts {
            [Some(one), None, ..] => Self::of_one(one),
            [Some(one), Some(two), None, _] => Self::of_two(one, two),
            [Some(one), Some(provider), Some(name), None] if is(one, "users") => {
                Self::of_name(provider, name)
            }
            _ => Ok(Self::UnderAuth),
        };
        place.unwrap_or_else(|Undecodable(raw)| Self::Undecodable(raw))
    }

    fn of_one(one: &str) -> Result<Self, Undecodable> {
        Ok(match one {
            _ if is(one, "revoke") => Self::Revoke,
            _ if is(one, "users") => Self::Users,
            _ if is(one, "providers") => Self::Providers,
            _ => Self::Account(provider(one)?),
        })
    }

    fn of_two(one: &str, two: &str) -> Result<Self, Undecodable> {
        Ok(match one {
            _ if is(one, "users") => Self::User(parameter(two)?.into_owned()),
            _ if is(one, "user") => Self::OlderUser(parameter(two)?.into_owned()),
            _ if is(one, "providers") => parameter(two).map(|_| Self::Provider)?,
            _ if is(two, "updateAccount") => Self::UpdateAccount(provider(one)?),
            _ => Self::UnderAuth,
        })
    }

    fn of_name(of: &str, name: &str) -> Result<Self, Undecodable> {
        Ok(Self::NamedUser(provider(of)?, parameter(name)?.into_owned()))
    }

    pub(super) fn is_api(&self) -> bool {
        !matches!(self, Self::ResetPassword | Self::ConfirmEmail | Self::Style | Self::Unknown)
    }

    /// For the log: a path itself could hold a name.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Auth => "/auth",
            Self::Revoke => "/auth/revoke",
            Self::UpdateAccount(_) => "/auth/:provider/updateAccount",
            Self::Account(_) => "/auth/:provider",
            Self::Users => "/auth/users",
            Self::User(_) => "/auth/users/:user_id",
            Self::OlderUser(_) => "/auth/user/:user_id",
            Self::NamedUser(..) => "/auth/users/:provider/:provider_id",
            Self::Providers => "/auth/providers",
            Self::Provider => "/auth/providers/:name",
            Self::Undecodable(_) | Self::UnderAuth => "/auth/*",
            Self::Health => "/health",
            Self::ResetPassword => "/reset-password",
            Self::ConfirmEmail => "/confirm-email",
            Self::Style => "/password-auth-ui-styles.css",
            #[cfg(feature = "openapi")]
            Self::OpenApi => "/openapi.json",
            Self::Unknown => "*",
        }
    }
}

/// Decodes percent signs, once; `None` where one escapes nothing, or no UTF-8 comes out.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !raw.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(raw).decode_utf8().ok()
}

/// The beginning of a part that cannot be decoded.
struct Undecodable(String);

fn parameter(raw: &str) -> Result<Cow<'_, str>, Undecodable> {
    decode(raw).ok_or_else(|| Undecodable(raw.chars().take(LONGEST_SHOWN).collect()))
}

fn provider(raw: &str) -> Result<Option<Provider>, Undecodable> {
    Ok(Provider::from_word(&parameter(raw)?.to_ascii_lowercase()))
}

fn is(part: &str, word: &str) -> bool {
    part.eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: Option<Provider> = Some(Provider::Password);
    const REALM: Option<Provider> = Some(Provider::Realm);

    fn user(id: &str) -> Place {
        Place::User(id.to_owned())
    }

    fn named(provider: Option<Provider>, name: &str) -> Place {
        Place::NamedUser(provider, name.to_owned())
    }

    fn undecodable(raw: &str) -> Place {
        Place::Undecodable(raw.to_owned())
    }

    #[test]
    fn paths_match_whatever_their_case_and_with_one_slash_at_the_end() {
        for (path, place) in [
            ("/auth", Place::Auth),
            ("/AUTH/", Place::Auth),
            ("/Auth/Revoke/", Place::Revoke),
            ("/auth/password", Place::Account(PASSWORD)),
            ("/auth/realm", Place::Account(REALM)),
            ("/auth/user", Place::Account(None)),
            ("/auth/PASSWORD/updateaccount", Place::UpdateAccount(PASSWORD)),
            ("/auth/google/updateAccount", Place::UpdateAccount(None)),
            ("/auth/users", Place::Users),
            ("/Auth/USERS/", Place::Users),
            ("/auth/users/1", user("1")),
            ("/auth/Users/Ab/", user("Ab")),
            ("/auth/users/password", user("password")),
            ("/auth/user/1/", Place::OlderUser("1".to_owned())),
            ("/auth/users/password/ann@x.org", named(PASSWORD, "ann@x.org")),
            ("/auth/USERS/realm/Ann/", named(REALM, "Ann")),
            ("/auth/users/google/1", named(None, "1")),
            ("/auth/providers/", Place::Providers),
            ("/auth/Providers/password", Place::Provider),
            ("/Health/", Place::Health),
            ("/Reset-Password/", Place::ResetPassword),
            ("/confirm-email", Place::ConfirmEmail),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }

    #[test]
    fn an_empty_part_or_one_too_many_names_nothing() {
        for path in [
            "/auth//",
            "/auth//updateAccount",
            "/auth/users//",
            "/auth/users//1",
            "/auth/users/1//",
            "/auth/users/password//",
            "/auth/users/password/ann/x",
            "/auth/user//",
            "/auth/user/password/ann",
            "/auth/providers//",
            "/auth/password/updateAccount/x",
            "/auth/password/other",
        ] {
            assert_eq!(Place::of(path), Place::UnderAuth, "{path}");
        }
        for path in [
            "//auth",
            "/health//",
            "/reset-password/x",
            "/%61uth",
            "/confirm-email;x",
            "/./auth",
            "/",
            "",
            "*",
        ] {
            assert_eq!(Place::of(path), Place::Unknown, "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_once_and_after_the_path_was_split() {
        for (path, place) in [
            ("/auth/p%61ssword/updateAccount/", Place::UpdateAccount(PASSWORD)),
            ("/auth/p%2561ssword/updateAccount", Place::UpdateAccount(None)),
            ("/auth/%75sers", Place::Account(None)),
            ("/auth/users/a%2Fb%2fupdateAccount", user("a/b/updateAccount")),
            ("/auth/users/%252e%252e", user("%2e%2e")),
            ("/auth/users/password/ann%40x.org", named(PASSWORD, "ann@x.org")),
            ("/auth/users/password/ann%2540x.org", named(PASSWORD, "ann%40x.org")),
            ("/auth/users/password/100%25", named(PASSWORD, "100%")),
            ("/auth/users/password/a+b", named(PASSWORD, "a+b")),
            ("/auth/100%/updateAccount", undecodable("100%")),
            ("/auth/%ff", undecodable("%ff")),
            ("/auth/users/100%", undecodable("100%")),
            ("/auth/users/%zz/ann", undecodable("%zz")),
            ("/auth/users/password/%c3", undecodable("%c3")),
            ("/auth/user/%4", undecodable("%4")),
            ("/auth/providers/%", undecodable("%")),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
        let Place::Undecodable(shown) = Place::of(&format!("/auth/{}%", "ä".repeat(100))) else {
            panic!("it cannot be decoded")
        };
        assert_eq!(shown.chars().count(), LONGEST_SHOWN);
    }
}
