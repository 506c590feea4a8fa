//! The schema agrees with the reader: keys, defaults, ranges, and every document that loads.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::super::read::read;
use super::super::reader::Context;
use super::super::tree::{Format, Node, Value as Parsed};
use super::super::{Config, EXAMPLE, Environment, load, show};

/// A webhook's secret.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn parsed() -> Value {
    serde_json::from_str(&super::schema()).unwrap()
}

static COMPILED: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let mut compiler = Compiler::new();
    compiler.add_resource("regain.json", parsed()).unwrap();
    let mut schemas = Schemas::new();
    // Compiling checks the schema against the one of JSON Schema itself.
    let index = compiler.compile("regain.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
    (schemas, index)
});

/// What is wrong with a document in the eyes of the schema.
fn judged(document: &Value) -> Result<(), String> {
    let (schemas, index) = &*COMPILED;
    schemas.validate(document, *index).map_err(|error| error.to_string())
}

/// Fails where a file that the reader has accepted is none to the schema.
#[track_caller]
pub(in super::super) fn accepts(file: &Path, text: &str) {
    let document = document(file, text);
    if let Err(error) = judged(&document) {
        panic!("the schema refuses what loads: {error}");
    }
}

fn document(file: &Path, text: &str) -> Value {
    let Ok(format) = Format::of(file) else { panic!("{file:?}") };
    let Ok(tree) = format.read(text.trim_start_matches('\u{feff}')) else { panic!("not readable: {text}") };
    value(&tree)
}

fn value(node: &Node) -> Value {
    match &node.value {
        Parsed::Bool(truth) => json!(truth),
        Parsed::Integer(number) => json!(number),
        Parsed::Text(text) => json!(text),
        Parsed::Array(items) => items.iter().map(value).collect(),
        Parsed::Table(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), value(&entry.node))).collect())
        }
        Parsed::Other(_) => Value::Null,
    }
}

/// One key of the schema: its path, as the reader shows it, and what the schema says of it.
type Key = (String, Value);

/// Every key, at every level.
fn keys() -> Vec<Key> {
    let schema = parsed();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

fn collect(root: &Value, schema: &Value, path: &str, keys: &mut Vec<Key>) {
    if let Some(target) = schema["$ref"].as_str() {
        let pointer = target.strip_prefix('#').unwrap();
        collect(root, root.pointer(pointer).unwrap(), path, keys);
    }
    for kind in schema["anyOf"].as_array().into_iter().flatten() {
        collect(root, kind, path, keys);
    }
    if schema["items"].is_object() {
        collect(root, &schema["items"], &format!("{path}[0]"), keys);
    }
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], json!(false), "{path:?} takes any key");
        for (key, below) in properties {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            assert!(
                below["description"].as_str().is_some_and(|text| text.ends_with('.')),
                "{path} is not described"
            );
            keys.push((path.clone(), below.clone()));
            collect(root, below, &path, keys);
        }
    }
}

/// A configuration with this value alone, at this path.
fn with_only(path: &str, value: &Value) -> Value {
    if let Some(key) = path.strip_prefix("authProviders[0].emailHandlerConfig.webhook.") {
        let mut webhook = json!({ "url": "https://mail.example.org", "secret": SECRET });
        webhook[key] = value.clone();
        return json!({ "authProviders": [{ "type": "password", "emailHandlerConfig": { "webhook": webhook } }] });
    }
    path.rsplit('.').fold(value.clone(), |below, key| json!({ key: below }))
}

fn loads(document: &Value) -> Result<Config, String> {
    load(Path::new("regain.json"), &document.to_string(), &Environment::default())
        .map_err(|error| error.to_string())
}

