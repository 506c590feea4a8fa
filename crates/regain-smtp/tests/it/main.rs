//! The client against servers: a scripted one that misbehaves on demand, and Postfix' `smtp-sink`.
#![expect(clippy::expect_used, reason = "outside test functions too, a panic is a failed test")]

mod ahead;
mod delivery;
mod given;
mod kept;
mod ledger;
mod limits;
mod login;
mod misbehaviour;
mod room;
mod sink;
mod tls;
mod trial;
mod trouble;
mod within;

use std::sync::Arc;
use std::time::Duration;

use regain_smtp::testing::{Features, Received, ScriptedServer};
use regain_smtp::{Accepted, Deadlines, Envelope, Pool, SendError, Settings, TrustRoots};

/// Deadlines that a test can wait for. Those that a passing test never reaches stay long enough for a busy
/// machine.
fn deadlines() -> Deadlines {
    Deadlines { idle: Duration::from_secs(60), ..Deadlines::default() }
}

fn hasty() -> Deadlines {
    let short = Duration::from_secs(3);
    Deadlines { greeting: short, command: short, tls: short, final_dot: short, quit: short, ..deadlines() }
}

/// A pool for this URL that trusts the server's certificate.
fn pool_at(server: &ScriptedServer, url: &str, deadlines: Deadlines) -> Pool {
    let settings = Settings::parse(url).expect("a valid URL");
    let roots = TrustRoots::Pem(server.certificate_pem().into());
    Pool::start(settings, deadlines, roots).expect("usable settings")
}

fn pool(server: &ScriptedServer) -> Pool {
    pool_at(server, &server.url(), deadlines())
}

fn envelope() -> Envelope {
    Envelope { from: "noreply@example.org".into(), to: "ada@example.org".into() }
}

fn message(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

async fn send(pool: &Pool) -> Result<Accepted, SendError> {
    pool.send(envelope(), message("Subject: hello\r\n\r\nDear Ada\r\n")).await
}

/// Hands messages over all at once, so that they wait for one another, and gives back what became of each, in order.
/// Message number `n` goes to `n@example.org` and says so.
async fn send_together(pool: &Pool, count: usize) -> Vec<Result<Accepted, SendError>> {
    let sending: Vec<_> =
        (0..count).map(|number| tokio::spawn(send_numbered(pool.clone(), number))).collect();
    let mut outcomes = Vec::with_capacity(count);
    for one in sending {
        outcomes.push(one.await.expect("no panic"));
    }
    outcomes
}

async fn send_numbered(pool: Pool, number: usize) -> Result<Accepted, SendError> {
    let to = format!("{number}@example.org");
    let text = format!("To: {to}\r\n\r\nDear {number}\r\n");
    pool.send(Envelope { to, ..envelope() }, message(&text)).await
}

/// The numbers of the messages that a server took, in its order; each must be whole and its recipient's own.
fn numbers(messages: &[Received]) -> Vec<usize> {
    let number = |one: &Received| {
        let to = one.to.first().expect("a recipient");
        let number = to.split('@').next().and_then(|number| number.parse().ok()).expect("a number");
        assert_eq!(one.text(), format!("To: {to}\r\n\r\nDear {number}\r\n"));
        number
    };
    messages.iter().map(number).collect()
}

/// A pool that has one connection.
fn narrow(server: &ScriptedServer, deadlines: Deadlines) -> Pool {
    pool_at(server, &format!("{}?maxConnections=1", server.url()), deadlines)
}

/// A server that offers only what is named here, without PIPELINING.
fn plain_features() -> Features {
    Features { extensions: vec!["HELP".into()], ..Features::default() }
}
