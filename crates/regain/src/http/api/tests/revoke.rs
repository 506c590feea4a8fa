use super::*;

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
async fn any_token_that_was_signed_here_can_be_ended() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let revoke = async |by: &Person, token: &str| {
        with_session(&site, "POST", "/auth/revoke", &by.header, &json!({"token": token}).to_string()).await
    };
    let trade = json!({"provider": "realm", "data": ann.token}).to_string();
    let user_token = site.post("/auth", &trade).await.json()["user_token"]["token"].clone();
    revoke(&ann, user_token.as_str().unwrap()).await.is_done();
    revoke(&ann, &admin.token).await.is_problem(403, 614, "");
    // An administrator ends anybody's, in the end its own.
    revoke(&admin, &ann.token).await.is_done();
    ann.get(&site, "/auth/users/1").await.is_problem(403, 614, "");
    revoke(&admin, &admin.token).await.is_done();
    admin.get(&site, "/auth/users/1").await.is_problem(403, 614, "");
}

#[tokio::test]
async fn an_expired_token_needs_no_ending() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    site.desk.advance(std::time::Duration::from_secs(91 * 24 * 3600));
    let now = Person { token: token_of(&site, ANN).await, ..ann };
    let header = format!("authorization: {}", now.token);
    let old = now.header.trim_start_matches("authorization: ");
    with_session(&site, "POST", "/auth/revoke", &header, &json!({"token": old}).to_string()).await.is_done();
}
