//! `regain mail inspect` and `inspect-from`.

use serde_json::{Map, Value, json};

use crate::harness::{Place, Ran};

const PASSWORD: &str = "hunter2secret";

fn inspect(url: &str) -> Ran {
    Place::new().run(&["mail", "inspect", "--json", url])
}

/// What every URL means that says nothing else.
fn plain() -> Map<String, Value> {
    let Value::Object(plain) = json!({
        "host": "smtp.example.com", "port": 587, "secure": false, "user": null, "pass": null, "pool": null,
        "maxConnections": null, "maxMessages": null, "rateLimit": null, "rateDelta": null, "requireTLS": null,
        "ignoreTLS": null, "tls.rejectUnauthorized": null, "tls.servername": null, "name": null,
        "connectionTimeout": 120000, "greetingTimeout": 30000, "socketTimeout": 600000, "starttls": "required",
        "opportunisticTLS": null, "tls.ca": null, "tls.minVersion": null, "localAddress": null, "dnsTimeout": null,
        "idleTimeout": null, "authMethod": null, "service": null,
    }) else {
        unreachable!()
    };
    plain
}

#[test]
fn the_documented_examples_mean_what_is_documented() {
    let tls = json!({ "port": 465, "secure": true, "starttls": "never" });
    let pool = json!({ "pool": true, "maxConnections": 5, "maxMessages": 100, "rateDelta": 1000 });
    let cases: Vec<(&str, Vec<Value>)> = vec![
        ("smtp://smtp.example.com", vec![]),
        ("smtps://smtp.example.com", vec![tls.clone()]),
        ("smtp://smtp.example.com:25", vec![json!({ "port": 25 })]),
        ("smtps://smtp.example.com:587", vec![tls.clone(), json!({ "port": 587 })]),
        ("SMTP://smtp.example.com", vec![]),
        ("smtp://localhost:1025", vec![json!({ "host": "localhost", "port": 1025, "starttls": "optional" })]),
        ("smtp://user:pass@smtp.example.com", vec![json!({ "user": "user", "pass": "pass" })]),
        (
            "smtps://user:pass@smtp.example.com:465",
            vec![tls.clone(), json!({ "user": "user", "pass": "pass" })],
        ),
        (
            "smtp://user%40example.com:pass@smtp.example.com",
            vec![json!({ "user": "user@example.com", "pass": "pass" })],
        ),
        (
            "smtp://user:p%40ss%2Fw%3Fo%23rd@smtp.example.com",
            vec![json!({ "user": "user", "pass": "p@ss/w?o#rd" })],
        ),
        (
            "smtp://apikey:SG.abc-DEF_123.xyz@smtp.example.com",
            vec![json!({ "user": "apikey", "pass": "SG.abc-DEF_123.xyz" })],
        ),
        (
            "smtps://user%40x:pa%3Ass@host:465/?pool=true&tls.rejectUnauthorized=false",
            vec![
                tls.clone(),
                pool.clone(),
                json!({ "host": "host", "user": "user@x", "pass": "pa:ss", "tls.rejectUnauthorized": false }),
            ],
        ),
        ("smtp://127.0.0.1:1025", vec![json!({ "host": "127.0.0.1", "port": 1025, "starttls": "optional" })]),
        ("smtp://[::1]:2525", vec![json!({ "host": "::1", "port": 2525, "starttls": "optional" })]),
        ("smtp://jõgeva.ee", vec![json!({ "host": "xn--jgeva-dua.ee" })]),
        ("smtp://smtp.example.com/?pool=true", vec![pool.clone()]),
        (
            "smtps://user:pass@smtp.example.com/?pool=true&maxConnections=10&maxMessages=50",
            vec![
                tls.clone(),
                pool.clone(),
                json!({ "user": "user", "pass": "pass", "maxConnections": 10, "maxMessages": 50 }),
            ],
        ),
        (
            "smtp://smtp.example.com?pool=true&rateLimit=5&rateDelta=2000",
            vec![pool, json!({ "rateLimit": 5, "rateDelta": 2000 })],
        ),
        (
            "smtp://smtp.example.com?maxConnections=3&maxMessages=1&rateDelta=5",
            vec![json!({ "maxConnections": 3, "maxMessages": 1, "rateDelta": 5 })],
        ),
        ("smtp://smtp.example.com?pool=false", vec![json!({ "pool": false })]),
        ("smtp://smtp.example.com?requireTLS=true", vec![json!({ "requireTLS": true })]),
        (
            "smtp://smtp.example.com?requireTLS=false",
            vec![json!({ "requireTLS": false, "starttls": "optional" })],
        ),
        ("smtp://smtp.example.com?ignoreTLS=true", vec![json!({ "ignoreTLS": true, "starttls": "never" })]),
        (
            "smtp://smtp.example.com?tls.rejectUnauthorized=false",
            vec![json!({ "tls.rejectUnauthorized": false })],
        ),
        (
            "smtp://smtp.example.com?tls.rejectUnauthorized=true",
            vec![json!({ "tls.rejectUnauthorized": true })],
        ),
        (
            "smtps://192.0.2.10?tls.servername=mail.example.net",
            vec![tls.clone(), json!({ "host": "192.0.2.10", "tls.servername": "mail.example.net" })],
        ),
        ("smtp://smtp.example.com?name=client.example.com", vec![json!({ "name": "client.example.com" })]),
        (
            "smtp://smtp.example.com?connectionTimeout=5000&greetingTimeout=3000&socketTimeout=60000",
            vec![json!({ "connectionTimeout": 5000, "greetingTimeout": 3000, "socketTimeout": 60000 })],
        ),
        (
            "smtps://user:pass@localhost/?service=Gmail",
            vec![
                tls,
                json!({ "host": "smtp.gmail.com", "user": "user", "pass": "pass", "service": "Gmail" }),
            ],
        ),
        (
            "smtp://smtp.example.com?opportunisticTLS=1&tls.ca=ca.pem&tls.minVersion=TLSv1.3&localAddress=192.0.2.7\
             &dnsTimeout=1000&idleTimeout=2000&authMethod=plain",
            vec![json!({
                "starttls": "optional", "opportunisticTLS": true, "tls.ca": "ca.pem", "tls.minVersion": "TLSv1.3",
                "localAddress": "192.0.2.7", "dnsTimeout": 1000, "idleTimeout": 2000, "authMethod": "PLAIN",
            })],
        ),
    ];
    for (url, differences) in cases {
        let mut expected = plain();
        for difference in differences {
            expected.extend(difference.as_object().unwrap().clone());
        }
        let found: Map<String, Value> = serde_json::from_str(&inspect(url).ok()).unwrap();
        assert_eq!(found, expected, "{url}");
        let keys: Vec<&String> = found.keys().collect();
        assert_eq!(keys, plain().keys().collect::<Vec<_>>(), "the keys come in the documented order");
    }
}

