use super::*;

#[tokio::test]
async fn a_new_account_is_made_without_a_password_and_without_mail() {
    let site = TestSite::new();
    let admin = Person::admin(&site).await;
    let body = json!({"provider": "password", "provider_id": "ann@example.org"});
    let made = admin.put_user(&site, &body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let made = made.json();
    let id = made["user_id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert_eq!(
        made,
        json!({
            "user_id": id, "is_admin": false,
            "accounts": [{"provider": "password", "provider_id": "ann@example.org"}], "metadata": [],
        })
    );
    site.desk.deliver().await;
    assert!(site.desk.mailer.attempted().is_empty());
    site.post("/auth", ANN).await.is_problem(401, 611, "");
    // Once it has a password, its owner signs in.
    let password = json!({"user_id": id, "data": {"new_password": "correct horse"}}).to_string();
    with_session(&site, "PUT", "/auth/password", &admin.header, &password).await.is_done();
    assert_eq!(site.post("/auth", ANN).await.json()["refresh_token"]["token_data"]["identity"], *id);
}

#[tokio::test]
async fn an_account_that_is_there_is_changed_and_keeps_what_is_left_out() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let put = async |more: Value| {
        let mut body = json!({"provider": "password", "provider_id": "Ann@example.org"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = admin.put_user(&site, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let user = answer.json();
        assert_eq!(user["user_id"], json!(ann.id));
        assert_eq!(user, admin.get(&site, &format!("/auth/users/{}", ann.id)).await.json());
        (user["is_admin"].as_bool().unwrap(), user["metadata"].to_string())
    };
    let metadata =
        json!({"is_admin": true, "metadata": {"zeta": "1", "alpha": "", "isEmailConfirmed": "true"}});
    let confirmed = "{\"key\":\"isEmailConfirmed\",\"value\":\"true\"}";
    let others = "{\"key\":\"alpha\",\"value\":\"\"},{\"key\":\"zeta\",\"value\":\"1\"}";
    assert_eq!(put(metadata).await, (true, format!("[{confirmed},{others}]")));
    // Metadata is replaced as a whole; the two flags stay as they are.
    assert_eq!(put(json!({"is_admin": null, "metadata": null})).await, (true, format!("[{confirmed}]")));
    assert!(put(json!({"user_id": ann.id, "metadata": {"a": "b"}})).await.0);
    assert_eq!(put(json!({})).await, (true, format!("[{confirmed}]")));
    let back = json!({"is_admin": false, "user_id": "", "metadata": {"isEmailConfirmed": "false"}});
    assert_eq!(put(back).await, (false, "[]".to_owned()));
    // What was changed holds at once, for the session that was open before.
    let own = format!("/auth/users/{}", ann.id);
    assert_eq!(ann.get(&site, &own).await.status, 200);
}

#[tokio::test]
async fn an_administrator_chooses_the_identity() {
    let site = TestSite::new();
    let admin = Person::admin(&site).await;
    let body = json!({"provider": "realm", "provider_id": "Mail Server", "user_id": "mail-server"});
    let made = admin.put_user(&site, &body).await.json();
    assert_eq!(made["user_id"], "mail-server");
    assert_eq!(made["accounts"], json!([{"provider": "realm", "provider_id": "Mail Server"}]));
    for path in ["/auth/users/mail-server", "/auth/users/realm/Mail%20Server"] {
        assert_eq!(admin.get(&site, path).await.json(), made, "{path}");
    }
    admin.get(&site, "/auth/users/password/Mail%20Server").await.is_problem(404, 612, "");
    admin.get(&site, "/auth/users/realm/mail%20server").await.is_problem(404, 612, "");
}

#[tokio::test]
async fn only_administrators_put_and_are_told_so_first() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    for body in ["{}", "{\"provider\":7}", "{\"provider\":\"password\",\"provider_id\":\"ann@example.org\"}"]
    {
        ann.put_user(&site, body).await.is_problem(403, 614, "");
    }
    ann.put_user(&site, "{").await.json();
    assert_eq!(ann.put_user(&site, "{").await.status, 400);
    site.make_admin(&ann.id);
    ann.put_user(&site, "{}").await.is_problem(400, 602, "provider,providerId");
}

#[tokio::test]
async fn every_bad_put_has_its_problem() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    Person::register(&site, "eve@example.org").await;
    let named = |more: Value| {
        let mut body = json!({"provider": "password", "provider_id": "eve@example.org"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let many: serde_json::Map<_, _> = (0..101).map(|i| (i.to_string(), json!("x"))).collect();
    for (body, code, names) in [
        (json!({}), 602, "provider,providerId"),
        (json!({"provider": "", "provider_id": null}), 602, "provider,providerId"),
        (json!({"provider": "google"}), 602, "providerId"),
        (json!({"provider_id": "ann"}), 602, "provider"),
        (json!({"provider": 7, "provider_id": "ann"}), 601, "provider"),
        (json!({"provider": "password", "provider_id": ["ann"]}), 601, "providerId"),
        (json!({"provider": "google", "provider_id": "ann"}), 601, "provider"),
        (json!({"provider": "Password", "provider_id": "ann"}), 601, "provider"),
        (json!({"provider": "password", "provider_id": "a\nb"}), 601, "providerId"),
        (json!({"provider": "realm", "provider_id": "a\u{0}b"}), 601, "providerId"),
        (json!({"provider": "password", "provider_id": "x".repeat(255)}), 601, "providerId"),
        (json!({"provider": "realm", "provider_id": "__admin"}), 601, "userId"),
        (named(json!({"user_id": 7})), 601, "userId"),
        (named(json!({"user_id": "a b"})), 601, "userId"),
        (named(json!({"user_id": "__admin"})), 601, "userId"),
        (named(json!({"user_id": "x".repeat(129)})), 601, "userId"),
        // Eve has another, and this one is Ann's.
        (named(json!({"user_id": "another"})), 601, "userId"),
        (named(json!({"user_id": ann.id})), 601, "userId"),
        (named(json!({"is_admin": "true"})), 601, "is_admin"),
        (named(json!({"is_admin": 1})), 601, "is_admin"),
        (named(json!({"metadata": []})), 601, "metadata"),
        (named(json!({"metadata": "x"})), 601, "metadata"),
        (named(json!({"metadata": {"a": 1}})), 601, "metadata"),
        (named(json!({"metadata": {"a": null}})), 601, "metadata"),
        (named(json!({"metadata": {"": "x"}})), 601, "metadata"),
        (named(json!({"metadata": {"isEmailConfirmed": "yes"}})), 601, "metadata"),
        (named(json!({"metadata": {"isEmailConfirmed": true}})), 601, "metadata"),
        (named(json!({"metadata": many})), 601, "metadata"),
    ] {
        admin.put_user(&site, &body).await.is_problem(400, code, names);
    }
    let twice = "{\"provider\":\"password\",\"provider_id\":\"x\",\"metadata\":{\"a\":\"1\",\"a\":\"2\"}}";
    admin.put_user(&site, twice).await.is_problem(400, 601, "a");
    // None of them left anything behind.
    for name in ["ann", "x"] {
        admin.get(&site, &format!("/auth/users/password/{name}")).await.is_problem(404, 612, "");
    }
    let eve = admin.get(&site, "/auth/users/password/eve@example.org").await.json();
    assert_eq!((&eve["is_admin"], &eve["metadata"]), (&json!(false), &json!([])));
}
