use axum::body::Body;
use regain_core::flows::session::authenticate;
use regain_core::{Limits, Policy, Purpose};

use super::super::testing::{Answer, TestSite, free_policy};

const ANN: &str =
    "{\"provider\":\"password\",\"username\":\"ann@example.org\",\"password\":\"correct horse\"}";

async fn token_of(site: &TestSite, body: &str) -> String {
    let answer = site.post("/auth", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["refresh_token"]["token"].as_str().unwrap().to_owned()
}

async fn with_session(site: &TestSite, method: &str, path: &str, header: &str, body: &str) -> Answer {
    let headers = format!("content-type: application/json; charset=utf-8\n{header}");
    site.send(method, path, &headers, body.to_owned()).await
}

#[tokio::test]
async fn signing_in_answers_the_token_and_the_json_inside_it() {
    let site = TestSite::new();
    let sdk = "{\"provider\":\"password\",\"data\":\"ann@example.org\",\"app_id\":\"my.app\",\
               \"user_info\":{\"password\":\"correct horse\",\"register\":true}}";
    let answer = site.post("/auth", sdk).await;
    assert_eq!(answer.status, 200);
    let data = &answer.json()["refresh_token"]["token_data"];
    assert_eq!((&data["app_id"], &data["is_admin"]), (&"my.app".into(), &false.into()));
    let token = answer.json()["refresh_token"]["token"].as_str().unwrap().to_owned();
    assert!(authenticate(&site.desk.service, &token).await.is_ok());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!((answer.header("server"), answer.header("etag")), (None, None));
    token_of(&site, &ANN.replace("ann@", "ANN@")).await;
}

#[tokio::test]
async fn every_bad_body_of_auth_has_its_problem() {
    let site = TestSite::new();
    token_of(&site, ANN).await;
    let long = "x".repeat(300);
    let huge = "x".repeat(1_025);
    for (body, status, code, names) in [
        ("", 400, 602, "provider"),
        ("[]", 400, 602, "provider"),
        ("{\"provider\":null}", 400, 602, "provider"),
        ("{\"provider\":1}", 400, 601, "provider"),
        ("{\"provider\":\"realm\",\"data\":\"x\"}", 400, 601, "provider"),
        ("{\"provider\":\"debug\"}", 400, 601, "provider"),
        ("{\"provider\":\"password\"}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"data\":\"ann@example.org\",\"password\":\"x\"}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"username\":\"\",\"password\":\"x\"}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"user_info\":{}}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"username\":[\"a\",\"b\"]}", 400, 601, "username"),
        ("{\"provider\":\"password\",\"username\":\"a\\u0000b\",\"password\":\"x\"}", 400, 601, "username"),
        (&format!("{{\"provider\":\"password\",\"username\":\"{long}\"}}"), 400, 601, "username"),
        ("{\"provider\":\"password\",\"username\":\"ann\"}", 400, 602, "password"),
        (
            "{\"provider\":\"password\",\"username\":\"ann\",\"password\":{\"$ne\":null}}",
            400,
            601,
            "password",
        ),
        (
            &format!("{{\"provider\":\"password\",\"username\":\"ann\",\"password\":\"{huge}\"}}"),
            400,
            601,
            "password",
        ),
        ("{\"provider\":\"password\",\"data\":\"ann\",\"user_info\":\"x\"}", 400, 601, "user_info"),
        (&ANN.replace('}', ",\"register\":\"false\"}"), 400, 601, "register"),
        (&ANN.replace('}', ",\"register\":0}"), 400, 601, "register"),
        (&ANN.replace('}', ",\"app_id\":7}"), 400, 601, "app_id"),
        (&ANN.replace('}', ",\"app_id\":\"\\n\"}"), 400, 601, "app_id"),
        (&ANN.replace('}', ",\"provider\":\"password\"}"), 400, 601, "provider"),
        // From here on, the flows answer.
        (&ANN.replace("correct", "wrong"), 401, 611, ""),
        (&ANN.replace("correct horse", ""), 401, 611, ""),
        (&ANN.replace('}', ",\"register\":true}"), 401, 611, ""),
        (&ANN.replace("ann@", "eve@").replace('}', ",\"register\":false}"), 401, 611, ""),
        (&ANN.replace("ann@", "eve@").replace('}', ",\"register\":null}"), 401, 611, ""),
        (&ANN.replace("ann@", "eve@").replace("correct horse", "short"), 401, 611, ""),
        (&ANN.replace("correct horse", "").replace('}', ",\"register\":true}"), 400, 601, "password"),
    ] {
        site.post("/auth", body).await.is_problem(status, code, names);
    }
}

#[tokio::test]
async fn bodies_are_read_as_ros_reads_them() {
    let site = TestSite::new();
    for (content_type, body, status, title) in [
        ("application/json", "{".to_owned(), 400, Some("not valid JSON")),
        ("application/json", "null".to_owned(), 400, Some("must be a JSON object")),
        ("application/json", "x".repeat(102_401), 413, Some("request entity too large")),
        ("application/json; charset=utf-16", "{}".to_owned(), 415, Some("unsupported charset \"UTF-16\"")),
        ("text/plain", ANN.to_owned(), 400, None),
        ("application/problem+json", ANN.to_owned(), 400, None),
        ("application/x-www-form-urlencoded", ANN.to_owned(), 400, None),
    ] {
        let answer = site.send("POST", "/auth", &format!("content-type: {content_type}"), body).await;
        assert_eq!(answer.status, status, "{content_type}");
        match title {
            Some(title) => {
                assert!(answer.json()["title"].as_str().unwrap().contains(title), "{}", answer.body);
                assert!(answer.json().get("code").is_none());
            }
            None => answer.is_problem(400, 602, "provider"),
        }
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let gzip = "content-type: application/json\ncontent-encoding: gzip";
    assert_eq!(site.send("POST", "/auth", gzip, "{}").await.status, 415);
    // Without a Content-Length, and in pieces.
    let pieces = |n: usize| {
        let piece = || Ok::<_, std::io::Error>("x".repeat(50_000));
        Body::from_stream(futures_util::stream::iter((0..n).map(move |_| piece())))
    };
    let json = "content-type: Application/JSON ; charset=\"UTF-8\"";
    assert_eq!(site.send("POST", "/auth", json, pieces(3)).await.status, 413);
    assert_eq!(site.send("POST", "/auth", json, pieces(2)).await.status, 400);
}

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
    site.post("/auth/google/updateAccount", "{}").await.is_problem(400, 601, "provider");
    let answer = site.post("/auth/100%/updateAccount", "{}").await;
    assert_eq!(answer.json()["title"], "Failed to decode param '100%'");
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

#[tokio::test]
async fn a_session_is_presented_in_any_of_its_headers() {
    let site = TestSite::new();
    let token = token_of(&site, ANN).await;
    for header in [
        format!("authorization: {token}"),
        format!("authorization: Bearer {token}"),
        format!("authorization: bearer  {token}"),
        format!("x-realm-access-token: {token}"),
        format!("authorization: \nx-realm-access-token: {token}"),
    ] {
        with_session(&site, "PUT", "/auth/password", &header, "{}").await.is_problem(400, 602, "data");
    }
    with_session(&site, "PUT", "/auth/password", "accept: */*", "{}").await.is_problem(401, 611, "");
    // The first header that holds something is the one that counts.
    let both = format!("authorization: x\nx-realm-access-token: {token}");
    with_session(&site, "PUT", "/auth/password", &both, "{}").await.is_problem(401, 611, "");
}

#[tokio::test]
async fn a_bad_session_fails_every_route_under_auth_and_no_other() {
    let site = TestSite::new();
    for (method, path) in [
        ("POST", "/auth"),
        ("POST", "/auth/password/updateAccount"),
        ("POST", "/auth/google/updateAccount"),
        ("PUT", "/auth/password"),
        ("POST", "/auth/revoke"),
        ("GET", "/auth/nothing"),
    ] {
        with_session(&site, method, path, "authorization: a:b", ANN).await.is_problem(401, 611, "");
    }
    for path in ["/health", "/reset-password", "/confirm-email?token=x"] {
        assert_eq!(with_session(&site, "GET", path, "authorization: a:b", "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn changing_a_password_checks_in_the_order_of_ros_and_keeps_the_session() {
    let site = TestSite::new();
    let header = format!("authorization: {}", token_of(&site, ANN).await);
    let put = |path: &'static str, body: &'static str| with_session(&site, "PUT", path, &header, body);
    put("/auth/google", "{\"user_id\":\"another\"}").await.is_problem(403, 614, "");
    put("/auth/google", "{}").await.is_problem(400, 601, "provider");
    put("/auth/password", "{}").await.is_problem(400, 602, "data");
    put("/auth/password", "{\"data\":{}}").await.is_problem(400, 602, "new_password");
    put("/auth/password", "{\"data\":{\"new_password\":\"\"}}").await.is_problem(400, 602, "new_password");
    put("/auth/password", "{\"data\":{\"new_password\":\"short\"}}").await.is_problem(
        400,
        601,
        "new_password",
    );
    put("/auth/password", "{\"data\":{\"new_password\":7}}").await.is_problem(400, 601, "new_password");
    put("/auth/password", "{\"user_id\":7,\"data\":{}}").await.is_problem(400, 601, "user_id");
    put("/auth/password", "{\"data\":{\"new_password\":\"another one\"}}").await.is_done();
    put("/auth/password", "{\"data\":{\"new_password\":\"a third one\"}}").await.is_done();
    token_of(&site, &ANN.replace("correct horse", "a third one")).await;
}

#[tokio::test]
async fn an_administrator_changes_the_password_of_others_that_exist() {
    let site = TestSite::new();
    let session = token_of(&site, ANN).await;
    let ann = authenticate(&site.desk.service, &session).await.ok().unwrap().owner().unwrap().id.clone();
    site.store.edit_account(&ann, |account| account.is_admin = true);
    let header = format!("authorization: {session}");
    let unknown = "{\"user_id\":\"nobody\",\"data\":{}}";
    with_session(&site, "PUT", "/auth/password", &header, unknown).await.is_problem(404, 612, "");
    let without = "{\"user_id\":\"nobody\"}";
    with_session(&site, "PUT", "/auth/password", &header, without).await.is_problem(400, 602, "data");
}

#[tokio::test]
async fn signing_out_works_whatever_the_body_is_called() {
    let site = TestSite::new();
    let token = token_of(&site, ANN).await;
    let headers = format!("authorization: {token}\ncontent-type: text/plain;charset=UTF-8");
    let revoke = |body: String| site.send("POST", "/auth/revoke", &headers, body);
    revoke("{}".to_owned()).await.is_problem(400, 602, "token");
    revoke("{\"token\":\"\"}".to_owned()).await.is_problem(400, 602, "token");
    revoke("{\"token\":7}".to_owned()).await.is_problem(400, 601, "token");
    revoke("{\"token\":\"a:b\"}".to_owned()).await.is_problem(400, 601, "token");
    let other = token_of(&site, &ANN.replace("ann@", "eve@")).await;
    revoke(format!("{{\"token\":\"{other}\"}}")).await.is_problem(403, 614, "");
    revoke(format!("{{\"token\":\"{token}\"}}")).await.is_done();
    revoke(format!("{{\"token\":\"{token}\"}}")).await.is_problem(403, 614, "");
    site.post("/auth/revoke", "{}").await.is_problem(401, 611, "");
}

#[tokio::test]
async fn a_limit_answers_429_with_a_code_that_clients_know() {
    let limits = Limits { sign_in: Some(1), ..free_policy().limits };
    let site = TestSite::under(Policy { limits, ..free_policy() });
    token_of(&site, ANN).await;
    let answer = site.post("/auth", ANN).await;
    answer.is_problem(429, 802, "");
    assert_eq!(answer.header("retry-after"), Some("60"));
    // Another client, seen through a proxy that is not trusted, is still the same one.
    let forwarded = "content-type: application/json\nx-forwarded-for: 203.0.113.9";
    assert_eq!(site.send("POST", "/auth", forwarded, ANN).await.status, 429);
}

#[tokio::test]
async fn with_required_confirmation_new_and_taken_names_look_alike() {
    let site = TestSite::under(Policy { require_confirmation: true, ..free_policy() });
    let register = ANN.replace('}', ",\"register\":true}");
    let (first, second) = (site.post("/auth", &register).await, site.post("/auth", &register).await);
    first.is_problem(403, 614, "");
    assert_eq!((first.body, first.headers), (second.body, second.headers));
    site.post("/auth", ANN).await.is_problem(403, 614, "");
    site.post("/auth", &ANN.replace("correct", "wrong")).await.is_problem(401, 611, "");
}

#[tokio::test]
async fn any_site_may_ask_and_anything_else_is_a_json_404() {
    let site = TestSite::new();
    let headers = "origin: https://evil.example\naccess-control-request-headers: authorization,content-type";
    for path in ["/auth", "/auth/nothing/at/all", "/AUTH/", "/health"] {
        let answer = site.send("OPTIONS", path, headers, Body::empty()).await;
        assert_eq!((answer.status, &*answer.body), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET,HEAD,PUT,PATCH,POST,DELETE"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,content-type"));
        assert_eq!(answer.header("vary"), Some("Access-Control-Request-Headers"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for (method, path) in [
        ("GET", "/auth"),
        ("TRACE", "/auth"),
        ("PATCH", "/auth/password/updateAccount"),
        ("PUT", "/auth/users"),
        ("POST", "/health"),
        ("GET", "/"),
        ("GET", "/.env"),
        ("DELETE", "/reset-password"),
        ("PUT", "/confirm-email"),
        ("BREW", "/auth"),
    ] {
        let answer = site.send(method, path, "", Body::empty()).await;
        assert_eq!(
            (answer.status, &*answer.body),
            (404, "{\"title\":\"Not Found\",\"status\":404}"),
            "{path}"
        );
        answer.json();
    }
}