#[test]
fn what_is_refused_is_told_without_the_password() {
    let bad = [
        "smtp.example.com",
        "http://user:hunter2secret@host",
        "direct://user:hunter2secret@host",
        "smtp:///host",
        "smtp://user:hunter2secret@ho st",
        "smtp://user:hunter2secret/x@host",
        "smtp://user:hunter2secret@host:99999",
        "smtp://user:hunter2secret@010.0.0.1",
        "smtp://user:hunter2secret@host?poool=true",
        "smtp://user:hunter2secret@host?pool=no",
        "smtp://user:hunter2secret@host?requireTls=true",
        "smtp://user:hunter2secret@host?pool=true&pool=false",
        "smtp://user:hunter2secret@host?rateLimit=-5",
        "smtp://user:hunter2secret@host?connectionTimeout=5s",
        "smtp://user:hunter2secret@host?service=Gmial",
        "",
    ];
    for url in bad {
        for arguments in [["mail", "inspect", "--json", url], ["mail", "inspect", url, "--json"]] {
            let refused = Place::new().run(&arguments);
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{url}");
            assert!(
                refused.stderr.starts_with("regain: ") && !refused.stderr.contains(PASSWORD),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_password_that_falls_apart_into_arguments_is_not_shown() {
    let refused = Place::new().run(&["mail", "inspect", "smtp://user:half", "hunter2secret@host"]).wrong();
    assert!(refused.contains("one argument") && !refused.contains(PASSWORD), "{refused}");
}

#[test]
fn a_dash_reads_the_string_from_stdin() {
    let url = "smtps://user:hunter2secret@host";
    let place = Place::new();
    let from_input = place.run_with(&["mail", "inspect", "--json", "-"], &[], &format!("{url}\r\n")).ok();
    assert_eq!(from_input, inspect(url).ok());
    let sender = place.run_with(&["mail", "inspect-from", "-"], &[], "foo@bar.com\n").ok();
    assert_eq!(sender, "name  address\n-     foo@bar.com\n");
}

#[test]
fn people_see_all_but_the_password() {
    let shown = Place::new().run(&["mail", "inspect", "smtps://user:hunter2secret@host?pool=true"]).ok();
    assert!(shown.contains("host") && shown.contains("465") && shown.contains("pass"), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn a_sender_is_names_and_addresses() {
    let place = Place::new();
    let cases = [
        ("sender@server.com", json!([{ "name": "", "address": "sender@server.com" }])),
        (
            "\"Sender Name\" sender@server.com",
            json!([{ "name": "Sender Name", "address": "sender@server.com" }]),
        ),
        (
            "\"Sender Name\" <sender@server.com>",
            json!([{ "name": "Sender Name", "address": "sender@server.com" }]),
        ),
        (
            "Ann <ann@x.org>, ben@y.org",
            json!([{ "name": "Ann", "address": "ann@x.org" }, { "name": "", "address": "ben@y.org" }]),
        ),
    ];
    for (sender, expected) in cases {
        let found: Value =
            serde_json::from_str(&place.run(&["mail", "inspect-from", "--json", sender]).ok()).unwrap();
        assert_eq!(found, json!({ "addresses": expected }), "{sender}");
    }
    for bad in ["sender", "@server.com", "a@b@c.org", "<>", "a@b.co\r\nBcc: c@d.co", "\"Sender <a@b.co>"] {
        let refused = place.run(&["mail", "inspect-from", "--json", bad]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{bad:?}");
        assert!(refused.stderr.starts_with("regain: "), "{refused:?}");
    }
}
