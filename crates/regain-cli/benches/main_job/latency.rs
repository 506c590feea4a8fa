//! From the first byte of a reset request to the relay's 250, at 20 requests a second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use regain::config::{Config, EmailHandlerConfig, PasswordAuthProvider};
use regain::{Delivery, Regain};
use regain_smtp::testing::{Features, ScriptedServer};
use regain_smtp::{Sender, Settings};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::common::load;
use crate::servers;

const REQUESTS: usize = 400;
const EVERY: Duration = Duration::from_millis(50);

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = runtime.block_on(measure())?;
    times.sort_unstable();
    let at =
        |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("\n## From request to the relay's 250, {REQUESTS} requests at 20 a second\n");
    println!(
        "p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

async fn measure() -> Result<Vec<Duration>> {
    let relay = ScriptedServer::with(Features::default()).await;
    let directory = tempfile::tempdir()?;
    let connection = Settings::parse(&relay.url())?;
    let email = EmailHandlerConfig::new(connection, Sender::parse("bench@example.org")?);
    let config = Config {
        auth_provider: PasswordAuthProvider { email_handler_config: Some(email) },
        ..servers::config(directory.path())?
    };
    let regain = Regain::open(&config, Delivery::Relay).await?;
    let service = regain.service();
    for i in 0..REQUESTS {
        let name = service.name(&load::name(i as u64))?;
        let id = regain_core::AccountId::random(&regain_core::OsRng)?;
        let password = regain_core::PasswordHash::from_stored("none");
        let account = regain_core::account::NewAccount { id, name, password };
        service.store.register(account, None, service.now()).await?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(regain.serve(listener, None, stop.clone()));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    let mut tick = tokio::time::interval(EVERY);
    let mut times = Vec::new();
    for i in 0..REQUESTS {
        tick.tick().await;
        let begin = Instant::now();
        stream.write_all(load::ask(i as u64).as_bytes()).await?;
        load::answer(&mut stream, &mut buffer).await?;
        tokio::time::timeout(Duration::from_secs(10), relay.wait_for_messages(i + 1))
            .await
            .context("a mail did not arrive")?;
        times.push(begin.elapsed());
    }
    stop.cancel();
    serving.await?;
    Ok(times)
}
