//! Clients that ask as fast as they are answered, over kept connections, and insist on 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the clients get their requests from; `None` where there are no more.
pub(crate) type Requests = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Runs the load until the time is up or the requests are, and prints `answered took_us p50_us p99_us`: how many were
/// answered 200, how long that took until the last answer, and how long one answer took.
pub(crate) fn run(port: u16, connections: usize, seconds: u64, requests: &Requests) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(seconds);
        let clients: Vec<_> =
            (0..connections).map(|_| tokio::spawn(client(port, requests.clone(), end))).collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await??);
        }
        let took = begin.elapsed();
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0);
        println!("{} {} {} {}", times.len(), took.as_micros(), at(0.5), at(0.99));
        Ok(())
    })
}

/// Answers' times in microseconds.
async fn client(port: u16, requests: Requests, end: Instant) -> Result<Vec<u32>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let mut buffer = vec![0; 4096];
    while Instant::now() < end {
        let Some(request) = requests() else { break };
        let begin = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer(&mut stream, &mut buffer).await?;
        times.push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(times)
}

/// Requests for resets, each for another address, which no run before had.
pub(crate) fn resets() -> Requests {
    let next = AtomicU64::new(u64::from(std::process::id()) << 32);
    Arc::new(move || Some(ask(next.fetch_add(1, Ordering::Relaxed))))
}

/// The name that goes with a number.
pub(crate) fn name(number: u64) -> String {
    format!("u{number:016x}@example.org")
}

/// One request for a reset, as a Realm client sends it.
pub(crate) fn ask(number: u64) -> String {
    let name = name(number);
    post(
        "/auth/password/updateAccount",
        &format!(r#"{{"provider_id":"{name}","data":{{"action":"reset_password"}}}}"#),
    )
}

/// A request with a JSON body, with the headers of a Realm client.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: application/json;charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads one whole answer and insists on 200.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled])?;
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text[..head]
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            })
            .context("an answer without Content-Length")?;
        if filled >= head + 4 + length {
            if !text.starts_with("HTTP/1.1 200") {
                bail!("answered {}", text.lines().next().unwrap_or_default());
            }
            return Ok(());
        }
    }
}
