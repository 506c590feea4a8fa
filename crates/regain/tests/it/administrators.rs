//! What administrators do over HTTP, on a real database: accounts are made, shown, changed and deleted.

use axum::body::Body;
use axum::http::Request;
use regain_core::session::AdminToken;
use serde_json::{Value, json};

use crate::app::{ADA, Answer, TestApp};

/// Somebody's token, presented.
struct By<'a> {
    app: &'a TestApp,
    token: String,
}

impl By<'_> {
    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("authorization", &self.token);
        let request = request.header("content-type", "application/json;charset=utf-8");
        self.app.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn shown(&self, path: &str) -> Value {
        let answer = self.send("GET", path, json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

/// The holder of the administrator's token.
async fn admin(app: &TestApp) -> By<'_> {
    let service = &app.service;
    let signed = service.signing_keys.sign(&AdminToken::new(&*service.rng).unwrap()).unwrap();
    let (_, id) = service.signing_keys.read(&signed.token).unwrap();
    assert!(service.store.put_admin_token(&id, true, service.now()).await.unwrap());
    By { app, token: signed.token.to_string() }
}

async fn signed_in<'a>(app: &'a TestApp, name: &str, password: &str) -> By<'a> {
    let answer = app.sign_in(name, password).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    By { app, token: body["refresh_token"]["token"].as_str().unwrap().to_owned() }
}

#[tokio::test]
async fn an_account_lives_and_dies_by_an_administrators_hand() {
    let app = TestApp::start().await;
    let admin = admin(&app).await;
    let put = json!({"provider": "password", "provider_id": ADA, "user_id": "ada-1", "metadata": {"b": "2", "a": "1"}});
    assert_eq!(admin.send("PUT", "/auth/users", put).await.status, 200);
    app.deliver().await;
    assert!(app.mails().is_empty(), "an administrator's account is not mailed to");
    app.sign_in(ADA, "first password").await.is_problem(401, 611);

    let password = json!({"user_id": "ada-1", "data": {"new_password": "first password"}});
    admin.send("PUT", "/auth/password", password).await.succeeds();
    app.deliver().await;
    app.clear_mail();
    let ada = signed_in(&app, ADA, "first password").await;
    app.ask_confirmation(ADA).await.succeeds();
    app.deliver().await;
    app.confirm(&app.only_token()).await.succeeds();
    let user = json!({
        "user_id": "ada-1", "is_admin": false,
        "accounts": [{"provider": "password", "provider_id": ADA}],
        "metadata": [
            {"key": "isEmailConfirmed", "value": "true"}, {"key": "a", "value": "1"}, {"key": "b", "value": "2"},
        ],
    });
    let twice = ADA.replace('@', "%2540");
    for path in ["/auth/users/ada-1".to_owned(), format!("/auth/users/password/{twice}")] {
        assert_eq!(ada.shown(&path).await, user);
        assert_eq!(admin.shown(&path).await, user);
    }

    app.clear_mail();
    app.ask_reset(ADA).await.succeeds();
    app.deliver().await;
    let link = app.only_token();
    admin.send("DELETE", "/auth/users/ada-1", json!({})).await.succeeds();
    ada.send("GET", "/auth/users/ada-1", json!({})).await.is_problem(401, 611);
    app.reset(&link, "another password").await.is_problem(403, 614);
    app.sign_in(ADA, "first password").await.is_problem(401, 611);
    admin.send("GET", "/auth/users/ada-1", json!({})).await.is_problem(404, 612);
    admin.send("DELETE", "/auth/users/ada-1", json!({})).await.is_problem(404, 618);
    app.has_account(ADA, "second password").await;
    assert_ne!(admin.shown(&format!("/auth/users/password/{ADA}")).await["user_id"], "ada-1");
}

#[tokio::test]
async fn who_is_no_administrator_any_more_is_none_at_once() {
    let app = TestApp::start().await;
    app.has_account(ADA, "correct horse").await;
    let (admin, ada) = (admin(&app).await, signed_in(&app, ADA, "correct horse").await);
    let put = |is_admin: bool| json!({"provider": "password", "provider_id": ADA, "is_admin": is_admin});
    ada.send("GET", "/auth/users/nobody", json!({})).await.is_problem(403, 614);
    assert_eq!(admin.send("PUT", "/auth/users", put(true)).await.status, 200);
    ada.send("GET", "/auth/users/nobody", json!({})).await.is_problem(404, 612);
    assert_eq!(admin.send("PUT", "/auth/users", put(false)).await.status, 200);
    ada.send("PUT", "/auth/users", put(true)).await.is_problem(403, 614);
    // The administrator's token ends as any other does, and does not come back.
    let revoke = json!({"token": admin.token});
    ada.send("POST", "/auth/revoke", revoke.clone()).await.is_problem(403, 614);
    admin.send("POST", "/auth/revoke", revoke).await.succeeds();
    admin.send("GET", "/auth/users/nobody", json!({})).await.is_problem(403, 614);
}
