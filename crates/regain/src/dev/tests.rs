use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use regain_core::mailer::{Mailer, Parcel};
use regain_core::{Address, LetterId, Purpose, Timestamp, Token};
use regain_smtp::Sender;
use tower::ServiceExt;

use super::*;
use crate::mail::{AllOverrides, Composer, Letterhead, MailboxMailer, Overrides, Templates};

const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";
const HOSTILE: &str = "</pre></iframe><script>alert(1)</script>\"'";

fn get(path: &str) -> Request<Body> {
    request("GET", path, "127.0.0.1:50000", "localhost:9080")
}

fn request(method: &str, path: &str, peer: &str, host: &str) -> Request<Body> {
    let mut request =
        Request::builder().method(method).uri(path).header(header::HOST, host).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    request
}

async fn send(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn policy(response: &Response) -> &str {
    response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap()
}

/// A router whose mailbox holds a default mail and, newer, one whose every part is hostile.
async fn with_two_mails() -> Router {
    let mailbox = Mailbox::new();
    let text = format!("{HOSTILE} %TOKEN%");
    let hostile = Overrides { subject: Some(HOSTILE), text: Some(&text), html: Some(&text) };
    for (number, overrides) in
        [(1, AllOverrides::default()), (2, AllOverrides { reset: hostile, ..AllOverrides::default() })]
    {
        let composer = Composer::new(Letterhead {
            sender: Sender::parse("\"Notes\" notes@example.org").unwrap(),
            templates: Templates::new(overrides, true).unwrap(),
            link_base: "http://localhost:9080".to_owned(),
            app_name: "Notes".to_owned(),
            reset_lifetime: Duration::from_secs(3600),
            confirm_lifetime: Duration::from_secs(86_400),
        });
        let parcel = Parcel {
            letter: LetterId::from_bytes([number; 16]),
            purpose: Purpose::Reset,
            to: Address::parse("ann&@example.net").unwrap(),
            token: Token::parse(TOKEN),
            ip: None,
            agent: None,
            posted: Timestamp::from_millis(1_795_377_610_123),
        };
        MailboxMailer::new(composer, mailbox.clone()).deliver(parcel).await.unwrap();
    }
    router(mailbox, "Notes <&>")
}

#[tokio::test]
async fn the_messages_are_json_newest_first() {
    let router = with_two_mails().await;
    let response = send(&router, get("/dev/mailbox/messages")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
    let messages: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(messages.as_array().unwrap().len(), 2);
    assert_eq!(messages[0]["subject"], HOSTILE);
    let first = messages[1].as_object().unwrap();
    let keys: Vec<_> = first.keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "to", "from", "subject", "text", "html", "at"]);
    assert_eq!(first["to"], "ann&@example.net");
    assert_eq!(first["from"], "\"Notes\" <notes@example.org>");
    assert_eq!(first["at"], "2026-11-22T20:00:10.123Z");
    let link = format!("http://localhost:9080/reset-password?token={TOKEN}");
    assert!(first["text"].as_str().unwrap().lines().any(|line| line == link));
    assert!(first["html"].as_str().unwrap().contains(&link));
}

#[tokio::test]
async fn the_mailbox_can_be_emptied() {
    let router = with_two_mails().await;
    let delete = request("DELETE", "/dev/mailbox/messages", "127.0.0.1:1", "localhost:9080");
    assert_eq!(send(&router, delete).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(send(&router, get("/dev/mailbox/messages")).await).await, "[]");
    assert_eq!(text(send(&router, get("/dev/mailbox/state")).await).await, "{\"count\":0,\"newest\":null}");
    assert!(text(send(&router, get("/dev/mailbox")).await).await.contains("No mail yet"));
}

#[tokio::test]
async fn what_a_mail_holds_stays_text_on_our_pages() {
    let router = with_two_mails().await;
    let id = LetterId::from_bytes([2; 16]);
    for path in ["/dev/mailbox".to_owned(), format!("/dev/mailbox/mail/{id}")] {
        let response = send(&router, get(&path)).await;
        assert!(policy(&response).contains("script-src 'self'; style-src 'self'"));
        assert!(!policy(&response).contains("unsafe"));
        let page = text(response).await;
        assert!(page.contains("&lt;script&gt;alert(1)"), "{path}");
        assert!(!page.contains("<script>"), "{path}");
        assert_eq!(page.matches("</pre></iframe>").count(), 0, "{path}");
        assert!(page.contains("Notes &lt;&amp;&gt;"));
    }
}

