use super::*;

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
        format!("x-session: {token}"),
        format!("X-Session: Bearer {token}"),
        format!("x-session:  \nauthorization: {token}"),
        // The first header that holds something is the one that counts.
        format!("x-realm-access-token: x\nauthorization: {token}"),
        format!("authorization: x\nx-session: {token}"),
    ] {
        with_session(&site, "PUT", "/auth/password", &header, "{}").await.is_problem(400, 602, "data");
    }
    with_session(&site, "PUT", "/auth/password", "accept: */*", "{}").await.is_problem(401, 611, "");
    for both in [
        format!("authorization: x\nx-realm-access-token: {token}"),
        format!("x-session: x\nauthorization: {token}"),
    ] {
        with_session(&site, "PUT", "/auth/password", &both, "{}").await.is_problem(401, 611, "");
    }
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
        ("GET", "/auth/users/1"),
        ("GET", "/auth/users/password/ann"),
        ("GET", "/auth/users/100%"),
        ("PUT", "/auth/users"),
        ("DELETE", "/auth/users/1"),
        ("DELETE", "/auth/user/1"),
        ("GET", "/auth/providers"),
        ("POST", "/auth/providers"),
        ("DELETE", "/auth/providers/password"),
    ] {
        with_session(&site, method, path, "authorization: a:b", ANN).await.is_problem(401, 611, "");
    }
    for path in ["/health", "/reset-password", "/confirm-email?token=x"] {
        assert_eq!(with_session(&site, "GET", path, "authorization: a:b", "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn without_a_session_a_route_that_needs_one_says_so_before_anything_else() {
    let site = TestSite::new();
    for (method, path) in [
        ("GET", "/auth/users/1"),
        ("HEAD", "/auth/users/1"),
        ("GET", "/auth/users/password/ann"),
        ("GET", "/auth/users/google/ann"),
        ("PUT", "/auth/users"),
        ("DELETE", "/auth/users/1"),
        ("DELETE", "/auth/user/1"),
        ("GET", "/auth/providers"),
        ("POST", "/auth/providers"),
        ("DELETE", "/auth/providers/password"),
        ("PUT", "/auth/password"),
        ("PUT", "/auth/google"),
        ("POST", "/auth/revoke"),
    ] {
        let answer = site.send(method, path, "content-type: application/json", "{}").await;
        assert_eq!(answer.status, 401, "{method} {path}");
        if method != "HEAD" {
            answer.is_problem(401, 611, "");
            assert!(answer.json().get("detail").is_none(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_user_token_opens_nothing_not_even_an_administrators() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    site.make_admin(&ann.id);
    let trade = json!({"provider": "realm", "data": ann.token}).to_string();
    let answer = site.post("/auth", &trade).await;
    let token = answer.json()["user_token"]["token"].as_str().unwrap().to_owned();
    let header = format!("authorization: {token}");
    let own = format!("/auth/users/{}", ann.id);
    with_session(&site, "GET", &own, &header, "").await.is_problem(401, 611, "");
}

#[tokio::test]
async fn a_parameter_that_cannot_be_decoded_is_a_plain_400_with_or_without_a_session() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    for (method, path) in [
        ("POST", "/auth/100%/updateAccount"),
        ("PUT", "/auth/100%"),
        ("GET", "/auth/users/100%"),
        ("DELETE", "/auth/user/100%"),
        ("GET", "/auth/users/password/100%"),
        ("DELETE", "/auth/providers/100%"),
    ] {
        for header in ["accept: */*", &ann.header] {
            let answer = with_session(&site, method, path, header, "{}").await;
            assert_eq!(
                (answer.status, &*answer.body),
                (400, "{\"title\":\"Failed to decode param '100%'\",\"status\":400}"),
                "{method} {path}"
            );
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        }
    }
}
