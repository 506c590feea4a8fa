//! The document against the server: every route, every example, every limit.

mod answers;
mod requests;
mod routes;
mod shape;

use std::path::Path;

use axum::body::Body;
use regain_core::{Policy, Purpose};
use serde_json::{Value, json};

use super::super::testing::{Answer, TestSite, free_policy};
use super::{document, samples};

/// The document that the tests look at: with the default policy, as the kept one.
fn written() -> Value {
    serde_json::to_value(document(&Policy::default())).unwrap()
}

/// An operation of the document.
#[derive(Clone)]
struct Operation {
    id: String,
    method: String,
    path: String,
    said: Value,
}

fn operations() -> Vec<Operation> {
    let document = written();
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(|(method, said)| Operation {
                id: said["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                said: said.clone(),
            })
        })
        .collect()
}

impl Operation {
    /// The path with the examples of its parameters in place.
    fn example_path(&self) -> String {
        let parameters = self.said["parameters"].as_array().cloned().unwrap_or_default();
        let mut path = self.path.clone();
        let mut query = Vec::new();
        for parameter in parameters {
            let (name, example) =
                (parameter["name"].as_str().unwrap(), parameter["example"].as_str().unwrap());
            match parameter["in"].as_str().unwrap() {
                "path" => path = path.replace(&format!("{{{name}}}"), example),
                _ => query.push(format!("{name}={example}")),
            }
        }
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// The media type of its body; none where it has none.
    fn media_type(&self) -> Option<&str> {
        self.said["requestBody"]["content"].as_object().map(|content| content.keys().next().unwrap().as_str())
    }

    fn needs_session(&self) -> bool {
        self.said["security"].is_array()
    }

    /// The examples of its body: name and value.
    fn bodies(&self) -> Vec<(String, Value)> {
        let Some(media_type) = self.media_type() else { return Vec::new() };
        values(&self.said["requestBody"]["content"][media_type])
    }

    /// The examples of its JSON answers that are written at this operation: status, name and value.
    fn answers(&self) -> Vec<(u16, String, Value)> {
        let responses = self.said["responses"].as_object().unwrap();
        responses
            .iter()
            .flat_map(|(status, response)| {
                let status = status.parse().unwrap();
                let values = values(&response["content"]["application/json"]);
                values.into_iter().map(move |(name, value)| (status, name, value))
            })
            .collect()
    }
}

fn values(content: &Value) -> Vec<(String, Value)> {
    let examples = content["examples"].as_object().cloned().unwrap_or_default();
    examples.into_iter().map(|(name, example)| (name, example["value"].clone())).collect()
}

/// A site where Ann of the examples has an account, a session and a link of each kind.
struct Scene {
    site: TestSite,
    session: String,
    id: String,
    admin: String,
}

impl Scene {
    async fn new() -> Self {
        Self::under(free_policy()).await
    }

    async fn under(policy: Policy) -> Self {
        let site = TestSite::under(policy);
        let body = json!({"provider": "password", "username": samples::NAME, "password": samples::PASSWORD});
        let answer = site.post("/auth", &body.to_string()).await.json();
        let signed = &answer["refresh_token"];
        let session = signed["token"].as_str().unwrap().to_owned();
        let id = signed["token_data"]["identity"].as_str().unwrap().to_owned();
        let admin = site.admin_token().await;
        Self { site, session, id, admin }
    }

    /// The text with the real ones in place of what examples hold.
    fn real(&self, text: &str) -> String {
        text.replace(samples::ID, &self.id).replace(&samples::session_token(), &self.session)
    }

    /// A link of that kind, from a mail.
    async fn link(&self, purpose: Purpose) -> String {
        match purpose {
            Purpose::Confirm => self.site.desk.ask_confirmation(samples::NAME).await.unwrap(),
            _ => self.site.desk.ask_reset(samples::NAME).await.unwrap(),
        }
        self.site.desk.deliver().await;
        self.site.desk.last_token(purpose)
    }

    async fn send(&self, operation: &Operation, session: Option<&str>, body: impl Into<Body>) -> Answer {
        self.send_to(operation, &self.real(&operation.example_path()), session, body).await
    }

    async fn send_to(
        &self,
        operation: &Operation,
        path: &str,
        session: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut headers = Vec::new();
        headers.extend(operation.media_type().map(|media_type| format!("content-type: {media_type}")));
        headers.extend(session.map(|session| format!("authorization: {session}")));
        self.site.send(&operation.method, path, &headers.join("\n"), body).await
    }
}

#[test]
fn the_document_is_as_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = format!("{:#}\n", written());
    if std::env::var_os("REGAIN_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "docs/openapi.json differs; look at it with REGAIN_WRITE_SNAPSHOTS=1 and git diff");
}

#[tokio::test]
async fn it_is_served_to_any_site_and_in_any_spelling() {
    let site = TestSite::under(Policy::default());
    for path in ["/openapi.json", "/OpenAPI.json", "/openapi.json/"] {
        let answer = site.send("GET", path, "", Body::empty()).await;
        assert_eq!((answer.status, answer.json()), (200, written()), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(site.send("HEAD", "/openapi.json", "", Body::empty()).await.status, 200);
    assert_eq!(site.send("OPTIONS", "/openapi.json", "", Body::empty()).await.status, 204);
    assert_eq!(site.send("POST", "/openapi.json", "", Body::empty()).await.status, 404);
}

#[tokio::test]
async fn it_tells_the_least_length_of_passwords_that_is_configured() {
    let mut policy = free_policy();
    policy.password.min_length = 23;
    let site = TestSite::under(policy);
    let document = site.send("GET", "/openapi.json", "", Body::empty()).await.json();
    let schema =
        &document["paths"]["/auth/password"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(schema["properties"]["data"]["properties"]["new_password"]["minLength"], 23);
}
