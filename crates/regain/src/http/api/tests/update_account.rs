use regain_core::{Policy, Purpose};

use super::*;

#[tokio::test]
async fn every_bad_body_of_update_account_has_its_problem() {
    let site = TestSite::new();
    for (body, status, code, names) in [
        ("{}", 400, 602, "data"),
        ("{\"data\":null}", 400, 602, "data"),
        ("{\"data\":\"x\"}", 400, 601, "action"),
        ("{\"data\":{}}", 400, 601, "action"),
        ("{\"data\":{\"action\":\"x\"}}", 400, 601, "action"),
        ("{\"data\":{\"action\":7}}", 400, 601, "action"),
        ("{\"data\":{\"action\":\"reset_password\"}}", 400, 602, "provider_id"),
        (
            "{\"provider_id\":\"\",\"data\":{\"action\":\"request_email_confirmation\"}}",
            400,
            602,
            "provider_id",
        ),
        (
            "{\"provider_id\":[\"a@x.org\",\"b@x.org\"],\"data\":{\"action\":\"reset_password\"}}",
            400,
            601,
            "provider_id",
        ),
        ("{\"provider_id\":\"a\\nb\",\"data\":{\"action\":\"reset_password\"}}", 400, 601, "provider_id"),
        (
            "{\"provider_id\":\"a@x.org\",\"provider_id\":\"b@x.org\",\"data\":{\"action\":\"reset_password\"}}",
            400,
            601,
            "provider_id",
        ),
        ("{\"data\":{\"action\":\"complete_reset\"}}", 400, 602, "new_password,token"),
        (
            "{\"data\":{\"action\":\"complete_reset\",\"token\":\"\",\"new_password\":\"\"}}",
            400,
            602,
            "token",
        ),
        ("{\"data\":{\"action\":\"complete_reset\",\"token\":\"x\"}}", 400, 602, "new_password"),
        (
            "{\"data\":{\"action\":\"complete_reset\",\"token\":{\"$ne\":null},\"new_password\":\"x\"}}",
            400,
            601,
            "token",
        ),
        (
            "{\"data\":{\"action\":\"complete_reset\",\"token\":\"x\",\"new_password\":\"long enough\"}}",
            403,
            614,
            "",
        ),
        ("{\"data\":{\"action\":\"confirm_email\"}}", 400, 602, "token"),
        ("{\"data\":{\"action\":\"confirm_email\",\"token\":\"x\"}}", 403, 614, ""),
    ] {
        site.update_account(body).await.is_problem(status, code, names);
    }
    assert!(site.desk.mailer.attempted().is_empty());
    let reason = async |provider: &str| {
        let answer = site.post(&format!("/auth/{provider}/updateAccount"), "{}").await;
        answer.is_problem(400, 601, "provider");
        answer.json()["invalid_params"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert_ne!(reason("google").await, reason("realm").await);
}

#[tokio::test]
async fn without_mail_every_action_is_not_enabled_even_an_unknown_one() {
    let site = TestSite::under(Policy { mail: false, ..free_policy() });
    for body in [
        "{}",
        "{\"data\":{\"action\":\"x\"}}",
        "{\"provider_id\":\"a@x.org\",\"data\":{\"action\":\"reset_password\"}}",
    ] {
        site.update_account(body).await.is_problem(501, 803, "");
    }
    site.post("/auth/google/updateAccount", "{}").await.is_problem(400, 601, "provider");
}

#[tokio::test]
async fn a_reset_by_api_ends_the_sessions_and_takes_its_token_once() {
    let site = TestSite::new();
    let session = token_of(&site, ANN).await;
    let ask = "{\"provider_id\":\"Ann@Example.org\",\"data\":{\"action\":\"reset_password\"}}";
    let known = site.update_account(ask).await;
    let unknown = site.update_account(&ask.replace("Ann@", "eve@")).await;
    known.is_done();
    unknown.is_done();
    assert_eq!(known.headers, unknown.headers);
    site.desk.deliver().await;
    let token = site.desk.last_token(Purpose::Reset);
    let complete = |password: &str| {
        format!(
            "{{\"data\":{{\"action\":\"complete_reset\",\"token\":\"{token}\",\"new_password\":\"{password}\"}}}}"
        )
    };
    site.update_account(&complete("")).await.is_problem(400, 601, "new_password");
    site.update_account(&complete("new password")).await.is_done();
    site.update_account(&complete("new password")).await.is_problem(403, 614, "");
    let header = format!("authorization: {session}");
    with_session(&site, "PUT", "/auth/password", &header, "{}").await.is_problem(401, 611, "");
    token_of(&site, &ANN.replace("correct horse", "new password")).await;
}

#[tokio::test]
async fn a_confirmation_by_api_is_done_once() {
    let site = TestSite::new();
    token_of(&site, ANN).await;
    site.desk.deliver().await;
    let token = site.desk.last_token(Purpose::Confirm);
    let body = format!("{{\"data\":{{\"action\":\"confirm_email\",\"token\":\"{token}\"}}}}");
    site.update_account(&body).await.is_done();
    site.update_account(&body).await.is_problem(403, 614, "");
    let confirmed = site.post("/auth", ANN).await;
    assert_eq!(confirmed.json()["refresh_token"]["token_data"]["isEmailConfirmed"], true);
}
