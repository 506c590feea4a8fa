//! The API as clients see it, told route by route.

mod auth;
mod change_password;
mod credentials;
mod delete_account;
mod find_account;
mod providers;
mod put_account;
mod revoke;
mod update_account;
mod user_token;

use axum::body::Body;
use serde_json::{Value, json};

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

/// Somebody with a session.
struct Person {
    id: String,
    token: String,
    /// The header line that presents the session.
    header: String,
}

impl Person {
    async fn register(site: &TestSite, name: &str) -> Self {
        let body = json!({"provider": "password", "username": name, "password": "correct horse"});
        let answer = site.post("/auth", &body.to_string()).await;
        let signed = &answer.json()["refresh_token"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let token = text(&signed["token"]);
        Self { id: text(&signed["token_data"]["identity"]), header: format!("authorization: {token}"), token }
    }

    /// The holder of the administrator's token.
    async fn admin(site: &TestSite) -> Self {
        let token = site.admin_token().await;
        Self { id: "__admin".to_owned(), header: format!("authorization: {token}"), token }
    }

    async fn get(&self, site: &TestSite, path: &str) -> Answer {
        site.send("GET", path, &self.header, Body::empty()).await
    }

    async fn delete(&self, site: &TestSite, path: &str) -> Answer {
        site.send("DELETE", path, &self.header, Body::empty()).await
    }

    async fn put_user(&self, site: &TestSite, body: impl ToString) -> Answer {
        with_session(site, "PUT", "/auth/users", &self.header, &body.to_string()).await
    }
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
        ("GET", "/auth/users"),
        ("POST", "/auth/users/1"),
        ("GET", "/auth/user/1"),
        ("DELETE", "/auth/users/password/ann"),
        ("GET", "/auth/users//"),
        ("DELETE", "/auth/providers"),
        ("GET", "/auth/providers/password"),
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
