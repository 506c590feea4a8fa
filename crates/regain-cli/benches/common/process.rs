//! Processes of their own: what serves, and what puts load on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// A process that serves on a port. Ends when it is dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) port: u16,
}

impl Serving {
    /// Starts it and waits for its first line, which ends with the port.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut serving = Self { child, port: 0 };
        let mut line = String::new();
        BufReader::new(serving.child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        serving.port = port.with_context(|| format!("a server that does not start: {line:?}"))?;
        Ok(serving)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Answers of 200 a second. `requests` says which, to the `load` of this bench.
    pub(crate) fn load(&self, connections: usize, run: Duration, requests: &[String]) -> Result<f64> {
        let (port, connections, seconds) =
            (self.port.to_string(), connections.to_string(), run.as_secs().to_string());
        let output = myself(["load", &port, &connections, &seconds])?
            .args(requests)
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "the load ended with {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let (answered, took) = numbers.next().zip(numbers.next()).context("the load says nothing")?;
        Ok(answered? / took? * 1e6)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program again, with these arguments.
pub(crate) fn myself<const N: usize>(arguments: [&str; N]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    Ok(command)
}

/// What a server of a bench does first: tells its port, and sees to it that it ends when its parent does.
pub(crate) fn announce(port: u16) -> Result<()> {
    std::thread::spawn(|| {
        // The parent writes nothing; the end of the pipe is the end of the parent.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let mut out = std::io::stdout();
    writeln!(out, "{port}")?;
    Ok(out.flush()?)
}
