//! What `check` and `mail` say where a webhook takes the mails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::harness::Place;

const TO: &str = "ada@example.org";

/// A receiver on a port of its own that answers each request so; the requests that came, head and body.
fn receiver(status: &'static str, body: &'static str) -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            // TLS begins so; it gets what a server without it says.
            if reader.fill_buf().unwrap().first() == Some(&0x16) {
                reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
                continue;
            }
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            // `check` connects and says nothing.
            let Some(length) = length else { continue };
            let mut bytes = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut bytes).unwrap();
            sender.send((head, serde_json::from_slice(&bytes).unwrap())).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, received)
}

/// A configuration whose mails leave by this webhook.
fn place(url: &str) -> Place {
    let place = Place::new();
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    place.write(
        "regain.toml",
        &format!(
            "port = 0\npublicUrl = \"http://localhost:9080\"\n[[authProviders]]\ntype = \"password\"\n\
             [authProviders.emailHandlerConfig.webhook]\nurl = \"{url}\"\nsecret = \"{secret}\"\n"
        ),
    );
    place
}

fn line(place: &Place) -> (Option<i32>, String) {
    let ran = place.run(&["check"]);
    let found = ran.stdout.lines().find(|line| line.split_whitespace().nth(1) == Some("webhook"));
    (ran.code, found.unwrap_or_else(|| panic!("{ran:?}")).to_owned())
}

#[test]
fn check_says_whether_the_webhook_can_be_reached_and_why_not() {
    let (port, received) = receiver("200 OK", "");
    let (code, told) = line(&place(&format!("http://127.0.0.1:{port}/hook?key=hunter2")));
    assert!(code == Some(0) && told.starts_with("ok") && told.contains("regain mail test"), "{told}");
    assert!(received.recv_timeout(Duration::from_millis(50)).is_err(), "nothing is posted");
    let (_, told) = line(&place(&format!("https://127.0.0.1:{port}/hook?key=hunter2")));
    assert!(told.starts_with("problem") && told.contains("TLS: ") && !told.contains("hunter2"), "{told}");
    let gone = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let (code, told) = line(&place(&format!("http://127.0.0.1:{gone}/")));
    assert!(
        code == Some(1) && told.contains("connect: ") && told.contains(&format!("port {gone}")),
        "{told}"
    );
    let (_, told) = line(&place("https://hooks.example.com/regain"));
    assert!(told.contains("kept for examples (RFC 2606)"), "{told}");
}

#[test]
fn a_test_mail_is_posted_signed_and_as_a_test() {
    let (port, received) = receiver("202 Accepted", "queued as 4Bx9");
    let place = place(&format!("http://127.0.0.1:{port}/hook"));
    let told = place.run(&["mail", "test", TO]).ok();
    assert!(told.contains("answer    202 Accepted: queued as 4Bx9"), "{told}");
    assert!(told.contains("\naccepted by the webhook"), "{told}");
    let (head, body) = received.try_recv().unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("webhook-signature: v1,") && head.contains("webhook-id: "), "{head}");
    assert_eq!((&body["type"], &body["data"]["to"]), (&"mail.test".into(), &TO.into()));
    assert_eq!((&body["data"]["token"], &body["data"]["link"]), (&Value::Null, &Value::Null));
    assert!(body["data"]["subject"].as_str().unwrap().starts_with("Test mail from"), "{body}");
    let report: Value = serde_json::from_str(&place.run(&["mail", "test", TO, "--json"]).ok()).unwrap();
    assert_eq!((&report["accepted"], &report["webhook"]["failed"]), (&true.into(), &Value::Null));
    assert!(
        place.run(&["mail", "test", TO, "--relay", "1"]).wrong().contains("--relay chooses among relays")
    );
    assert!(place.run(&["mail", "dkim-record"]).wrong().contains("nothing here signs them"));
}

#[test]
fn a_test_mail_that_is_refused_tells_what_the_server_would_do() {
    for (status, consequence) in [
        ("401 Unauthorized", "pause the webhook"),
        ("503 Service Unavailable", "let the webhook rest"),
        ("409 Conflict", "try this letter again"),
        ("422 Unprocessable Content", "give this letter up"),
    ] {
        let (port, _received) = receiver(status, "no");
        let ran = place(&format!("http://127.0.0.1:{port}/hook")).run(&["mail", "test", TO]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("FAILED") && ran.stdout.contains(&status[..3]), "{ran:?}");
        assert!(ran.stdout.contains(&format!("Regain    would {consequence}")), "{ran:?}");
    }
}

#[test]
fn the_log_calls_a_webhook_a_webhook() {
    for (status, told) in [
        ("503 Service Unavailable", "the webhook is at fault"),
        ("401 Unauthorized", "the webhook refuses what the configuration says"),
    ] {
        let (port, _received) = receiver(status, "no");
        let place = place(&format!("http://127.0.0.1:{port}/hook"));
        let server = place.start(&["serve"], &[]);
        server.register(TO);
        let line = server.logs(if status.starts_with('5') { "relay_fault" } else { "relay_paused" });
        assert!(line.contains(told) && !line.contains("the relay"), "{line}");
    }
}
