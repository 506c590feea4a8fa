use std::time::Duration;

use super::*;

fn trade(token: &str) -> Value {
    json!({"provider": "realm", "data": token})
}

#[tokio::test]
async fn a_session_is_traded_for_a_user_token_of_an_hour() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    let answer = site.post("/auth", &trade(&ann.token).to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["user_token"]);
    let data = body["user_token"]["token_data"].as_object().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["app_id", "identity", "salt", "expires", "is_admin"]);
    assert_eq!((&data["app_id"], &data["identity"]), (&json!("io.realm.Auth"), &json!(ann.id)));
    assert_eq!(data["expires"], (site.desk.service.now() + Duration::from_secs(3600)).as_secs());
    let named = json!({"provider": "realm", "data": ann.token, "app_id": "my.app", "path": ""});
    let answer = site.post("/auth", &named.to_string()).await;
    assert_eq!(answer.json()["user_token"]["token_data"]["app_id"], "my.app");
}

#[tokio::test]
async fn what_is_no_session_that_holds_is_denied_without_a_reason() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let answer = site.post("/auth", &trade(&ann.token).to_string()).await;
    let user_token = answer.json()["user_token"]["token"].as_str().unwrap().to_owned();
    let revoked = Person::register(&site, "bob@example.org").await;
    let revoke = json!({"token": revoked.token}).to_string();
    with_session(&site, "POST", "/auth/revoke", &revoked.header, &revoke).await.is_done();
    let altered = ann.token.replacen("eyJ", "eyK", 1);
    let denied = async |token: &str| {
        let answer = site.post("/auth", &trade(token).to_string()).await;
        answer.is_problem(403, 614, "");
        assert!(answer.json().get("detail").is_none(), "{token}");
    };
    for token in ["x", "a:b", &altered, &revoked.token, &user_token, &admin.token] {
        denied(token).await;
    }
    site.desk.advance(Duration::from_secs(91 * 24 * 3600));
    denied(&ann.token).await;
}

#[tokio::test]
async fn a_path_is_refused_after_the_session_was_found_good() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    let with_path = |token: &str| json!({"provider": "realm", "data": token, "path": "/~/notes"}).to_string();
    let good = site.post("/auth", &with_path(&ann.token)).await;
    let bad = site.post("/auth", &with_path("a:b")).await;
    good.is_problem(403, 614, "");
    bad.is_problem(403, 614, "");
    assert_eq!((good.json().get("detail").is_some(), bad.json().get("detail").is_some()), (true, false));
}

#[tokio::test]
async fn every_bad_trade_has_its_problem() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    for (body, code, names) in [
        (json!({"provider": "realm"}), 602, "data"),
        (json!({"provider": "realm", "data": null}), 602, "data"),
        (json!({"provider": "realm", "data": ""}), 602, "data"),
        (json!({"provider": "realm", "data": 7}), 601, "data"),
        (json!({"provider": "realm", "data": [ann.token]}), 601, "data"),
        (json!({"provider": "realm", "data": ann.token, "path": true}), 601, "path"),
        (json!({"provider": "realm", "data": ann.token, "app_id": 7}), 601, "app_id"),
        (json!({"provider": "realm", "data": ann.token, "app_id": "a\nb"}), 601, "app_id"),
    ] {
        site.post("/auth", &body.to_string()).await.is_problem(400, code, names);
    }
    // No session is looked for in a header, but a bad one is refused as everywhere.
    let bad =
        with_session(&site, "POST", "/auth", "authorization: a:b", &trade(&ann.token).to_string()).await;
    bad.is_problem(401, 611, "");
}
