//! That the document is whole: references lead somewhere, examples fit their schemas, limits are those in force.

use std::collections::BTreeSet;

use regain_core::{AccountId, KeyMode, Name};
use serde_json::{Value, json};

use super::super::super::body;
use super::super::parts::PLAIN;
use super::super::users::CHOSEN_ID;
use super::{operations, values, written};

/// Everything that has this key, wherever it stands.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[test]
fn it_is_openapi_3_1_of_this_version() {
    let document = written();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["session"]["name"], "Authorization");
    assert_eq!(schemes["accessToken"]["name"], "x-realm-access-token");
}

#[test]
fn every_reference_leads_somewhere_and_nothing_named_is_unused() {
    let document = written();
    let mut found = Vec::new();
    all(&document, "$ref", &mut found);
    let mut used = BTreeSet::new();
    for reference in found {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        used.insert(pointer.to_owned());
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("/components/{kind}/{name}")), "{name}");
        }
    }
}

#[test]
fn operations_have_unique_ids_and_all_that_a_reader_looks_for() {
    let document = written();
    let groups: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let said = &operation.said;
        assert!(ids.insert(operation.id.clone()), "{}", operation.id);
        assert!(groups.contains(&&said["tags"][0]), "{}", operation.id);
        for key in ["summary", "description"] {
            assert!(said[key].as_str().unwrap().len() > 5, "{} {key}", operation.id);
        }
        for (status, response) in said["responses"].as_object().unwrap() {
            let is_said = response["description"].as_str().is_some_and(|text| text.len() > 5);
            assert!(is_said || response["$ref"].is_string(), "{} {status}", operation.id);
        }
    }
}

/// The schema with what it refers to, for a validator that knows no OpenAPI.
fn fits(document: &Value, schema: &Value, value: &Value) -> bool {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("mem:///schema.json", root).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("mem:///schema.json", &mut schemas).unwrap();
    schemas.validate(value, index).is_ok()
}

#[test]
fn every_example_fits_its_schema() {
    let document = written();
    let mut seen = 0;
    let mut check = |content: &Value, at: &str| {
        for (name, value) in values(content) {
            assert!(fits(&document, &content["schema"], &value), "{at} {name}: {value}");
            seen += 1;
        }
    };
    for operation in operations() {
        for (_, content) in operation.said["requestBody"]["content"].as_object().into_iter().flatten() {
            check(content, &operation.id);
        }
        for response in operation.said["responses"].as_object().unwrap().values() {
            for (_, content) in response["content"].as_object().into_iter().flatten() {
                check(content, &operation.id);
            }
        }
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        check(&response["content"]["application/json"], name);
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn what_is_no_answer_or_no_request_fits_no_schema() {
    let document = written();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    for (name, wrong) in [
        ("Done", json!({"done": true})),
        ("Problem", json!({"title": "Not Found"})),
        ("Tokens", json!({})),
        ("User", json!({"user_id": "1", "is_admin": false, "accounts": [], "metadata": []})),
        ("Health", json!({"version": "1", "status": "bad"})),
    ] {
        assert!(!fits(&document, &schema(name), &wrong), "{name}");
    }
    let sign_in = &document["paths"]["/auth"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    for wrong in [
        json!({}),
        json!({"provider": "password", "data": "ann@example.org"}),
        json!({"provider": "password", "username": "a".repeat(255), "password": "x"}),
        json!({"provider": "password", "username": "a", "password": "x".repeat(1025)}),
    ] {
        assert!(!fits(&document, sign_in, &wrong), "{wrong}");
    }
}

#[test]
fn limits_are_those_in_force() {
    let document = written();
    let mut longest = Vec::new();
    all(&document, "maxLength", &mut longest);
    let longest: BTreeSet<_> = longest.into_iter().filter_map(Value::as_u64).collect();
    assert_eq!(longest, BTreeSet::from([254, 255, 1024]));
    let mut shortest = Vec::new();
    all(&document, "minLength", &mut shortest);
    assert!(shortest.contains(&&json!(8)));
    let large = &document["components"]["responses"]["TooLarge"]["description"];
    assert!(large.as_str().unwrap().contains(&body::LONGEST.to_string()));
}

#[test]
fn an_identity_fits_the_pattern_if_it_is_taken() {
    let schema = json!({"type": "string", "pattern": CHOSEN_ID});
    let mut texts: Vec<String> = (1..=0x17f).filter_map(char::from_u32).map(|c| format!("a{c}")).collect();
    texts.extend(["x".repeat(128), "x".repeat(129), "ben-of-notes".to_owned()]);
    assert!(fits(&json!({}), &schema, &json!("")), "it counts as left out");
    for text in texts {
        assert_eq!(fits(&json!({}), &schema, &json!(text)), AccountId::parse(&text).is_some(), "{text:?}");
    }
}

#[test]
fn a_name_fits_the_pattern_if_it_is_taken() {
    let schema = json!({"type": "string", "pattern": PLAIN});
    for text in (0..=0x17f).filter_map(char::from_u32).map(|c| format!("a{c}b")) {
        let is_taken = Name::parse(&text, KeyMode::Folded).is_ok();
        assert_eq!(fits(&json!({}), &schema, &json!(text)), is_taken, "{text:?}");
    }
}
