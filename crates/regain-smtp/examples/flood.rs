//! Measures: sends many messages to one relay and prints how many it took in a second.
//!
//! ```text
//! smtp-sink -u nobody 127.0.0.1:2525 100 &
//! cargo run --release -p regain-smtp --example flood -- 'smtp://127.0.0.1:2525?maxConnections=4' 20000
//! smtp-source -d -s 4 -m 20000 -l 5000 127.0.0.1:2525      # for comparison
//! ```
//!
//! The third argument is how many callers there are for each connection, 2 if it is left out: with 1 no message ever
//! waits, so that each goes by itself; with more, the next one's envelope rides behind its final dot.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the one who runs it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use regain_smtp::{Deadlines, Envelope, Pool, SendError, Settings, TrustRoots};

/// About as long as a mail with text and HTML.
const LENGTH: usize = 5000;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(count)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: flood URL MESSAGES [CALLERS_PER_CONNECTION]");
        std::process::exit(2);
    };
    let count: usize = count.parse()?;
    let callers: usize = arguments.next().map_or(Ok(2), |callers| callers.parse())?;
    let settings = Settings::parse(&url)?;
    let callers = callers * settings.max_connections();
    let pool = Pool::start(settings, Deadlines::default(), TrustRoots::System)?;
    let message = message();

    let begun = Instant::now();
    let left = Arc::new(AtomicUsize::new(count));
    let sending: Vec<_> = (0..callers)
        .map(|_| tokio::spawn(send_all(pool.clone(), Arc::clone(&message), Arc::clone(&left))))
        .collect();
    for caller in sending {
        caller.await??;
    }
    let took = begun.elapsed();
    pool.close(Duration::from_secs(5)).await;
    println!("{count} messages in {took:.2?}: {:.0} a second", count as f64 / took.as_secs_f64());
    Ok(())
}

/// One caller: a message after the other until none is left.
async fn send_all(pool: Pool, message: Arc<[u8]>, left: Arc<AtomicUsize>) -> Result<(), SendError> {
    let one_less = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
        let envelope = Envelope { from: "noreply@example.org".into(), to: "ada@example.org".into() };
        pool.send(envelope, Arc::clone(&message)).await?;
    }
    Ok(())
}

fn message() -> Arc<[u8]> {
    let mut message =
        b"From: noreply@example.org\r\nTo: ada@example.org\r\nSubject: measured\r\n\r\n".to_vec();
    while message.len() < LENGTH {
        message.extend_from_slice(
            b"A line of text that is about as long as those in mails often are, give or take\r\n",
        );
    }
    message.into()
}
