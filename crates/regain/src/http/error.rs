//! The one table of errors: what each failure of a flow is on the wire, in ROS's problem bodies.
//!
//! Nothing of a cause reaches the client: it travels beside the answer as a [`Cause`], to be logged once.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use regain_core::flows::change_password::ChangeError;
use regain_core::flows::delete_account::DeleteError;
use regain_core::flows::find_account::FindError;
use regain_core::flows::put_account::PutError;
use regain_core::flows::register::RegisterError;
use regain_core::flows::reset_password::RequestError;
use regain_core::flows::session::{AuthenticateError, RevokeError};
use regain_core::flows::sign_in::SignInError;
use regain_core::flows::user_token::TradeError;
use regain_core::flows::{Trouble, confirm_email, reset_password};
use regain_core::{PasswordRefusal, StoreError};
use serde::Serialize;

use super::headers;

/// The problems of ROS that this provider sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidParameters,
    MissingParameters,
    InvalidCredentials,
    UnknownAccount,
    AccessDenied,
    UnknownUser,
    TooManyRequests,
    Unavailable,
    NotEnabled,
}

impl Kind {
    /// Code, status, last part of the type, and title.
    const fn row(self) -> (u16, StatusCode, &'static str, &'static str) {
        const UNAVAILABLE: &str = "The requested service is temporarily unavailable.";
        match self {
            Self::InvalidParameters => (
                601,
                StatusCode::BAD_REQUEST,
                "invalid-parameters",
                "Your request parameters did not validate.",
            ),
            Self::MissingParameters => (
                602,
                StatusCode::BAD_REQUEST,
                "missing-parameters",
                "Your request did not validate because of missing parameters.",
            ),
            Self::InvalidCredentials => (
                611,
                StatusCode::UNAUTHORIZED,
                "invalid-credentials",
                "The provided credentials are invalid or the user does not exist.",
            ),
            Self::UnknownAccount => {
                (612, StatusCode::NOT_FOUND, "unknown-account", "The account does not exist.")
            }
            Self::AccessDenied => (
                614,
                StatusCode::FORBIDDEN,
                "access-denied",
                "The path is invalid or current user has no access.",
            ),
            Self::UnknownUser => (618, StatusCode::NOT_FOUND, "unknown-user", "The user does not exist."),
            // ROS has no limits. An existing code, so that its clients can read the problem.
            Self::TooManyRequests => (802, StatusCode::TOO_MANY_REQUESTS, "service-unavailable", UNAVAILABLE),
            Self::Unavailable => (802, StatusCode::SERVICE_UNAVAILABLE, "service-unavailable", UNAVAILABLE),
            Self::NotEnabled => (
                803,
                StatusCode::NOT_IMPLEMENTED,
                "not-enabled",
                "The server was not configured to support the requested operation.",
            ),
        }
    }
}

/// How long clients are asked to stay away when the server is busy or its store fails.
const BUSY_SECONDS: u64 = 5;
/// Waits of limits are rounded up to a multiple of this, so that they do not tell which limit it was.
const COARSE_SECONDS: u64 = 10;

const RESET_TOKEN: &str = "The password reset token is invalid or has expired.";
const CONFIRMATION_TOKEN: &str = "The email confirmation token is invalid or has expired.";
const MUST_CONFIRM: &str = "The email address must be confirmed first.";
const NO_MAIL: &str =
    "Mail is not configured, so passwords cannot be reset and addresses cannot be confirmed.";
const OTHER_ID: &str = "The account of this name has another identity, or another account has this identity.";
const NOTHING_SYNCED: &str = "Nothing is synchronised here, so there is no path that could be opened.";
const PROVIDERS_FIXED: &str =
    "The authentication providers are set in the configuration file and cannot be changed at run time.";

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Problem {
    shape: Shape,
    detail: Option<&'static str>,
    invalid_params: Vec<InvalidParam>,
    retry_after: Option<u64>,
    cause: Option<Cause>,
}

