//! The client against servers: a scripted one that misbehaves on demand, and Postfix' `smtp-sink`.
#![expect(clippy::expect_used, reason = "outside test functions too, a panic is a failed test")]

mod delivery;
mod kept;
mod login;
mod misbehaviour;
mod sink;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use regain_smtp::testing::{Features, ScriptedServer};
use regain_smtp::{Accepted, Deadlines, Envelope, Pool, SendError, Settings, TrustRoots};

/// Deadlines that a test can wait for. Those that a passing test never reaches stay long enough for a busy
/// machine.
fn deadlines() -> Deadlines {
    Deadlines { idle: Duration::from_secs(60), ..Deadlines::default() }
}

fn hasty() -> Deadlines {
    let short = Duration::from_secs(1);
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

/// A server that offers only what is named here, without PIPELINING.
fn plain_features() -> Features {
    Features { extensions: vec!["HELP".into()], ..Features::default() }
}
