//! From a request over HTTP to the relay's 250, at 20 requests a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{sleep, sleep_until};

use crate::Scale;
use crate::common::load;
use crate::outbox::Outbox;
use crate::relay::{self, Accepted};

const EVERY: Duration = Duration::from_millis(50);
const RUNS: usize = 3;
/// So many requests may be under way before one waits for another.
const CLIENTS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(scale: Scale) -> Result<()> {
    println!(
        "## From a request to the relay's 250, 20 requests a second ({RUNS} runs of {} s)\n",
        scale.requests.as_secs()
    );
    let requests = u64::try_from(scale.requests.as_millis() / EVERY.as_millis())?;
    let outbox = Outbox::with_accounts(requests)?;
    println!("| run | ms | p50 | p90 | p99 | longest |\n|---|---|---|---|---|---|");
    for run in 1..=RUNS {
        // The relay, the clients and their one clock are on the threads of this runtime.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (answered, accepted) = runtime.block_on(measure(&outbox.copy()?, requests))?;
        print_row(run, "answered", answered);
        print_row(run, "accepted by the relay", accepted);
    }
    Ok(())
}

fn print_row(run: usize, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share) as usize).min(times.len() - 1);
        times[index].as_secs_f64() * 1e3
    };
    println!("| {run} | {what} | {:.1} | {:.1} | {:.1} | {:.1} |", at(0.5), at(0.9), at(0.99), at(1.0));
}

/// How long requests took to be answered, and to be accepted by the relay as mails.
async fn measure(outbox: &Outbox, requests: u64) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let relay = format!("smtp://{}", listener.local_addr()?);
    let accepted = Accepted::default();
    tokio::spawn(relay::accept(listener, Duration::ZERO, Some(accepted.clone())));
    let program = outbox.start(&relay)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let stream = TcpStream::connect(("127.0.0.1", program.port)).await?;
        stream.set_nodelay(true)?;
        clients.push(Arc::new(Mutex::new(stream)));
    }
    let mut asked = Vec::new();
    let mut next = tokio::time::Instant::now();
    for (number, client) in (0..requests).zip(clients.iter().cycle()) {
        sleep_until(next).await;
        next += EVERY;
        asked.push(tokio::spawn(ask(client.clone(), number)));
    }
    let (mut answers, mut deliveries) = (Vec::new(), Vec::new());
    for (number, asked) in (0..requests).zip(asked) {
        let (begin, answered) = asked.await??;
        answers.push(answered - begin);
        deliveries.push(delivered(&accepted, &load::name(number)).await? - begin);
    }
    Ok((answers, deliveries))
}

/// When it was asked for a reset, and when that was answered.
async fn ask(client: Arc<Mutex<TcpStream>>, number: u64) -> Result<(Instant, Instant)> {
    let begin = Instant::now();
    let mut stream = client.lock().await;
    stream.write_all(load::ask(number).as_bytes()).await?;
    load::answer(&mut stream, &mut [0; 4096]).await?;
    Ok((begin, Instant::now()))
}

async fn delivered(accepted: &Accepted, recipient: &str) -> Result<Instant> {
    let wait = async {
        loop {
            match accepted.take(recipient) {
                Some(at) => return at,
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("a mail did not arrive")
}