#[tokio::test]
async fn the_html_of_a_mail_is_confined() {
    let router = with_two_mails().await;
    let id = LetterId::from_bytes([1; 16]);
    let page = text(send(&router, get(&format!("/dev/mailbox/mail/{id}"))).await).await;
    assert!(page.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""));
    let response = send(&router, get(&format!("/dev/mailbox/mail/{id}/html"))).await;
    let policy = policy(&response).to_owned();
    assert!(policy.starts_with("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';"));
    assert!(!policy.contains("allow-scripts") && !policy.contains("allow-same-origin"));
    let html = text(response).await;
    assert!(html.contains("<head><base target=\"_blank\">"), "{html}");
    assert!(html.contains(TOKEN));
}

#[tokio::test]
async fn the_source_is_the_mail_byte_for_byte() {
    let router = with_two_mails().await;
    let id = LetterId::from_bytes([1; 16]);
    let response = send(&router, get(&format!("/dev/mailbox/mail/{id}/source"))).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert!(text(response).await.starts_with("From: \"Notes\" <notes@example.org>\r\n"));
    let missing = send(&router, get("/dev/mailbox/mail/nothing/source")).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_try_page_and_its_files_are_served() {
    let router = with_two_mails().await;
    let page = text(send(&router, get("/")).await).await;
    for word in ["Register", "Sign in", "Ask for a reset", "Ask for confirmation", "/dev/mailbox"] {
        assert!(page.contains(word), "{word}");
    }
    for (path, kind) in [
        ("/dev/try.js", "text/javascript"),
        ("/dev/mailbox.js", "text/javascript"),
        ("/dev/style.css", "text/css"),
    ] {
        let response = send(&router, get(path)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with(kind));
    }
}

#[cfg(feature = "openapi")]
#[tokio::test]
async fn the_api_page_takes_all_from_this_origin_and_says_where_to_look_without_scripts() {
    let router = with_two_mails().await;
    let response = send(&router, get("/docs")).await;
    assert!(
        policy(&response)
            .starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    );
    let page = text(response).await;
    assert!(page.contains("needs JavaScript") && page.contains("href=\"/openapi.json\""));
    assert!(!page.contains("://"), "nothing of elsewhere");
    let script = send(&router, get("/dev/docs.js")).await;
    assert_eq!(script.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    let script = text(script).await;
    for risky in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "://",
        "Storage",
        "cookie",
    ] {
        assert!(!script.contains(risky), "{risky}");
    }
    let away = request("GET", "/docs", "192.0.2.1:1", "localhost:9080");
    assert_eq!(send(&router, away).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_this_machine_by_a_name_of_this_machine_is_answered() {
    let router = with_two_mails().await;
    for (peer, host, status) in [
        ("127.0.0.1:1", "localhost", 200),
        ("127.0.0.1:1", "LOCALHOST:9080", 200),
        ("127.9.9.9:1", "127.0.0.1:9080", 200),
        ("[::1]:1", "[::1]:9080", 200),
        ("[::ffff:127.0.0.1]:1", "localhost:9080", 200),
        ("192.0.2.1:1", "localhost:9080", 403),
        ("[2001:db8::1]:1", "localhost:9080", 403),
        ("127.0.0.1:1", "evil.example:9080", 403),
        ("127.0.0.1:1", "localhost.evil.example", 403),
        ("127.0.0.1:1", "localhost@evil.example", 403),
        ("127.0.0.1:1", "evil@localhost", 403),
        ("127.0.0.1:1", "10.0.0.1", 403),
        ("127.0.0.1:1", "0.0.0.0:9080", 403),
        ("127.0.0.1:1", "", 403),
    ] {
        for path in ["/", "/dev/mailbox", "/dev/mailbox/messages", "/dev/try.js"] {
            let response = send(&router, request("GET", path, peer, host)).await;
            assert_eq!(response.status().as_u16(), status, "{peer} {host} {path}");
        }
    }
    let no_peer = Request::get("/").header(header::HOST, "localhost").body(Body::empty()).unwrap();
    assert_eq!(send(&router, no_peer).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_comes_through_a_proxy_or_from_another_origin_is_refused() {
    let router = with_two_mails().await;
    for (name, value, status) in [
        ("x-forwarded-for", "192.0.2.1", 403),
        ("forwarded", "for=192.0.2.1", 403),
        ("host", "evil.example", 403),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost:1", 403),
        ("origin", "http://localhost:9080", 200),
    ] {
        let mut asked = get("/dev/mailbox/messages");
        asked.headers_mut().append(name, value.parse().unwrap());
        assert_eq!(send(&router, asked).await.status().as_u16(), status, "{name}: {value}");
    }
    let elsewhere = request("GET", "http://evil.example/dev/mailbox", "127.0.0.1:1", "localhost:9080");
    assert_eq!(send(&router, elsewhere).await.status(), StatusCode::FORBIDDEN);
}
