//! A client that asks for resets as fast as it is answered, each for another address, over kept connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Runs the load and prints `accepted p50_us p99_us`: requests answered 200 in the time, and how long an answer took.
pub(crate) fn run(port: u16, connections: usize, seconds: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let next = Arc::new(AtomicU64::new(u64::from(std::process::id()) << 32));
        let end = Instant::now() + Duration::from_secs(seconds);
        let clients: Vec<_> =
            (0..connections).map(|_| tokio::spawn(client(port, next.clone(), end))).collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await??);
        }
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0);
        println!("{} {} {}", times.len(), at(0.5), at(0.99));
        Ok(())
    })
}

/// Answers' times in microseconds.
async fn client(port: u16, next: Arc<AtomicU64>, end: Instant) -> Result<Vec<u32>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let mut buffer = vec![0; 4096];
    while Instant::now() < end {
        let request = ask(next.fetch_add(1, Ordering::Relaxed));
        let begin = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer(&mut stream, &mut buffer).await?;
        times.push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(times)
}

/// One request for a reset, as a Realm client sends it.
pub(crate) fn ask(number: u64) -> String {
    let body =
        format!(r#"{{"provider_id":"u{number:016x}@example.org","data":{{"action":"reset_password"}}}}"#);
    format!(
        "POST /auth/password/updateAccount HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
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
