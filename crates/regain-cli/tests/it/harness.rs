//! Runs the built program in a directory of its own, without the variables of whoever runs the tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory to run commands in.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a command has left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its stdout, where it went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Its stderr, where no other try would go better.
    #[track_caller]
    pub(crate) fn misconfigured(self) -> String {
        assert_eq!(self.code, Some(78), "{self:?}");
        self.stderr
    }

    /// Its stderr, where it went wrong in the ordinary way.
    #[track_caller]
    pub(crate) fn wrong(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.stderr
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A directory with a `regain.toml` that delivers to this relay, on a free port.
    pub(crate) fn with_relay(relay: &str) -> Self {
        let place = Self::new();
        place.write("regain.toml", &configuration(relay));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[], "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ran {
        let mut child =
            command(self.directory.path(), arguments, variables).stdin(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command that the test ends itself.
    pub(crate) fn spawn(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        command(self.directory.path(), arguments, variables).stdin(Stdio::null()).spawn().unwrap()
    }

    /// Starts `serve` or `dev` and waits for its ready line.
    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut child =
            command(self.directory.path(), arguments, variables).stdin(Stdio::null()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let mut running = Running { child, stdout, stderr, port: 0 };
        let ready = wait_for(&running.stdout, "regain is listening on http://");
        running.port = ready.rsplit(':').next().unwrap().parse().unwrap();
        running
    }
}

/// A configuration with mail; port 0 takes a free one.
pub(crate) fn configuration(relay: &str) -> String {
    format!(
        r#"port = 0
publicUrl = "http://localhost:9080"
[[authProviders]]
type = "password"
[authProviders.emailHandlerConfig]
connectionString = "{relay}"
from = '"Regain" <noreply@regain.test>'
"#
    )
}

/// A server that ends with the test.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    pub(crate) port: u16,
}

impl Running {
    /// Waits for a line on stdout that has this in it.
    pub(crate) fn says(&self, part: &str) -> String {
        wait_for(&self.stdout, part)
    }

    /// Waits for a line of the log that has this in it.
    pub(crate) fn logs(&self, part: &str) -> String {
        wait_for(&self.stderr, part)
    }

    /// What is logged from now on, up to the line that has this in it.
    pub(crate) fn logs_until(&self, part: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let line = wait_for(&self.stderr, "");
            if line.contains(part) {
                return before;
            }
            before.push(line);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the end of the process", || self.child.try_wait().unwrap())
    }

    /// One request; the status and the body of the answer.
    pub(crate) fn request(&self, method: &str, path: &str, json: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            json.len()
        );
        stream.write_all(format!("{head}{json}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Registers an account, and so posts its confirmation letter.
    pub(crate) fn register(&self, name: &str) {
        let json = serde_json::json!({
            "provider": "password",
            "data": name,
            "user_info": { "password": "a long password", "register": true },
        });
        let (status, body) = self.request("POST", "/auth", &json.to_string());
        assert_eq!(status, 200, "{body}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test waited for that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer; the question is a look at another process, which tells nobody when it changes.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn command(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regain"));
    let foreign = std::env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.to_string_lossy().starts_with("REGAIN_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).current_dir(directory);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn lines(source: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        // Read to the end even when nobody listens, or the process would stand still at a full pipe.
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    receive
}

#[track_caller]
fn wait_for(lines: &Receiver<String>, part: &str) -> String {
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(part) => return line,
            Ok(_) => {}
            Err(error) => panic!("waited in vain for a line with {part:?}: {error}"),
        }
    }
}
