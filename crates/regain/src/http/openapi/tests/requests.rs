//! That every request of the document is taken, and answered with what is said of it.

use std::collections::BTreeSet;

use regain_core::Purpose;
use serde_json::Value;
use url::form_urlencoded;

use super::super::super::testing::Answer;
use super::{Operation, Scene, operations, samples};

/// The body as it is sent: JSON, or a form.
fn encoded(operation: &Operation, body: &Value) -> String {
    match operation.media_type() {
        Some("application/json") => body.to_string(),
        _ => {
            let fields = body.as_object().unwrap().iter();
            let fields = fields.map(|(name, value)| (name, value.as_str().unwrap()));
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
        }
    }
}

/// Sends an example to a scene of its own.
async fn sent(operation: &Operation, name: &str, body: Option<&Value>) -> (Scene, Answer) {
    let mut scene = Scene::new().await;
    let mut body = body.map(|body| encoded(operation, body)).unwrap_or_default();
    match (&*operation.id, name) {
        // The one example that needs Ann not to be there.
        ("signIn", "register") => {
            let delete = operations().into_iter().find(|other| other.id == "deleteUser").unwrap();
            assert_eq!(scene.send(&delete, Some(&scene.session), "").await.status, 200);
        }
        ("updateAccount", "confirmEmail") | ("submitConfirmation", _) => {
            body = body.replace(samples::LINK_TOKEN, &scene.link(Purpose::Confirm).await);
        }
        ("updateAccount", "completeReset") | ("submitReset", "reset") => {
            body = body.replace(samples::LINK_TOKEN, &scene.link(Purpose::Reset).await);
        }
        _ => {}
    }
    let body = scene.real(&body).replace(
        &form_urlencoded::byte_serialize(samples::session_token().as_bytes()).collect::<String>(),
        &scene.session,
    );
    let needs_admin = matches!(&*operation.id, "putUser" | "providers");
    let session = if needs_admin { scene.admin.clone() } else { scene.session.clone() };
    let session = operation.needs_session().then_some(&*session);
    let answer = scene.send(operation, session, body).await;
    if (&*operation.id, name) == ("signIn", "register") {
        scene.id = answer.json()["refresh_token"]["token_data"]["identity"].as_str().unwrap().to_owned();
    }
    (scene, answer)
}

/// The answer as the document would have it: Ann's identity, and tokens that are always the same.
fn told(scene: &Scene, answer: &Answer) -> Value {
    let mut told: Value = serde_json::from_str(&answer.body.replace(&scene.id, samples::ID)).unwrap();
    for name in ["refresh_token", "user_token"] {
        let Some(signed) = told.get_mut(name) else { continue };
        let real: Value = serde_json::from_str(&answer.body).unwrap();
        let json = real[name]["token_data"].to_string();
        let token = real[name]["token"].as_str().unwrap();
        assert!(
            samples::token(&real[name]["token_data"]).split(':').next() == token.split(':').next(),
            "{json}"
        );
        let sample = samples::session();
        signed["token_data"]["salt"] = sample.salt.into();
        signed["token_data"]["expires"] = sample.expires.into();
        signed["token"] = samples::token(&signed["token_data"]).into();
    }
    told
}

#[tokio::test]
async fn every_request_is_taken_and_answered_as_one_of_its_answers_says() {
    for operation in operations() {
        let mut bodies: Vec<_> =
            operation.bodies().into_iter().map(|(name, body)| (name, Some(body))).collect();
        if bodies.is_empty() {
            bodies.push((String::new(), None));
        }
        let mut met = BTreeSet::new();
        for (name, body) in bodies {
            let (scene, answer) = sent(&operation, &name, body.as_ref()).await;
            let at = format!("{} {name}: {} {}", operation.id, answer.status, answer.body);
            if matches!(&*operation.id, "addProvider" | "removeProvider") {
                assert_eq!(answer.status, 403, "{at}");
                continue;
            }
            assert!(answer.status < 400, "{at}");
            let response = &operation.said["responses"][answer.status.to_string()];
            let Some(media_type) = answer.header("content-type") else {
                assert!(answer.status == 302 && answer.header("location").is_some(), "{at}");
                assert!(response["headers"]["Location"].is_object(), "{at}");
                continue;
            };
            assert!(response["content"][media_type.split(';').next().unwrap()].is_object(), "{at}");
            if media_type.starts_with("application/json") && operation.id != "openapi" {
                let told = told(&scene, &answer);
                let meant = operation.answers().into_iter().find(|(_, _, value)| *value == told);
                met.insert(meant.unwrap_or_else(|| panic!("no example is {told}")).1);
            }
        }
        // How the process is cannot be asked for by a request: see the answers.
        if operation.id != "health" {
            let successes = operation.answers().into_iter().filter(|(status, ..)| *status == 200);
            assert_eq!(met, successes.map(|(_, name, _)| name).collect(), "{}", operation.id);
        }
    }
}

#[test]
fn every_operation_with_a_body_has_examples_of_it() {
    for operation in operations() {
        assert_eq!(operation.bodies().is_empty(), operation.media_type().is_none(), "{}", operation.id);
    }
}
