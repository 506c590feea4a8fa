use regain_core::Purpose;

use super::*;

const NAMED: &str = "/auth/users/password";

#[tokio::test]
async fn an_account_is_shown_as_ros_shows_a_user() {
    let site = TestSite::new();
    let ann = Person::register(&site, "Ann@example.org").await;
    let path = format!("/auth/users/{}", ann.id);
    let before = ann.get(&site, &path).await;
    let expected = |metadata: &str| {
        format!(
            "{{\"user_id\":\"{}\",\"is_admin\":false,\
             \"accounts\":[{{\"provider\":\"password\",\"provider_id\":\"Ann@example.org\"}}],\
             \"metadata\":[{metadata}]}}",
            ann.id
        )
    };
    assert_eq!((before.status, before.body.clone()), (200, expected("")));
    before.json();
    assert_eq!(before.header("cache-control"), Some("no-store"));
    site.desk.deliver().await;
    assert!(site.desk.confirm(&site.desk.last_token(Purpose::Confirm)).await.is_ok());
    let confirmed = "{\"key\":\"isEmailConfirmed\",\"value\":\"true\"}";
    assert_eq!(ann.get(&site, &path).await.body, expected(confirmed));
    for path in
        ["/AUTH/Users/ID/", "/auth/users/password/ann@EXAMPLE.org", "/auth/users/password/ANN@example.org/"]
    {
        assert_eq!(ann.get(&site, &path.replace("ID", &ann.id)).await.body, expected(confirmed), "{path}");
    }
    let head = site.send("HEAD", &path, &ann.header, Body::empty()).await;
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn a_look_up_is_not_refused_for_what_it_says_of_bodies() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    let path = format!("/auth/users/{}", ann.id);
    for headers in [
        "content-type: application/json",
        "content-type: application/json; charset=utf-8\naccept: application/json",
        "content-type: application/json\ncontent-length: 0",
        "content-type: text/plain;charset=UTF-8",
        "accept: application/json, application/problem+json",
        "accept: text/html",
        "accept: */*\nif-none-match: *",
    ] {
        for method in ["GET", "HEAD"] {
            let headers = format!("{headers}\n{}", ann.header);
            let answer = site.send(method, &path, &headers, Body::empty()).await;
            assert_eq!(answer.status, 200, "{method} {headers}");
        }
    }
}

#[tokio::test]
async fn by_identity_what_is_not_ones_own_is_denied_whether_it_is_there_or_not() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    let eve = Person::register(&site, "eve@example.org").await;
    let there = eve.get(&site, &format!("/auth/users/{}", ann.id)).await;
    there.is_problem(403, 614, "");
    for id in ["nobody", "__admin", "%00", "ann@example.org", "password", &ann.id.to_uppercase()] {
        let other = eve.get(&site, &format!("/auth/users/{id}")).await;
        assert_eq!((other.status, &other.body, &other.headers), (403, &there.body, &there.headers), "{id}");
    }
}

#[tokio::test]
async fn by_name_what_is_not_ones_own_looks_like_nothing() {
    let site = TestSite::new();
    let ann = Person::register(&site, "ann@example.org").await;
    let eve = Person::register(&site, "eve@example.org").await;
    let there = eve.get(&site, "/auth/users/password/ann@example.org").await;
    there.is_problem(404, 612, "");
    for path in [
        "/auth/users/password/nobody@example.org",
        "/auth/users/realm/eve@example.org",
        "/auth/users/realm/__admin",
        "/auth/users/google/eve@example.org",
        "/auth/users/password/a%00b",
        "/auth/users/password/%25",
    ] {
        let other = eve.get(&site, path).await;
        assert_eq!((other.status, &other.body, &other.headers), (404, &there.body, &there.headers), "{path}");
    }
    assert_eq!(ann.get(&site, "/auth/users/password/ann@example.org").await.status, 200);
}

#[tokio::test]
async fn an_administrator_finds_everybody_and_is_told_of_nobody() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let boss = Person::register(&site, "boss@example.org").await;
    site.make_admin(&boss.id);
    for by in [&admin, &boss] {
        for path in [format!("/auth/users/{}", ann.id), "/auth/users/password/ann@example.org".to_owned()] {
            let answer = by.get(&site, &path).await;
            assert_eq!((answer.status, &answer.json()["user_id"]), (200, &json!(ann.id)), "{path}");
        }
        for path in ["/auth/users/nobody", "/auth/users/%00", "/auth/users/ann@example.org"] {
            by.get(&site, path).await.is_problem(404, 612, "");
        }
        for path in
            ["/password/nobody", "/google/ann@example.org", "/realm/ann@example.org", "/password/a%00b"]
        {
            by.get(&site, &format!("/auth/users{path}")).await.is_problem(404, 612, "");
        }
        let builtin = "{\"user_id\":\"__admin\",\"is_admin\":true,\
                       \"accounts\":[{\"provider\":\"realm\",\"provider_id\":\"__admin\"}],\"metadata\":[]}";
        assert_eq!(by.get(&site, "/auth/users/__admin").await.body, builtin);
        assert_eq!(by.get(&site, "/auth/users/realm/__admin").await.body, builtin);
    }
    assert_eq!(boss.get(&site, &format!("/auth/users/{}", boss.id)).await.json()["is_admin"], true);
}

#[tokio::test]
async fn a_name_is_found_escaped_once_and_escaped_twice() {
    let site = TestSite::new();
    let admin = Person::admin(&site).await;
    for (name, once, twice) in [
        ("ann+x@example.org", "ann%2Bx%40example.org", "ann%252Bx%2540example.org"),
        ("a/b", "a%2Fb", "a%252Fb"),
        ("ünal", "%C3%BCnal", "%25C3%25BCnal"),
        ("100%", "100%25", "100%2525"),
        ("100%zz", "100%25zz", "100%2525zz"),
        ("a%41", "a%2541", "a%252541"),
    ] {
        let person = Person::register(&site, name).await;
        for by in [&person, &admin] {
            for path in [once, twice] {
                let answer = by.get(&site, &format!("{NAMED}/{path}")).await;
                assert_eq!(answer.status, 200, "{name} as {path}");
                assert_eq!(answer.json()["user_id"], json!(person.id), "{name} as {path}");
            }
        }
    }
    // Where both readings are names, the one that is decoded twice goes first.
    let other = Person::register(&site, "aA").await;
    assert_eq!(admin.get(&site, &format!("{NAMED}/a%2541")).await.json()["user_id"], json!(other.id));
    // What is a name in one reading alone is read so.
    for path in ["a%250Ab", "%25ff", "a%2500"] {
        admin.get(&site, &format!("{NAMED}/{path}")).await.is_problem(404, 612, "");
    }
}

#[tokio::test]
async fn who_has_gone_sees_nothing_any_more() {
    let site = TestSite::new();
    let (ann, admin) = (Person::register(&site, "ann@example.org").await, Person::admin(&site).await);
    let path = format!("/auth/users/{}", ann.id);
    admin.delete(&site, &path).await.is_done();
    ann.get(&site, &path).await.is_problem(401, 611, "");
    admin.get(&site, &path).await.is_problem(404, 612, "");
}
