//! That every answer of the document is what the server says, byte for byte but for ids.

use std::time::Duration;

use axum::body::Body;
use regain_core::{Limits, Policy};
use serde_json::{Value, json};

use super::super::super::body::BodyDeadline;
use super::super::super::error::{Kind, Problem};
use super::super::super::health::HealthStatus;
use super::super::super::testing::{Answer, TestSite, free_policy};
use super::{Operation, Scene, operations, samples, values, written};

/// Who asks.
#[derive(Clone, Copy)]
enum By {
    Nobody,
    Ann,
    Admin,
}

/// Makes the server give one answer of an operation; none where it has none of that name.
async fn provoked(operation: &Operation, name: &str) -> Option<Answer> {
    let mut scene = Scene::new().await;
    let any_body = || operation.bodies().first().map(|(_, body)| body.to_string()).unwrap_or_default();
    match name {
        "malformed" => return Some(ask(&scene, operation, By::Ann, "{\"provider\":").await),
        "repeated" => return Some(ask(&scene, operation, By::Ann, "{\"token\":1,\"token\":2}").await),
        "noSession" => return Some(ask(&scene, operation, By::Nobody, any_body()).await),
        "badSession" => return Some(scene.send(operation, Some("no:token"), any_body()).await),
        "endedSession" => {
            let revoke = find("signOut");
            let body = json!({"token": scene.session}).to_string();
            ask(&scene, &revoke, By::Ann, body).await.is_done();
            return Some(ask(&scene, operation, By::Ann, any_body()).await);
        }
        "undecodable" => {
            let path = operation.path.replace("{provider}", "password");
            let path = path.replace("{user_id}", "100%").replace("{provider_id}", "100%");
            return Some(scene.send_to(operation, &path, Some(&scene.session), "").await);
        }
        _ => {}
    }
    let password = |register: bool, name: &str, word: &str| json!({"provider": "password", "username": name, "password": word, "register": register});
    let unknown = "0".repeat(32);
    let new = |word: &str| json!({"data": {"new_password": word}});
    let update = |data: Value| json!({"provider_id": samples::NAME, "data": data});
    let (by, body) = match (&*operation.id, name) {
        ("signIn", "noProvider") => (By::Nobody, json!({})),
        ("signIn", "noName") => (By::Nobody, json!({"provider": "password"})),
        ("signIn", "noPassword") => (By::Nobody, json!({"provider": "password", "username": "a"})),
        ("signIn", "noSessionToTrade") => (By::Nobody, json!({"provider": "realm"})),
        ("signIn", "unknownProvider") => (By::Nobody, json!({"provider": "google"})),
        ("signIn", "tooLongName") => (By::Nobody, password(true, &"a".repeat(255), "correct horse")),
        ("signIn", "tooShortPassword") => (By::Nobody, password(true, "ben", "short")),
        ("signIn", "wrongCredentials") => (By::Nobody, password(false, samples::NAME, "wrong horse")),
        ("signIn", "unconfirmed") => {
            scene = Scene::new().await;
            let site = TestSite::under(Policy { require_confirmation: true, ..free_policy() });
            site.post("/auth", &password(true, samples::NAME, samples::PASSWORD).to_string()).await;
            scene.site = site;
            (By::Nobody, password(false, samples::NAME, samples::PASSWORD))
        }
        ("signIn", "notTraded") => (By::Nobody, json!({"provider": "realm", "data": "no:token"})),
        ("signIn", "nothingSynced") => {
            (By::Nobody, json!({"provider": "realm", "data": scene.session, "path": "/~/notes"}))
        }
        ("signOut", "noToken") => (By::Ann, json!({})),
        ("signOut", "badToken") => (By::Ann, json!({"token": "no:token"})),
        ("signOut", "notYours") => (By::Ann, json!({"token": other(&scene).await})),
        ("updateAccount", "noMail") => {
            scene.site = TestSite::under(Policy { mail: false, ..free_policy() });
            (By::Nobody, update(json!({"action": "reset_password"})))
        }
        ("updateAccount", "noData") => (By::Nobody, json!({})),
        ("updateAccount", "unknownAction") => (By::Nobody, update(json!({"action": "reset"}))),
        ("updateAccount", "nobody") => (By::Nobody, json!({"data": {"action": "reset_password"}})),
        ("updateAccount", "noTokenOrPassword") => (By::Nobody, update(json!({"action": "complete_reset"}))),
        ("updateAccount", "badResetToken") => {
            let token = samples::LINK_TOKEN;
            (
                By::Nobody,
                update(json!({"action": "complete_reset", "token": token, "new_password": "battery staple"})),
            )
        }
        ("updateAccount", "tooShortPassword") => {
            let token = scene.link(regain_core::Purpose::Reset).await;
            (By::Nobody, update(json!({"action": "complete_reset", "token": token, "new_password": "short"})))
        }
        ("updateAccount", "badConfirmationToken") => {
            (By::Nobody, update(json!({"action": "confirm_email", "token": samples::LINK_TOKEN})))
        }
        ("changePassword", "noData") => (By::Ann, json!({})),
        ("changePassword", "noNewPassword") => (By::Ann, json!({"data": {}})),
        ("changePassword", "tooShortPassword") => (By::Ann, new("short")),
        ("changePassword", "currentMissing" | "currentWrong") => {
            let mut policy = free_policy();
            policy.password.require_current = true;
            scene = Scene::under(policy).await;
            let mut body = new("battery staple");
            if name == "currentWrong" {
                body["data"]["password"] = "wrong horse".into();
            }
            (By::Ann, body)
        }
        ("changePassword", "notYours") => {
            let mut body = new("battery staple");
            body["user_id"] = unknown.clone().into();
            (By::Ann, body)
        }
        ("changePassword", "unknownAccount") => {
            let mut body = new("battery staple");
            body["user_id"] = unknown.clone().into();
            (By::Admin, body)
        }
        ("userById" | "deleteUser" | "deleteUserOlder", "notYours") => {
            scene.id = unknown;
            (By::Ann, Value::Null)
        }
        ("userById", "unknownAccount") | ("deleteUser" | "deleteUserOlder", "unknownUser") => {
            scene.id = unknown;
            (By::Admin, Value::Null)
        }
        ("userByName", "unknownAccount") => {
            let path = operation.example_path().replace(samples::NAME, "nobody");
            return Some(scene.send_to(operation, &path, Some(&scene.admin), "").await);
        }
        ("putUser", "noAdmin") => (By::Ann, json!({})),
        ("putUser", "nobody") => (By::Admin, json!({})),
        ("putUser", "unknownProvider") => (By::Admin, json!({"provider": "google", "provider_id": "ben"})),
        ("putUser", "otherId") => {
            (By::Admin, json!({"provider": "password", "provider_id": samples::NAME, "user_id": "other"}))
        }
        ("providers" | "addProvider" | "removeProvider", "noAdmin") => (By::Ann, json!({})),
        ("addProvider" | "removeProvider", "fixed") => (By::Admin, json!({})),
        ("showConfirmation", "noToken") => {
            return Some(scene.send_to(operation, &operation.path, None, "").await);
        }
        ("submitConfirmation", "noToken") => return Some(ask(&scene, operation, By::Nobody, "").await),
        ("health", "ok") => (By::Nobody, Value::Null),
        ("health", "degraded") => {
            *scene.site.health.0.lock().unwrap() =
                Some(HealthStatus::Degraded("the relay takes no mail".into()));
            (By::Nobody, Value::Null)
        }
        _ => return None,
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Some(ask(&scene, operation, by, body).await)
}

async fn ask(scene: &Scene, operation: &Operation, by: By, body: impl Into<Body>) -> Answer {
    let session = match by {
        By::Nobody => None,
        By::Ann => Some(&*scene.session),
        By::Admin => Some(&*scene.admin),
    };
    scene.send(operation, session, body).await
}

/// The session of somebody else.
async fn other(scene: &Scene) -> String {
    scene.site.desk.register("ben", "correct horse").await.unwrap()
}

fn find(id: &str) -> Operation {
    operations().into_iter().find(|operation| operation.id == id).unwrap()
}

#[tokio::test]
async fn every_answer_is_what_the_server_says() {
    for operation in operations() {
        for (status, name, value) in operation.answers() {
            let at = format!("{} {name}", operation.id);
            match provoked(&operation, &name).await {
                Some(answer) => {
                    assert_eq!(answer.status, status, "{at}: {}", answer.body);
                    assert_eq!(answer.body, value.to_string(), "{at}");
                    assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{at}");
                }
                // Compared where the requests are sent.
                None => assert_eq!(status, 200, "nothing provokes {at}"),
            }
        }
    }
}

#[tokio::test]
async fn what_operations_answer_alike_is_what_the_server_says() {
    let document = written();
    let kept = |name: &str| {
        let (_, value) =
            values(&document["components"]["responses"][name]["content"]["application/json"]).remove(0);
        value.to_string()
    };
    let sign_in = find("signIn");
    let scene = Scene::new().await;

    let large = ask(&scene, &sign_in, By::Nobody, " ".repeat(102_401)).await;
    assert_eq!((large.status, large.body), (413, kept("TooLarge")));

    let latin = "content-type: application/json; charset=latin1";
    let latin = scene.site.send("POST", "/auth", latin, "{}").await;
    assert_eq!((latin.status, latin.body), (415, kept("UnsupportedMediaType")));

    let mut never = axum::http::Request::post("/auth")
        .header("content-type", "application/json")
        .body(Body::from_stream(futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>()))
        .unwrap();
    never.extensions_mut().insert(BodyDeadline(Duration::ZERO));
    let late = tower::ServiceExt::oneshot(scene.site.router.clone(), never).await.unwrap();
    assert_eq!(late.status(), 408);
    let late = http_body_util::BodyExt::collect(late.into_body()).await.unwrap().to_bytes();
    assert_eq!(std::str::from_utf8(&late).unwrap(), kept("Timeout"));

    let limits = Limits { sign_in: Some(1), ..free_policy().limits };
    let limited = TestSite::under(Policy { limits, ..free_policy() });
    let body =
        json!({"provider": "password", "username": "a", "password": "b", "register": false}).to_string();
    assert_eq!(limited.post("/auth", &body).await.status, 401);
    let limited = limited.post("/auth", &body).await;
    assert!(limited.header("retry-after").is_some());
    assert_eq!((limited.status, limited.body), (429, kept("TooManyRequests")));

    *scene.site.health.0.lock().unwrap() = Some(HealthStatus::Starting);
    let starting = scene.site.get("/health").await;
    assert!(starting.header("retry-after").is_some());
    assert_eq!((starting.status, starting.body), (503, kept("Unavailable")));

    *scene.site.health.0.lock().unwrap() = None;
    let failing = scene.site.get("/health").await;
    assert!(failing.header("x-request-id").is_some());
    assert_eq!((failing.status, failing.body), (500, kept("Failure")));
}

/// One after another; a new kind does not compile before it is named here.
fn next(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::InvalidParameters => Some(Kind::MissingParameters),
        Kind::MissingParameters => Some(Kind::InvalidCredentials),
        Kind::InvalidCredentials => Some(Kind::UnknownAccount),
        Kind::UnknownAccount => Some(Kind::AccessDenied),
        Kind::AccessDenied => Some(Kind::UnknownUser),
        Kind::UnknownUser => Some(Kind::TooManyRequests),
        Kind::TooManyRequests => Some(Kind::Unavailable),
        Kind::Unavailable => Some(Kind::NotEnabled),
        Kind::NotEnabled => None,
    }
}

#[test]
fn every_kind_of_problem_is_in_the_document() {
    let text = written().to_string();
    for kind in std::iter::successors(Some(Kind::InvalidParameters), |kind| next(*kind)) {
        let body: Value = serde_json::from_slice(&Problem::of(kind).body()).unwrap();
        let (named, status, code) = (&body["type"], &body["status"], &body["code"]);
        let head = format!("{{\"type\":{named},\"title\":{},\"status\":{status}", body["title"]);
        assert!(text.contains(&head) && text.contains(&format!("\"code\":{code}")), "{head}");
    }
}
