//! A relay that takes everything: Postfix's `smtp-sink`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Where Debian puts what only administrators run.
const SBIN: &str = "/usr/sbin";
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay that takes everything. Ends when it is dropped.
pub(crate) struct Sink {
    child: Child,
    pub(crate) port: u16,
}

impl Sink {
    pub(crate) fn start() -> Result<Self> {
        // The port is free again for the moment until the sink has it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = postfix("smtp-sink");
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .args([&format!("127.0.0.1:{port}"), "1024"])
            .spawn()
            .context("smtp-sink of Postfix is needed")?;
        let sink = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "smtp-sink does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(sink)
    }

    pub(crate) fn url(&self, connections: usize) -> String {
        format!("smtp://127.0.0.1:{}?maxConnections={connections}", self.port)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of Postfix.
pub(crate) fn postfix(name: &str) -> Command {
    let installed = Path::new(SBIN).join(name);
    Command::new(if installed.exists() { installed } else { name.into() })
}
