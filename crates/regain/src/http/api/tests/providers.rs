use super::*;

#[tokio::test]
async fn administrators_see_what_is_configured() {
    let site = TestSite::new();
    let admin = Person::admin(&site).await;
    let answer = admin.get(&site, "/auth/providers").await;
    assert_eq!(answer.status, 200);
    answer.json();
    assert_eq!(
        answer.body,
        "[{\"name\":\"password\",\"type\":\"password\",\
         \"config\":{\"emailHandlerConfig\":{\"from\":\"ann@example.org\"}}}]"
    );
    assert_eq!(site.send("HEAD", "/auth/providers/", &admin.header, "").await.status, 200);
}

#[tokio::test]
async fn nobody_changes_providers_at_run_time() {
    let site = TestSite::new();
    let admin = Person::admin(&site).await;
    for (method, path) in
        [("POST", "/auth/providers"), ("DELETE", "/auth/providers/password"), ("DELETE", "/auth/providers/x")]
    {
        let answer = with_session(&site, method, path, &admin.header, "{\"type\":\"debug\"}").await;
        let json = answer.json();
        assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["title", "status", "detail"]);
        assert_eq!(
            (&json["title"], answer.status),
            (&json!("Runtime configuration disabled"), 403),
            "{path}"
        );
        assert_eq!(json["status"], 403);
    }
}

#[tokio::test]
async fn they_are_nobody_elses_business() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    for (method, path) in
        [("GET", "/auth/providers"), ("POST", "/auth/providers"), ("DELETE", "/auth/providers/password")]
    {
        with_session(&site, method, path, &ann.header, "{}").await.is_problem(403, 614, "");
    }
}
