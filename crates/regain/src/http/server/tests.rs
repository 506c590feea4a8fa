use std::time::Duration;

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::*;
use crate::http::testing::TestSite;

const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(60);

struct Served {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _site: TestSite,
}

fn patient() -> ServerLimits {
    ServerLimits { max_connections: 100, head: LATE, body: LATE, idle: LATE, write: LATE }
}

async fn serve_router(router: Router, limits: ServerLimits, site: TestSite) -> Served {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(serve(listener, router, limits, stop.clone(), Duration::from_secs(5)));
    Served { address, stop, task, _site: site }
}

impl Served {
    async fn start(limits: ServerLimits) -> Self {
        let site = TestSite::new();
        serve_router(site.router.clone(), limits, site).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own and reads all that comes, until the server closes.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    async fn is_healthy(&self) -> bool {
        let answer = self.exchange("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        answer.starts_with("HTTP/1.1 200 ")
    }
}

/// All that comes until the end. A minute without an end is a failure of the server.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(LATE, stream.read_to_end(&mut bytes)).await.expect("no end");
    assert!(read.is_ok() || bytes.is_empty(), "{read:?} after {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8(bytes).unwrap()
}

/// One answer with a `Content-Length`.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_string();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed after {text:?}");
    }
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_turn_pipelined_or_not() {
    let served = Served::start(patient()).await;
    let one = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /Nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = served.exchange(format!("{one}{one}{last}")).await;
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "404"]);
    let lower = answers.to_lowercase();
    assert!(!lower.contains("\nserver:") && !lower.contains("\netag:"), "{answers}");
    let mut stream = served.connect().await;
    for _ in 0..3 {
        stream.write_all(one.as_bytes()).await.unwrap();
        assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_still_gets_its_answer() {
    let served = Served::start(patient()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn silence_and_half_requests_are_closed_in_time() {
    let served = Served::start(ServerLimits { head: SOON, ..patient() }).await;
    for bytes in ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: x\r\n"] {
        assert_eq!(served.exchange(bytes).await, "");
    }
    assert!(served.is_healthy().await);
}

#[tokio::test]
async fn a_drip_is_no_progress() {
    let served = Served::start(ServerLimits { head: SOON, ..patient() }).await;
    let (mut reader, mut writer) = served.connect().await.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut end = Vec::new();
    let closed = tokio::time::timeout(LATE, reader.read_to_end(&mut end)).await;
    assert!(closed.is_ok() && end.is_empty());
    drip.await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_may_be_idle_for_longer_than_a_head_may_take() {
    let served = Served::start(ServerLimits { head: SOON, ..patient() }).await;
    let mut stream = served.connect().await;
    for _ in 0..2 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
        tokio::time::sleep(SOON * 3).await;
    }
    let served = Served::start(ServerLimits { idle: SOON, ..patient() }).await;
    let answer = served.exchange("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let served = Served::start(ServerLimits { body: SOON, ..patient() }).await;
    let head =
        "POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    let mut stream = served.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn too_large_requests_get_their_answer_although_nobody_reads_them() {
    let served = Served::start(patient()).await;
    let big = "x".repeat(1_000_000);
    let headers = format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {big}\r\n\r\n");
    assert!(served.exchange(headers).await.starts_with("HTTP/1.1 431 "));
    let many = "X-A: 1\r\n".repeat(200);
    let headers = format!("GET /health HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert!(served.exchange(headers).await.starts_with("HTTP/1.1 431 "));
    let post = "POST /auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let known = format!("{post}Content-Length: {}\r\n\r\n{big}", big.len());
    assert!(served.exchange(known).await.starts_with("HTTP/1.1 413 "));
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
    assert!(served.exchange(chunked).await.starts_with("HTTP/1.1 413 "));
    let deep = "[".repeat(100_000);
    let deep = format!("{post}Content-Length: {}\r\n\r\n{deep}", deep.len());
    assert!(served.exchange(deep).await.starts_with("HTTP/1.1 400 "));
    assert!(served.exchange("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn half_open_connections_make_room_for_requests() {
    let limits = ServerLimits { max_connections: 20, ..patient() };
    let served = Served::start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..60 {
        let mut stream = served.connect().await;
        stream.write_all(b"POST /auth HTTP/1.1\r\nContent-Length: 9\r\n").await.unwrap();
        silent.push(stream);
    }
    assert!(served.is_healthy().await);
    // The oldest had to go, the youngest is still waited for.
    assert_eq!(rest(silent.first_mut().unwrap()).await, "");
    let youngest = silent.last_mut().unwrap();
    youngest.write_all(b"Host: x\r\nConnection: close\r\n\r\n123456789").await.unwrap();
    assert!(rest(youngest).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn connections_that_are_worked_for_are_not_closed_for_new_ones() {
    let (begun, mut seen) = mpsc::unbounded_channel();
    let (finish, _) = tokio::sync::broadcast::channel::<()>(1);
    let go = finish.clone();
    let work = move || {
        let mut go = go.subscribe();
        begun.send(()).unwrap();
        async move {
            go.recv().await.unwrap();
            "done"
        }
    };
    let router = Router::new().route("/work", get(work)).route("/ping", post(|| async { "pong" }));
    let served =
        serve_router(router, ServerLimits { max_connections: 1, ..patient() }, TestSite::new()).await;
    let mut working = served.connect().await;
    working.write_all(b"GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    seen.recv().await.unwrap();
    let mut waiting = served.connect().await;
    waiting.write_all(b"POST /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(SOON, waiting.read_u8()).await;
    assert!(early.is_err(), "served beyond the limit");
    finish.send(()).unwrap();
    assert!(rest(&mut working).await.ends_with("done"));
    assert!(rest(&mut waiting).await.ends_with("pong"));
}

#[tokio::test]
async fn stopping_finishes_what_has_begun_and_closes_the_rest() {
    let (begun, mut seen) = mpsc::unbounded_channel();
    let (finish, _) = tokio::sync::broadcast::channel::<()>(1);
    let go = finish.clone();
    let work = move || {
        let mut go = go.subscribe();
        begun.send(()).unwrap();
        async move {
            go.recv().await.unwrap();
            "done"
        }
    };
    let router = Router::new().route("/work", get(work));
    let served = serve_router(router, patient(), TestSite::new()).await;
    let (mut working, mut idle) = (served.connect().await, served.connect().await);
    idle.write_all(b"GET /wo").await.unwrap();
    working.write_all(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    seen.recv().await.unwrap();
    served.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    finish.send(()).unwrap();
    let answer = rest(&mut working).await;
    assert!(answer.ends_with("done") && answer.to_lowercase().contains("connection: close"), "{answer}");
    served.task.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_hold_a_stop() {
    let site = TestSite::new();
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(serve(listener, site.router.clone(), patient(), stop.clone(), LATE));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\
                Expect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = [0; 25];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 100 Continue\r\n\r\n", "the body is waited for");
    stream.write_all(b"{").await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(40), task)
        .await
        .expect("it stops long before its grace ends")
        .unwrap();
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_closed() {
    let (begun, mut seen) = mpsc::unbounded_channel();
    let work = move || {
        begun.send(()).unwrap();
        std::future::pending::<&str>()
    };
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let router = Router::new().route("/work", get(work));
    let task = tokio::spawn(serve(listener, router, patient(), stop.clone(), SOON));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    seen.recv().await.unwrap();
    stop.cancel();
    task.await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let body = "x".repeat(32 * 1024 * 1024);
    let router = Router::new().route("/big", get(move || async move { body }));
    let limits = ServerLimits { max_connections: 1, write: SOON, ..patient() };
    let served = serve_router(router, limits, TestSite::new()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(SOON * 4).await;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(LATE, stream.read_to_end(&mut bytes)).await.expect("no end");
    assert!(read.is_err() || bytes.len() < 32 * 1024 * 1024);
}