#[derive(Debug)]
enum Shape {
    Known(Kind),
    /// Without type and code, as ROS answers what it does not get to read.
    Plain(StatusCode, Cow<'static, str>),
}

#[derive(Debug, Serialize)]
struct InvalidParam {
    name: Cow<'static, str>,
    reason: Cow<'static, str>,
}

/// Why an answer is a 5xx: for the log, never for the client.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) String);

impl Problem {
    pub(super) fn of(kind: Kind) -> Self {
        Self::shaped(Shape::Known(kind))
    }

    pub(super) fn plain(status: StatusCode, title: impl Into<Cow<'static, str>>) -> Self {
        Self::shaped(Shape::Plain(status, title.into()))
    }

    pub(super) fn not_found() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "Not Found")
    }

    /// What ROS answers where its providers were set in code: without type and code.
    pub(super) fn providers_fixed() -> Self {
        let problem = Self::plain(StatusCode::FORBIDDEN, "Runtime configuration disabled");
        Self { detail: Some(PROVIDERS_FIXED), ..problem }
    }

    /// 614 for a trade that asks for a path.
    pub(super) fn nothing_synced() -> Self {
        Self::with_detail(Kind::AccessDenied, NOTHING_SYNCED)
    }

    pub(super) fn internal(cause: impl Into<String>) -> Self {
        let problem = Self::plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
        Self { cause: Some(Cause(cause.into())), ..problem }
    }

    pub(super) fn unavailable_for_now() -> Self {
        Self::unavailable(None)
    }

    /// 602 for these parameters.
    pub(super) fn missing(names: &[&'static str]) -> Self {
        let missing = |name: &&'static str| InvalidParam {
            name: Cow::Borrowed(*name),
            reason: format!("Missing parameter '{name}'!").into(),
        };
        let invalid_params = names.iter().map(missing).collect();
        Self { invalid_params, ..Self::of(Kind::MissingParameters) }
    }

    /// 601 for this parameter.
    pub(super) fn invalid(name: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        let invalid_params = vec![InvalidParam { name: name.into(), reason: reason.into() }];
        Self { invalid_params, ..Self::of(Kind::InvalidParameters) }
    }

    /// 601 for a password that does not do, under the name of the parameter it came in.
    pub(super) fn refused_password(name: &'static str, refusal: PasswordRefusal) -> Self {
        Self::invalid(name, format!("The password {refusal}."))
    }

    fn shaped(shape: Shape) -> Self {
        Self { shape, detail: None, invalid_params: Vec::new(), retry_after: None, cause: None }
    }

    fn with_detail(kind: Kind, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..Self::of(kind) }
    }

    fn unavailable(cause: Option<Cause>) -> Self {
        Self { retry_after: Some(BUSY_SECONDS), cause, ..Self::of(Kind::Unavailable) }
    }

    pub(super) fn status(&self) -> StatusCode {
        match &self.shape {
            Shape::Known(kind) => kind.row().1,
            Shape::Plain(status, _) => *status,
        }
    }

    /// The sentence for people: the detail, or else the reason of a parameter, or else the title.
    pub(super) fn sentence(&self) -> &str {
        let title = match &self.shape {
            Shape::Known(kind) => kind.row().3,
            Shape::Plain(_, title) => title,
        };
        let reason = self.invalid_params.first().map(|param| &*param.reason);
        self.detail.or(reason).unwrap_or(title)
    }

    /// Moves what is not the body (`Retry-After`, the cause) to an answer, here or on a page.
    pub(super) fn mark(&mut self, response: &mut Response) {
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(cause) = self.cause.take() {
            response.extensions_mut().insert(cause);
        }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Wire<'a> {
            #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
            kind: Option<String>,
            title: &'a str,
            status: u16,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<u16>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            invalid_params: &'a [InvalidParam],
        }
        let (kind, title, code) = match &self.shape {
            Shape::Known(kind) => {
                let (code, _, slug, title) = kind.row();
                (Some(format!("https://realm.io/docs/object-server/problems/{slug}")), title, Some(code))
            }
            Shape::Plain(_, title) => (None, &**title, None),
        };
        let (status, detail) = (self.status().as_u16(), self.detail);
        let wire = Wire { kind, title, status, detail, code, invalid_params: &self.invalid_params };
        // Strings and numbers are always writable; an empty body would be no worse an answer to a bug.
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = headers::json(self.status(), self.body());
        self.mark(&mut response);
        response
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Limited(after) => {
                Self { retry_after: Some(coarse(after.0)), ..Self::of(Kind::TooManyRequests) }
            }
            Trouble::Busy => Self::unavailable(None),
            Trouble::Store(StoreError::Unavailable(_)) => Self::unavailable(Some(Cause(trouble.to_string()))),
            Trouble::Store(StoreError::Broken(_)) | Trouble::Internal(_) => {
                Self::internal(trouble.to_string())
            }
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::InvalidCredentials => Self::of(Kind::InvalidCredentials),
            SignInError::MustConfirm => Self::with_detail(Kind::AccessDenied, MUST_CONFIRM),
            SignInError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Password(refusal) => Self::refused_password("password", refusal),
            // The same as a wrong password, so that a taken name is not told from it.
            RegisterError::NoAddress => Self::invalid("username", error.to_string()),
            RegisterError::NameTaken => Self::of(Kind::InvalidCredentials),
            RegisterError::MustConfirm => Self::with_detail(Kind::AccessDenied, MUST_CONFIRM),
            RegisterError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotEnabled => Self::with_detail(Kind::NotEnabled, NO_MAIL),
            RequestError::OutboxFull => Self::unavailable(Some(Cause(error.to_string()))),
            RequestError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<reset_password::CompleteError> for Problem {
    fn from(error: reset_password::CompleteError) -> Self {
        use reset_password::CompleteError;
        match error {
            CompleteError::InvalidToken => Self::with_detail(Kind::AccessDenied, RESET_TOKEN),
            CompleteError::Password(refusal) => Self::refused_password("new_password", refusal),
            CompleteError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<confirm_email::CompleteError> for Problem {
    fn from(error: confirm_email::CompleteError) -> Self {
        use confirm_email::CompleteError;
        match error {
            CompleteError::InvalidToken => Self::with_detail(Kind::AccessDenied, CONFIRMATION_TOKEN),
            CompleteError::Trouble(trouble) => trouble.into(),
        }
    }
}

/// A second use of a confirmation link, which only pages welcome.
pub(super) fn already_confirmed() -> Problem {
    confirm_email::CompleteError::InvalidToken.into()
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Invalid => {
                Self::with_detail(Kind::InvalidCredentials, "The session token is invalid or has expired.")
            }
            AuthenticateError::Revoked => Self::of(Kind::AccessDenied),
            AuthenticateError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::InvalidToken => Self::invalid("token", "Invalid parameter 'token'!"),
            RevokeError::Denied => Self::of(Kind::AccessDenied),
            RevokeError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Denied => Self::of(Kind::AccessDenied),
            ChangeError::UnknownAccount => Self::of(Kind::UnknownAccount),
            ChangeError::CurrentMissing => Self::missing(&["password"]),
            ChangeError::CurrentWrong => {
                Self::with_detail(Kind::InvalidCredentials, "The current password is wrong.")
            }
            ChangeError::SessionEnded => AuthenticateError::Invalid.into(),
            ChangeError::Password(refusal) => Self::refused_password("new_password", refusal),
            ChangeError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<FindError> for Problem {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Denied => Self::of(Kind::AccessDenied),
            FindError::Unknown => Self::of(Kind::UnknownAccount),
            FindError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<PutError> for Problem {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Denied => Self::of(Kind::AccessDenied),
            PutError::OtherId => Self::invalid("userId", OTHER_ID),
            PutError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Denied => Self::of(Kind::AccessDenied),
            // The one route where ROS does not say 612.
            DeleteError::Unknown => Self::of(Kind::UnknownUser),
            DeleteError::SessionEnded => AuthenticateError::Invalid.into(),
            DeleteError::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<TradeError> for Problem {
    fn from(error: TradeError) -> Self {
        match error {
            TradeError::Denied => Self::of(Kind::AccessDenied),
            TradeError::Trouble(trouble) => trouble.into(),
        }
    }
}

fn coarse(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1).next_multiple_of(COARSE_SECONDS)
}

#[cfg(test)]
mod tests;