#[test]
fn the_schema_has_the_keys_that_the_reader_asks_for() {
    // Every text is one in a file, so that the key of its path is asked for, too.
    let texts = "{ subject.file = 'x', textTemplate.file = 'x', htmlTemplate.file = 'x' }";
    let mut asked = BTreeSet::new();
    // One key or several: beside several, nobody asks for the file of one.
    for dkim in ["{ privateKey.file = 'x' }", "{ keys = [{ privateKey.file = 'x' }] }"] {
        let text = format!(
            "keys = {{ tokenKey.file = 'x', signingKey.file = 'x', otherTokenKeys = [{{ file = 'x' }}], \
             otherPublicKeys = [{{ file = 'x' }}] }}\n[[authProviders]]\n[authProviders.emailHandlerConfig]\nresetActionConfig = {texts}\n\
             confirmActionConfig = {texts}\nchangedActionConfig = {texts}\ndkim = {dkim}\nwebhook = {{}}\n"
        );
        let environment = Environment::default();
        let context = Context::new("regain.toml", "".into(), &environment);
        let Ok(tree) = Format::Toml.read(&text) else { panic!("this is no TOML") };
        read(&context, Some(&tree), Config::default());
        asked.extend(context.asked());
    }
    assert!(asked.len() > 40, "{asked:?}");
    assert_eq!(keys().into_iter().map(|(path, _)| path).collect::<BTreeSet<_>>(), asked);
}

#[test]
fn the_schema_states_the_defaults() {
    let Value::Object(mut shown) = document(Path::new("x.toml"), &show(&Config::default())) else { panic!() };
    // What is shown is absolute, so that it can be moved.
    shown["dataPath"] = json!("data");
    shown.remove("authProviders");
    let mut stated = 0;
    for (path, schema) in keys() {
        let pointer = format!("/{}", path.replace('.', "/"));
        let default = Value::Object(shown.clone()).pointer(&pointer).cloned();
        let is_table = default.as_ref().is_some_and(Value::is_object);
        if path.starts_with("authProviders") || is_table {
            continue;
        }
        assert_eq!(schema.get("default"), default.as_ref(), "{path}");
        stated += usize::from(default.is_some());
    }
    assert!(stated >= 18, "only {stated} defaults");
    let mail = "[[authProviders]]\ntype = 'password'\n[authProviders.emailHandlerConfig]\n\
                connectionString = 'smtp://localhost'\nfrom = 'a@example.org'\n";
    let config = load(Path::new("regain.toml"), mail, &Environment::default()).unwrap();
    let insecure = config.email().unwrap().allow_insecure_base_url;
    let (_, schema) = keys().into_iter().find(|(path, _)| path.ends_with(".allowInsecureBaseUrl")).unwrap();
    assert_eq!(schema["default"], json!(insecure));
}

