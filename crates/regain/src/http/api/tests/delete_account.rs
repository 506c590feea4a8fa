use super::*;

#[tokio::test]
async fn an_owner_deletes_the_account_and_the_name_is_free_again() {
    for path in ["/auth/users/", "/auth/user/", "/AUTH/User/"] {
        let site = TestSite::new();
        let ann = Person::register(&site, "ann@example.org").await;
        ann.delete(&site, &format!("{path}{}", ann.id)).await.is_done();
        ann.delete(&site, &format!("{path}{}", ann.id)).await.is_problem(401, 611, "");
        let again = Person::register(&site, "ann@example.org").await;
        assert_ne!(again.id, ann.id);
    }
}

#[tokio::test]
async fn an_administrator_deletes_anybody_and_is_told_of_nobody() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let path = format!("/auth/users/{}", ann.id);
    let headers = format!("{}\ncontent-type: application/json", admin.header);
    site.send("DELETE", &path, &headers, "").await.is_done();
    for path in [&*path, "/auth/users/nobody", "/auth/user/nobody", "/auth/users/%00", "/auth/users/a%20b"] {
        let answer = admin.delete(&site, path).await;
        answer.is_problem(404, 618, "");
        assert_eq!(answer.json()["title"], "The user does not exist.");
    }
}

#[tokio::test]
async fn what_is_not_ones_own_is_denied_whether_it_is_there_or_not() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    let eve = Person::register(&site, "eve@example.org").await;
    for id in [&*ann.id, "nobody", "__admin", "%00"] {
        eve.delete(&site, &format!("/auth/users/{id}")).await.is_problem(403, 614, "");
    }
    let admin = Person::admin(&site).await;
    admin.delete(&site, "/auth/users/__admin").await.is_problem(403, 614, "");
    assert_eq!(ann.get(&site, &format!("/auth/users/{}", ann.id)).await.status, 200);
}
