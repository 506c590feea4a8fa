use regain_core::flows::confirm_email;

use super::*;

const BUG: Trouble = Trouble::Internal("x");

fn wire(problem: impl Into<Problem>) -> String {
    let problem: Problem = problem.into();
    String::from_utf8(problem.body()).unwrap()
}

/// Everything that a flow can answer, and what it is on the wire: status, code, `type`, detail, parameter.
#[test]
fn every_failure_has_its_row() {
    let short = PasswordRefusal::TooShort { min_length: 8 };
    let unavailable = || Trouble::Store(StoreError::Unavailable("disk full".to_owned()));
    let broken = || Trouble::Store(StoreError::Broken("row 7".to_owned()));
    let reset = "The password reset token is invalid or has expired.";
    let session = "The session token is invalid or has expired.";
    let must = "The email address must be confirmed first.";
    let rows: Vec<(Problem, u16, u16, &str, &str, &str)> = vec![
        (Trouble::Busy.into(), 503, 802, "service-unavailable", "", ""),
        (unavailable().into(), 503, 802, "service-unavailable", "", ""),
        (broken().into(), 500, 0, "", "", ""),
        (BUG.into(), 500, 0, "", "", ""),
        (
            Trouble::Limited(regain_core::limits::RetryAfter(Duration::from_secs(3))).into(),
            429,
            802,
            "service-unavailable",
            "",
            "",
        ),
        (SignInError::InvalidCredentials.into(), 401, 611, "invalid-credentials", "", ""),
        (SignInError::MustConfirm.into(), 403, 614, "access-denied", must, ""),
        (RegisterError::NameTaken.into(), 401, 611, "invalid-credentials", "", ""),
        (RegisterError::MustConfirm.into(), 403, 614, "access-denied", must, ""),
        (RegisterError::NoAddress.into(), 400, 601, "invalid-parameters", "", "username"),
        (RegisterError::Password(short).into(), 400, 601, "invalid-parameters", "", "password"),
        (RequestError::NotEnabled.into(), 501, 803, "not-enabled", NO_MAIL, ""),
        (RequestError::OutboxFull.into(), 503, 802, "service-unavailable", "", ""),
        (reset_password::CompleteError::InvalidToken.into(), 403, 614, "access-denied", reset, ""),
        (
            reset_password::CompleteError::Password(short).into(),
            400,
            601,
            "invalid-parameters",
            "",
            "new_password",
        ),
        (
            confirm_email::CompleteError::InvalidToken.into(),
            403,
            614,
            "access-denied",
            CONFIRMATION_TOKEN,
            "",
        ),
        (AuthenticateError::Invalid.into(), 401, 611, "invalid-credentials", session, ""),
        (AuthenticateError::Revoked.into(), 403, 614, "access-denied", "", ""),
        (RevokeError::InvalidToken.into(), 400, 601, "invalid-parameters", "", "token"),
        (RevokeError::Denied.into(), 403, 614, "access-denied", "", ""),
        (ChangeError::Denied.into(), 403, 614, "access-denied", "", ""),
        (ChangeError::UnknownAccount.into(), 404, 612, "unknown-account", "", ""),
        (ChangeError::CurrentMissing.into(), 400, 602, "missing-parameters", "", "password"),
        (
            ChangeError::CurrentWrong.into(),
            401,
            611,
            "invalid-credentials",
            "The current password is wrong.",
            "",
        ),
        (ChangeError::SessionEnded.into(), 401, 611, "invalid-credentials", session, ""),
        (ChangeError::Password(short).into(), 400, 601, "invalid-parameters", "", "new_password"),
        (FindError::Denied.into(), 403, 614, "access-denied", "", ""),
        (FindError::Unknown.into(), 404, 612, "unknown-account", "", ""),
        (PutError::Denied.into(), 403, 614, "access-denied", "", ""),
        (PutError::OtherId.into(), 400, 601, "invalid-parameters", "", "userId"),
        (DeleteError::Denied.into(), 403, 614, "access-denied", "", ""),
        (DeleteError::Unknown.into(), 404, 618, "unknown-user", "", ""),
        (DeleteError::SessionEnded.into(), 401, 611, "invalid-credentials", session, ""),
        (TradeError::Denied.into(), 403, 614, "access-denied", "", ""),
        (Problem::nothing_synced(), 403, 614, "access-denied", NOTHING_SYNCED, ""),
        (Problem::providers_fixed(), 403, 0, "", PROVIDERS_FIXED, ""),
    ];
    for (problem, status, code, slug, detail, parameter) in rows {
        let body = String::from_utf8(problem.body()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(json["status"], status, "{body}");
        assert_eq!(json["code"].as_u64().unwrap_or_default(), u64::from(code), "{body}");
        let kind = json["type"].as_str().unwrap_or_default();
        assert_eq!(kind.strip_prefix("https://realm.io/docs/object-server/problems/").unwrap_or(kind), slug);
        assert_eq!(json["detail"].as_str().unwrap_or_default(), detail);
        assert_eq!(json["invalid_params"][0]["name"].as_str().unwrap_or_default(), parameter);
        let response = problem.into_response();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
        assert_eq!(response.headers().contains_key("retry-after"), matches!(status, 429 | 503), "{body}");
    }
}

/// Clients know a problem by any of these, realm-js's own tests by the title.
#[test]
fn every_kind_is_on_the_wire_as_in_ros() {
    let unavailable = "The requested service is temporarily unavailable.";
    for (kind, status, code, slug, title) in [
        (
            Kind::InvalidParameters,
            400,
            601,
            "invalid-parameters",
            "Your request parameters did not validate.",
        ),
        (
            Kind::MissingParameters,
            400,
            602,
            "missing-parameters",
            "Your request did not validate because of missing parameters.",
        ),
        (
            Kind::InvalidCredentials,
            401,
            611,
            "invalid-credentials",
            "The provided credentials are invalid or the user does not exist.",
        ),
        (Kind::UnknownAccount, 404, 612, "unknown-account", "The account does not exist."),
        (Kind::AccessDenied, 403, 614, "access-denied", "The path is invalid or current user has no access."),
        (Kind::UnknownUser, 404, 618, "unknown-user", "The user does not exist."),
        (Kind::TooManyRequests, 429, 802, "service-unavailable", unavailable),
        (Kind::Unavailable, 503, 802, "service-unavailable", unavailable),
        (
            Kind::NotEnabled,
            501,
            803,
            "not-enabled",
            "The server was not configured to support the requested operation.",
        ),
    ] {
        assert_eq!(
            wire(Problem::of(kind)),
            format!(
                "{{\"type\":\"https://realm.io/docs/object-server/problems/{slug}\",\"title\":\"{title}\",\
                 \"status\":{status},\"code\":{code}}}"
            )
        );
    }
}

#[test]
fn a_body_has_the_keys_of_ros_in_their_order() {
    assert_eq!(
        wire(Problem::missing(&["new_password", "token"])),
        "{\"type\":\"https://realm.io/docs/object-server/problems/missing-parameters\",\
         \"title\":\"Your request did not validate because of missing parameters.\",\
         \"status\":400,\"code\":602,\"invalid_params\":[\
         {\"name\":\"new_password\",\"reason\":\"Missing parameter 'new_password'!\"},\
         {\"name\":\"token\",\"reason\":\"Missing parameter 'token'!\"}]}"
    );
    assert_eq!(
        wire(RequestError::NotEnabled),
        format!(
            "{{\"type\":\"https://realm.io/docs/object-server/problems/not-enabled\",\
             \"title\":\"The server was not configured to support the requested operation.\",\
             \"status\":501,\"detail\":\"{NO_MAIL}\",\"code\":803}}"
        )
    );
    assert_eq!(wire(BUG), "{\"title\":\"Internal Server Error\",\"status\":500}");
}

#[test]
fn a_taken_name_is_answered_byte_for_byte_like_a_wrong_password() {
    assert_eq!(wire(RegisterError::NameTaken), wire(SignInError::InvalidCredentials));
}

#[test]
fn a_cause_goes_beside_the_answer_and_never_into_it() {
    let problem = Problem::from(Trouble::Store(StoreError::Broken("row 7".to_owned())));
    assert!(!String::from_utf8(problem.body()).unwrap().contains("row 7"));
    let response = problem.into_response();
    assert!(response.extensions().get::<Cause>().is_some_and(|cause| cause.0.contains("row 7")));
}

#[test]
fn waits_are_whole_and_coarse() {
    for (millis, seconds) in [(0, 10), (1, 10), (3_000, 10), (10_000, 10), (10_001, 20), (60_000, 60)] {
        assert_eq!(coarse(Duration::from_millis(millis)), seconds);
    }
}
