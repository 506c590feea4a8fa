use regain_core::flows::session::authenticate;

use super::*;

#[tokio::test]
async fn changing_a_password_checks_in_the_order_of_ros_and_keeps_the_session() {
    let site = TestSite::new();
    let header = format!("authorization: {}", token_of(&site, ANN).await);
    let put = |path: &'static str, body: &'static str| with_session(&site, "PUT", path, &header, body);
    put("/auth/google", "{\"user_id\":\"another\"}").await.is_problem(403, 614, "");
    put("/auth/google", "{}").await.is_problem(400, 601, "provider");
    put("/auth/realm", "{}").await.is_problem(400, 601, "provider");
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
async fn the_administrators_token_changes_passwords_but_has_none_itself() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let put = |id: &str| {
        let body = json!({"user_id": id, "data": {"new_password": "another one"}}).to_string();
        let header = admin.header.clone();
        let site = &site;
        async move { with_session(site, "PUT", "/auth/password", &header, &body).await }
    };
    put(&ann.id).await.is_done();
    token_of(&site, &ANN.replace("correct horse", "another one")).await;
    // Every session ends with a change by somebody else.
    ann.get(&site, &format!("/auth/users/{}", ann.id)).await.is_problem(401, 611, "");
    for id in ["", "__admin", "nobody", "a\u{0}b", "ann@example.org"] {
        put(id).await.is_problem(404, 612, "");
    }
}
