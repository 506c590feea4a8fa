//! The mailer against a server of its own, over TCP, with every answer, silence, lie and certificate.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regain_core::mailer::LaterKind;
use regain_core::testing::FakeClock;
use regain_core::{Address, LetterId, Purpose, Token, UserAgent};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::mail::templates::{AllOverrides, Templates};

const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// A request as it came, head and body.
#[derive(Clone)]
struct Received {
    head: String,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How a server answers the request that it has read.
#[derive(Clone)]
enum Behaviour {
    /// With these bytes; then the next request on this connection.
    Answer(String),
    /// With these bytes, and then with more without end.
    Endless(String),
    /// With these bytes, and then nothing, keeping the connection.
    Stall(String),
    /// Not at all: it closes.
    Close,
}

/// A plain HTTP server that does as it is told and writes down what it was sent.
struct Server {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    behaviour: Arc<Mutex<Behaviour>>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, connections) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::<AtomicUsize>::default());
        let behaviour = Arc::new(Mutex::new(behaviour));
        let (all, count, how) = (received.clone(), connections.clone(), behaviour.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, all.clone(), how.clone()));
            }
        });
        Self { port, received, connections, behaviour, _task: AbortOnDropHandle::new(task) }
    }

    async fn answering(status: &str, body: &str) -> Self {
        Self::start(Behaviour::Answer(answer(status, "", body))).await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/regain?key=hunter2", self.port)
    }

    fn behaves(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: TcpStream,
    all: Arc<Mutex<Vec<Received>>>,
    behaviour: Arc<Mutex<Behaviour>>,
) -> Option<()> {
    loop {
        let received = read_request(&mut stream).await?;
        all.lock().unwrap().push(received);
        let how = behaviour.lock().unwrap().clone();
        match how {
            Behaviour::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.ok()?,
            Behaviour::Endless(bytes) => {
                stream.write_all(bytes.as_bytes()).await.ok()?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await.ok()?;
                }
            }
            Behaviour::Stall(bytes) => {
                stream.write_all(bytes.as_bytes()).await.ok()?;
                // Until the other side gives up.
                while stream.read(&mut [0; 64]).await.ok()? > 0 {}
            }
            Behaviour::Close => return None,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut received = Received { head, body: bytes.split_off(end + 4) };
    let length: usize = received.header("content-length").unwrap().parse().unwrap();
    while received.body.len() < length {
        stream.read_buf(&mut received.body).await.ok()?;
    }
    Some(received)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn wording() -> Wording {
    Wording {
        templates: Templates::new(AllOverrides::default(), true).unwrap(),
        link_base: "https://example.org".to_owned(),
        app_name: "Notes".to_owned(),
        reset_lifetime: Duration::from_secs(3600),
        confirm_lifetime: Duration::from_secs(86_400),
    }
}

fn settings(url: &str) -> WebhookSettings {
    WebhookSettings::new(url, SECRET).unwrap().with_timeout(Duration::from_secs(3))
}

fn mailer_of(settings: WebhookSettings, clock: Arc<FakeClock>) -> WebhookMailer {
    let sender = Sender::parse("\"Notes\" <notes@example.org>").unwrap();
    WebhookMailer::new(wording(), Some(sender), settings, &TrustRoots::System, clock).unwrap()
}

fn mailer(url: &str) -> WebhookMailer {
    mailer_of(settings(url), Arc::default())
}

fn parcel() -> Parcel {
    Parcel {
        letter: LetterId::from_bytes([7; 16]),
        purpose: Purpose::Reset,
        to: Address::parse("ann@example.net").unwrap(),
        token: Token::parse(TOKEN),
        ip: "192.0.2.1".parse().ok(),
        agent: UserAgent::parse("Firefox"),
        posted: Timestamp::from_millis(1_795_377_610_000),
    }
}

async fn failure(server: &Server) -> DeliveryError {
    mailer(&server.url()).deliver(parcel()).await.unwrap_err()
}

#[tokio::test]
async fn a_mail_is_posted_with_all_that_a_receiver_needs() {
    let server = Server::answering("202 Accepted", "queued for ann@example.net as 4Bx9").await;
    let receipt = mailer(&server.url()).deliver(parcel()).await.unwrap();
    assert_eq!(receipt.reply, "202 Accepted: queued for [hidden] as 4Bx9");
    let received = server.received().remove(0);
    assert!(received.head.starts_with("POST /regain?key=hunter2 HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert!(received.header("user-agent").unwrap().starts_with("regain/"));
    let mut body = received.json();
    let texts = ["subject", "text", "html"].map(|part| body["data"][part].take());
    let link = format!("https://example.org/reset-password?token={TOKEN}");
    assert_eq!(texts[0], "Password reset requested");
    assert!(texts[1].as_str().unwrap().contains(&link) && texts[2].as_str().unwrap().contains(&link));
    let expected = serde_json::json!({
        "type": "mail.reset",
        "timestamp": "2026-11-22T20:00:10Z",
        "data": {
            "id": "07070707-0707-0707-0707-070707070707",
            "messageId": "<07070707-0707-0707-0707-070707070707@example.org>",
            "to": "ann@example.net",
            "from": "\"Notes\" <notes@example.org>",
            "subject": null, "text": null, "html": null,
            "link": link,
            "token": TOKEN,
            "expiresIn": 3600,
            "appName": "Notes",
            "clientIp": "192.0.2.1",
            "userAgent": "Firefox",
        },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_is_unknown_is_null() {
    let server = Server::answering("204 No Content", "").await;
    let wording = Wording { link_base: String::new(), ..wording() };
    let mailer =
        WebhookMailer::new(wording, None, settings(&server.url()), &TrustRoots::System, Arc::new(WallClock));
    let parcel = Parcel { purpose: Purpose::PasswordChanged, token: None, ip: None, agent: None, ..parcel() };
    mailer.unwrap().deliver(parcel).await.unwrap();
    let body = server.received()[0].json();
    assert_eq!(body["type"], "mail.password_changed");
    for key in ["messageId", "from", "link", "token", "clientIp", "userAgent"] {
        assert_eq!(body["data"].get(key), Some(&Value::Null), "{key}");
    }
}

#[tokio::test]
async fn a_repeat_has_the_same_body_and_id_and_a_time_of_its_own() {
    let server = Server::answering("200 OK", "").await;
    let clock = Arc::new(FakeClock::default());
    let secrets = [SECRET, OTHER_SECRET].map(|secret| SigningSecret::parse(secret).unwrap());
    let settings = WebhookSettings::at(&server.url(), secrets.to_vec()).unwrap();
    let mailer = mailer_of(settings, clock.clone());
    mailer.deliver(parcel()).await.unwrap();
    clock.advance(Duration::from_secs(90));
    mailer.deliver(parcel()).await.unwrap();
    let [first, second] = &server.received()[..] else { panic!() };
    assert!(first.body == second.body);
    let id = "07070707-0707-0707-0707-070707070707";
    let time_of = |received: &Received| received.header("webhook-timestamp").unwrap().parse::<i64>().unwrap();
    assert_eq!(time_of(second), time_of(first) + 90);
    for received in [first, second] {
        assert_eq!(received.header("webhook-id"), Some(id));
        // Each secret signs, so that a receiver may know either.
        let time = received.header("webhook-timestamp").unwrap();
        let signatures: Vec<String> =
            secrets.iter().map(|secret| secret.sign(id, time, &received.body)).collect();
        assert_eq!(received.header("webhook-signature"), Some(signatures.join(" ").as_str()));
    }
    assert_ne!(first.header("webhook-signature"), second.header("webhook-signature"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "the connection is kept");
}

#[tokio::test]
async fn headers_of_ones_own_are_sent() {
    let server = Server::answering("200 OK", "").await;
    let settings = settings(&server.url()).with_header("Authorization", "Bearer abc").unwrap();
    mailer_of(settings, Arc::default()).deliver(parcel()).await.unwrap();
    assert_eq!(server.received()[0].header("authorization"), Some("Bearer abc"));
}

#[tokio::test]
async fn every_answer_says_whose_fault_it_is() {
    for (status, permanent) in [
        ("301 Moved", true),
        ("302 Found", true),
        ("401 Unauthorized", true),
        ("403 Forbidden", true),
        ("404 Not Found", true),
        ("405 Method Not Allowed", true),
        ("410 Gone", true),
        ("415 Unsupported Media Type", true),
        ("501 Not Implemented", true),
        ("429 Too Many Requests", false),
        ("502 Bad Gateway", false),
        ("503 Service Unavailable", false),
        ("504 Gateway Timeout", false),
    ] {
        let server =
            Server::start(Behaviour::Answer(answer(status, "location: http://127.0.0.1:1/\r\n", "no"))).await;
        let error = failure(&server).await;
        let DeliveryError::Relay { reason, permanent: found } = error else { panic!("{status}: {error:?}") };
        assert_eq!(found, permanent, "{status}");
        assert!(
            reason.starts_with(&format!("webhook: {}", &status[..3])) && reason.ends_with(": no"),
            "{reason}"
        );
        assert_eq!(reason.contains("redirects are not followed"), status.starts_with('3'), "{reason}");
        assert_eq!(server.received().len(), 1, "no redirect is followed");
    }
    for (status, expected) in [
        ("400 Bad Request", LaterKind::Policy),
        ("408 Request Timeout", LaterKind::Other),
        ("409 Conflict", LaterKind::Other),
        ("425 Too Early", LaterKind::Other),
        ("500 Oops", LaterKind::Other),
    ] {
        let error = failure(&Server::answering(status, "no").await).await;
        let DeliveryError::Later { reply, kind, .. } = error else { panic!("{status}: {error:?}") };
        assert_eq!((kind, reply.is_some()), (expected, true), "{status}");
    }
    for status in ["413 Too Large", "422 Unprocessable"] {
        let error = failure(&Server::answering(status, "suppressed: ann@example.net").await).await;
        let DeliveryError::Never { reason, reply } = error else { panic!("{status}: {error:?}") };
        assert!(reason.contains(&status[..3]), "{reason}");
        assert!(reply.unwrap().ends_with(": suppressed: [hidden]"));
    }
}

#[tokio::test]
async fn a_webhook_that_asks_for_a_rest_is_left_alone_for_so_long() {
    let server =
        Server::start(Behaviour::Answer(answer("429 Slow down", "retry-after: 120\r\n", "over quota"))).await;
    let clock = Arc::new(FakeClock::default());
    let mailer = mailer_of(settings(&server.url()), clock.clone());
    let reason = async || {
        let error = mailer.deliver(parcel()).await.unwrap_err();
        let DeliveryError::Relay { reason, permanent: false } = error else { panic!("{error:?}") };
        reason
    };
    let said = "webhook: 429 Too Many Requests: over quota";
    assert_eq!(reason().await, said);
    server.behaves(Behaviour::Answer(answer("200 OK", "", "")));
    clock.advance(Duration::from_secs(119));
    assert_eq!(reason().await, format!("{said}; it wants to be left alone for 1s more"));
    assert_eq!(server.received().len(), 1, "nothing was sent meanwhile");
    clock.advance(Duration::from_secs(1));
    mailer.deliver(parcel()).await.unwrap();
    mailer.deliver(parcel()).await.unwrap();
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_at_fault() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error =
        mailer(&format!("http://127.0.0.1:{port}/x?key=hunter2")).deliver(parcel()).await.unwrap_err();
    let DeliveryError::Relay { reason, permanent: false } = error else { panic!("{error:?}") };
    assert!(reason.starts_with("webhook: connect: ") && reason.contains("refused"), "{reason}");
    let error = mailer("https://nowhere.invalid/hunter2").deliver(parcel()).await.unwrap_err();
    let DeliveryError::Relay { reason, permanent: false } = error else { panic!("{error:?}") };
    assert!(reason.starts_with("webhook: connect: ") && !reason.contains("hunter2"), "{reason}");
}

#[tokio::test]
async fn silence_and_a_lost_connection_are_nobodys_fault() {
    for behaviour in
        [Behaviour::Stall(String::new()), Behaviour::Close, Behaviour::Stall("HTTP/1.1 200".to_owned())]
    {
        let started = std::time::Instant::now();
        let error = failure(&Server::start(behaviour).await).await;
        assert!(matches!(error, DeliveryError::Later { kind: LaterKind::Unknown, .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn nonsense_is_the_webhooks_fault() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(100_000))]
    {
        let error = failure(&Server::start(Behaviour::Answer(bytes)).await).await;
        let DeliveryError::Relay { reason, permanent: false } = error else { panic!("{error:?}") };
        assert!(reason.starts_with("webhook: no HTTP answer"), "{reason}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_and_its_status_counts() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n".to_owned();
    let server = Server::start(Behaviour::Endless(endless)).await;
    let receipt = mailer(&server.url()).deliver(parcel()).await.unwrap();
    assert!(receipt.reply.len() < 400, "{}", receipt.reply.len());
    let stalled = "HTTP/1.1 422 No\r\ncontent-length: 100\r\n\r\nunknown".to_owned();
    let error = failure(&Server::start(Behaviour::Stall(stalled)).await).await;
    let DeliveryError::Never { reply, .. } = error else { panic!("{error:?}") };
    assert_eq!(reply.as_deref(), Some("422 Unprocessable Entity: unknown"));
}

#[tokio::test]
async fn a_page_for_people_is_not_kept() {
    let page = answer("502 Bad Gateway", "content-type: text/html\r\n", "<html><h1>502</h1></html>");
    let error = failure(&Server::start(Behaviour::Answer(page)).await).await;
    let DeliveryError::Relay { reason, .. } = error else { panic!("{error:?}") };
    assert_eq!(reason, "webhook: 502 Bad Gateway");
}

#[tokio::test]
async fn no_error_names_the_address_the_token_or_the_key() {
    let said = format!("ann@example.net ann {TOKEN} \u{1b}[2J");
    for status in ["200", "302", "400", "401", "422", "429", "500", "503"] {
        let server = Server::answering(&format!("{status} ann@example.net"), &said).await;
        let shown = match mailer(&server.url()).deliver(parcel()).await {
            Ok(receipt) => receipt.reply,
            Err(error) => format!("{error:?}"),
        };
        assert!(!shown.contains("ann@") && !shown.contains(" ann ") && !shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains(&TOKEN[..12]) && !shown.contains('\u{1b}'), "{shown}");
    }
}

#[tokio::test]
async fn no_error_names_the_path_the_query_or_a_header() {
    let said =
        r#"{"message":"Route POST:\/hooks\/T0K3NPATH?key=qsecret not found","login":"Bearer hunter2header"}"#;
    for status in ["200", "302", "400", "404", "422", "429", "500", "503"] {
        let server =
            Server::start(Behaviour::Answer(answer(status, "content-type: application/json\r\n", said)))
                .await;
        let settings = settings(&format!("http://127.0.0.1:{}/hooks/T0K3NPATH?key=qsecret", server.port));
        let settings = settings.with_header("Authorization", "Bearer hunter2header").unwrap();
        let shown = match mailer_of(settings, Arc::default()).deliver(parcel()).await {
            Ok(receipt) => receipt.reply,
            Err(DeliveryError::Relay { reason, .. }) => reason,
            Err(DeliveryError::Later { reply, .. } | DeliveryError::Never { reply, .. }) => reply.unwrap(),
            Err(DeliveryError::NotBegun | DeliveryError::HeldBack) => panic!("it was tried"),
        };
        let kept = r#": {"message":"Route POST:[hidden] not found","login":"[hidden]"}"#;
        assert!(shown.ends_with(kept), "{shown}");
    }
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let server = Server::start(Behaviour::Answer(answer("200 OK", "", ""))).await;
    let mailer = Arc::new(mailer_of(settings(&server.url()).with_max_connections(2), Arc::default()));
    let deliveries: Vec<_> = (0..20)
        .map(|number| {
            let mailer = mailer.clone();
            tokio::spawn(async move {
                mailer.deliver(Parcel { letter: LetterId::from_bytes([number; 16]), ..parcel() }).await
            })
        })
        .collect();
    for delivery in deliveries {
        delivery.await.unwrap().unwrap();
    }
    assert_eq!(server.received().len(), 20);
    assert!(server.connections.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_failure() {
    let server = Server::answering("200 OK", "").await;
    let closing = answer("200 OK", "connection: close\r\n", "");
    let mailer = mailer(&server.url());
    server.behaves(Behaviour::Answer(closing));
    for _ in 0..3 {
        mailer.deliver(parcel()).await.unwrap();
    }
    assert_eq!(server.received().len(), 3);
}

mod tls {
    use regain_smtp::testing::{Features, ScriptedServer, ServerTls};

    use super::*;

    /// A server that speaks TLS. What it says inside is SMTP, which is of no interest here.
    async fn with_certificate_for(name: &str) -> ScriptedServer {
        let certificate_names = vec![name.to_owned()];
        ScriptedServer::with(Features { certificate_names, ..Features::tls(ServerTls::Immediate) }).await
    }

    fn url(server: &ScriptedServer) -> String {
        format!("https://localhost:{}/hunter2?key=hunter2", server.port())
    }

    fn roots(server: &ScriptedServer) -> TrustRoots {
        TrustRoots::Pem(server.certificate_pem().as_bytes().to_vec())
    }

    async fn error_with(server: &ScriptedServer, roots: &TrustRoots) -> DeliveryError {
        let mailer =
            WebhookMailer::new(wording(), None, settings(&url(server)), roots, Arc::new(WallClock)).unwrap();
        mailer.deliver(parcel()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_or_for_another_name_is_for_the_operator() {
        let (right, wrong) =
            (with_certificate_for("localhost").await, with_certificate_for("other.test").await);
        for (server, roots) in
            [(&right, roots(&wrong)), (&wrong, roots(&wrong)), (&right, TrustRoots::System)]
        {
            let error = error_with(server, &roots).await;
            let DeliveryError::Relay { reason, permanent: true } = error else { panic!("{error:?}") };
            assert!(reason.starts_with("webhook: TLS: ") && reason.contains("certificate"), "{reason}");
            assert!(!reason.contains("hunter2"), "{reason}");
            let told = check(&settings(&url(server)), &roots).await.unwrap_err();
            assert!(matches!(told, CheckError::Tls(_)), "{told}");
        }
        // What is trusted gets as far as the answer, which is no HTTP.
        let error = error_with(&right, &roots(&right)).await;
        let DeliveryError::Relay { reason, permanent: false } = error else { panic!("{error:?}") };
        assert!(reason.starts_with("webhook: no HTTP answer"), "{reason}");
        check(&settings(&url(&right)), &roots(&right)).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_and_nothing_is_sent_in_the_clear() {
        let server = Server::answering("200 OK", "").await;
        let url = format!("https://localhost:{}/x", server.port);
        let error = mailer(&url).deliver(parcel()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Relay { .. }), "{error:?}");
        assert!(server.received().is_empty());
        assert!(check(&settings(&url), &TrustRoots::System).await.is_err());
    }

    #[tokio::test]
    async fn a_check_sends_no_request() {
        let server = Server::answering("200 OK", "").await;
        check(&settings(&server.url()), &TrustRoots::System).await.unwrap();
        assert!(server.received().is_empty());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = check(&settings(&format!("http://127.0.0.1:{port}")), &TrustRoots::System).await;
        assert!(matches!(error, Err(CheckError::Connect(_))), "{error:?}");
    }
}