#[test]
fn the_schema_has_the_ranges_of_the_reader() {
    let mut tried = 0;
    for (path, schema) in keys() {
        for kind in schema["anyOf"].as_array().into_iter().flatten().filter(|kind| kind["type"] == "integer")
        {
            let (least, most) = (kind["minimum"].as_i64().unwrap(), kind["maximum"].as_i64().unwrap());
            for (number, is_good) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
                let document = with_only(&path, &json!(number));
                assert_eq!(loads(&document).is_ok(), is_good, "{document}");
                assert_eq!(judged(&document).is_ok(), is_good, "{document}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 12, "only {tried} ranges");
}

#[test]
fn the_schema_knows_where_true_and_false_may_stand() {
    let plain = keys().into_iter().filter(|(path, _)| !path.contains("authProviders") && !path.contains('['));
    for (path, schema) in plain.filter(|(_, schema)| schema["type"] != "object") {
        for truth in [true, false] {
            let document = with_only(&path, &json!(truth));
            assert_eq!(judged(&document).is_ok(), loads(&document).is_ok(), "{document} {schema}");
        }
    }
}

#[test]
fn the_example_is_good_to_the_schema() {
    let example = Path::new("regain.toml");
    accepts(example, EXAMPLE);
    for line in EXAMPLE.lines() {
        let setting = line.strip_prefix("# Example: ").or_else(|| line.strip_prefix("# "));
        let is_setting = |setting: &&str| {
            setting.split_once(" = ").is_some_and(|(key, _)| key.chars().all(char::is_alphanumeric))
        };
        if let Some(setting) = setting.filter(is_setting) {
            accepts(example, &EXAMPLE.replace(line, setting));
        }
    }
}

#[test]
fn what_is_wrong_is_wrong_to_the_schema() {
    let provider = |more: Value| json!({ "authProviders": [more] });
    let mail = |key: &str, value: Value| {
        let mut handler = json!({ "connectionString": "smtp://localhost", "from": "a@example.org" });
        handler[key] = value;
        json!({ "authProviders": [{ "type": "password", "emailHandlerConfig": handler }] })
    };
    let webhook = |webhook: Value| {
        provider(json!({ "type": "password", "emailHandlerConfig": { "webhook": webhook } }))
    };
    judged(&mail("baseUrl", json!("myapp://x"))).unwrap();
    for document in [
        json!([]),
        json!({ "adress": "127.0.0.1" }),
        json!({ "address": "localhost" }),
        json!({ "address": ["127.0.0.1"] }),
        json!({ "port": "9080" }),
        json!({ "port": 9080.5 }),
        json!({ "port": null }),
        json!({ "dataPath": "" }),
        json!({ "publicUrl": "myapp://x" }),
        json!({ "adminAddress": "127.0.0.1" }),
        json!({ "appName": " " }),
        json!({ "trustedProxies": "10.0.0.0/8" }),
        json!({ "trustedProxies": ["proxy"] }),
        json!({ "redirectUrls": ["example.org"] }),
        json!({ "refreshTokenTtl": "1y" }),
        json!({ "refreshTokenTtl": "%NAME%" }),
        json!({ "registerByLogin": "yes" }),
        json!({ "authorizationHeaderName": "x y" }),
        json!({ "database": "regain.db" }),
        json!({ "https": true }),
        json!({ "keys": "x" }),
        json!({ "keys": { "token": "x" } }),
        json!({ "keys": { "tokenKey": 5 } }),
        json!({ "keys": { "signingKey": { "path": "x" } } }),
        json!({ "keys": { "otherTokenKeys": { "file": "x" } } }),
        json!({ "keys": { "otherPublicKeys": [5] } }),
        json!({ "passwordPolicy": 8 }),
        json!({ "passwordPolicy": { "minLenght": 8 } }),
        json!({ "limits": false }),
        json!({ "limits": { "perClient": 5 } }),
        json!({ "limits": { "perClient": { "signin": 5 } } }),
        json!({ "limits": { "mailPerHour": 0 } }),
        json!({ "limits": { "maxConnections": false } }),
        json!({ "authProviders": [] }),
        json!({ "authProviders": { "type": "password" } }),
        json!({ "authProviders": [{ "type": "password" }, { "type": "password" }] }),
        provider(json!({})),
        provider(json!({ "type": "github" })),
        provider(json!({ "type": "password", "iterations": 10 })),
        provider(json!({ "type": "password", "emailHandlerConfig": {} })),
        mail("connectionString", json!("http://localhost")),
        mail("from", json!("nobody")),
        mail("webhook", json!({ "url": "https://mail.example.org", "secret": SECRET })),
        webhook(json!({})),
        webhook(json!({ "url": "https://mail.example.org" })),
        webhook(json!({ "url": "smtp://localhost", "secret": SECRET })),
        webhook(json!({ "url": "https://mail.example.org", "secret": "hunter2" })),
        webhook(json!({ "url": "https://mail.example.org", "secret": [] })),
        webhook(json!({ "url": "https://mail.example.org", "secret": SECRET, "headers": { "x": 5 } })),
        mail("baseUrl", json!("example.org")),
        mail("allowInsecureBaseUrl", json!(1)),
        mail("dkim", json!("x")),
        mail("dkim", json!({ "domain": "example.org" })),
        mail("dkim", json!({ "keys": [] })),
        mail("dkim", json!({ "keys": [{ "domainName": "example.org" }] })),
        mail("dkim", json!({ "hashAlgo": "sha1" })),
        mail("dkim", json!({ "headerFieldNames": "to:subject" })),
        mail("resetActionConfig", json!("x")),
        mail("resetActionConfig", json!({ "subjekt": "x" })),
        mail("resetActionConfig", json!({ "subject": 5 })),
        mail("confirmActionConfig", json!({ "textTemplate": {} })),
        mail("changedActionConfig", json!({ "htmlTemplate": { "file": 5 } })),
        mail("changedActionConfig", json!({ "htmlTemplate": { "file": "x", "encoding": "y" } })),
    ] {
        assert!(judged(&document).is_err(), "the schema accepts {document}");
        assert!(loads(&document).is_err(), "the reader accepts {document}");
    }
}
