//! A relay that takes everything and answers late, to measure with: what it reads together it answers together, so
//! many milliseconds later. That is how a relay looks from far away.
//!
//! ```text
//! cargo run --release -p regain-smtp --example sink -- 2525 20 [--no-pipelining]
//! ```
#![expect(clippy::print_stderr, reason = "it talks to the one who runs it")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, delay, options @ ..] = &arguments[..] else {
        eprintln!("usage: sink PORT MILLISECONDS [--no-pipelining]");
        std::process::exit(2);
    };
    let delay = Duration::from_millis(delay.parse()?);
    let pipelining = !options.iter().any(|option| option == "--no-pipelining");
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A client that goes away ends only its own dialogue.
            let _ended = serve(stream, delay, pipelining).await;
        });
    }
}

async fn serve(mut stream: TcpStream, delay: Duration, pipelining: bool) -> std::io::Result<()> {
    let mut received = Vec::with_capacity(64 * 1024);
    let mut answers = b"220 sink.test ESMTP\r\n".to_vec();
    let mut in_message = false;
    loop {
        sleep(delay).await;
        stream.write_all(&answers).await?;
        answers.clear();
        while answers.is_empty() {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            answer(&mut received, &mut in_message, pipelining, &mut answers);
        }
    }
}

/// Answers all that has come in whole.
fn answer(received: &mut Vec<u8>, in_message: &mut bool, pipelining: bool, answers: &mut Vec<u8>) {
    let mut taken = 0;
    loop {
        let rest = &received[taken..];
        if *in_message {
            let Some(end) = rest.windows(5).position(|five| five == b"\r\n.\r\n") else { break };
            taken += end + 5;
            *in_message = false;
            answers.extend_from_slice(b"250 2.0.0 taken\r\n");
            continue;
        }
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { break };
        let verb = rest[..end].get(..4).unwrap_or_default().to_ascii_uppercase();
        taken += end + 2;
        answers.extend_from_slice(match &verb[..] {
            b"EHLO" if pipelining => b"250-sink.test\r\n250 PIPELINING\r\n",
            b"EHLO" | b"HELO" => b"250 sink.test\r\n",
            b"DATA" => b"354 go ahead\r\n",
            b"QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        });
        *in_message = verb == b"DATA";
    }
    received.drain(..taken);
}
