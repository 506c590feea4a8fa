//! That the document tells of the routes there are, and of no others.

use std::collections::BTreeSet;

use axum::body::Body;
use regain_core::Provider;

use super::super::super::place::Place;
use super::{Scene, operations};

/// The methods that clients use at a place. A new place does not compile before it is named here.
fn methods(place: &Place) -> &'static [&'static str] {
    match place {
        Place::Auth | Place::Revoke => &["POST"],
        Place::UpdateAccount(Some(Provider::Password)) => &["POST"],
        Place::Account(Some(Provider::Password)) | Place::Users => &["PUT"],
        Place::User(_) => &["DELETE", "GET"],
        Place::OlderUser(_) | Place::Provider => &["DELETE"],
        Place::NamedUser(..) | Place::Health | Place::Style | Place::OpenApi => &["GET"],
        Place::Providers => &["GET", "POST"],
        Place::ResetPassword | Place::ConfirmEmail => &["GET", "POST"],
        Place::UpdateAccount(_) | Place::Account(_) => &[],
        Place::Undecodable(_) | Place::UnderAuth | Place::Unknown => &[],
    }
}

/// One of each kind.
fn places() -> Vec<Place> {
    let text = || "x".to_owned();
    let password = Some(Provider::Password);
    vec![
        Place::Auth,
        Place::Revoke,
        Place::UpdateAccount(password),
        Place::Account(password),
        Place::Users,
        Place::User(text()),
        Place::OlderUser(text()),
        Place::NamedUser(password, text()),
        Place::Providers,
        Place::Provider,
        Place::Undecodable(text()),
        Place::UnderAuth,
        Place::Health,
        Place::ResetPassword,
        Place::ConfirmEmail,
        Place::Style,
        Place::OpenApi,
        Place::Unknown,
    ]
}

#[test]
fn every_place_and_method_that_clients_use_is_in_the_document_and_no_other() {
    let named = |path: &str, method: &str| format!("{method} {path}");
    let served: BTreeSet<String> = places()
        .iter()
        .flat_map(|place| methods(place).iter().map(|method| named(place.template(), method)))
        .collect();
    let documented: BTreeSet<String> = operations()
        .iter()
        .map(|operation| {
            let place = Place::of(operation.example_path().split('?').next().unwrap());
            assert!(methods(&place).contains(&&*operation.method), "{} {place:?}", operation.method);
            named(place.template(), &operation.method)
        })
        .collect();
    assert_eq!(documented, served);
    assert_eq!(documented.len(), operations().len());
}

#[tokio::test]
async fn every_operation_is_answered_by_a_route_and_other_methods_are_not() {
    let scene = Scene::new().await;
    let documented: BTreeSet<_> = operations().into_iter().map(|one| (one.path, one.method)).collect();
    for operation in operations() {
        let path = operation.example_path();
        let answer = scene.send_to(&operation, &path, Some(&scene.session), "{}").await;
        assert_ne!(answer.body, "{\"title\":\"Not Found\",\"status\":404}", "{} {path}", operation.method);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if !documented.contains(&(operation.path.clone(), method.to_owned())) {
                let answer = scene.site.send(method, &path, "", Body::empty()).await;
                assert_eq!(answer.status, 404, "{method} {path}");
            }
        }
    }
}
