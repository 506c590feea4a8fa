//! PostgreSQL for tests and benchmarks: a cluster of its own, from Debian's packages, on a free port.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::postgres::PostgresSettings;

/// Makes a cluster, serves it, and clears it away when the pipe to it is closed: also when the test was killed.
const SCRIPT: &str = include_str!("cluster.sh");
/// A cluster that is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL server with a cluster of its own. It ends, and its files are gone, when this is dropped or the process ends.
pub struct Cluster {
    dir: PathBuf,
    port: u16,
    keeper: Child,
    made: AtomicU32,
}

impl Cluster {
    /// The one that all tests of this process share. It does not wait for the disk.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Cluster::start(&["fsync=off", "max_connections=300"]))
    }

    /// Starts one with these settings of `postgresql.conf`, and waits until it is ready. Blocks for some seconds.
    ///
    /// # Panics
    /// Where PostgreSQL is not there or does not start.
    pub fn start(settings: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("regain-postgres-").tempdir().expect("a directory").keep();
        let port = free_port();
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT, "cluster"])
            .arg(&dir)
            .arg(port.to_string())
            .arg(programs())
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh");
        await_ready(&dir, &mut keeper);
        Self { dir, port, keeper, made: AtomicU32::new(0) }
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops all of its processes where they are, as a machine that hangs: connections stay open and nobody answers.
    ///
    /// # Panics
    /// Where they cannot be stopped.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets them go on.
    ///
    /// # Panics
    /// Where they cannot.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends a signal to the server and to all of its children.
    fn signal(&self, name: &str) {
        let told = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("a server");
        let server = told.lines().next().expect("its number");
        let shell = format!("kill -{name} {server} $(cat /proc/{server}/task/*/children)");
        assert!(Command::new("sh").args(["-c", &shell]).status().expect("sh").success());
    }

    /// The directory of the cluster's data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub async fn fresh_database(&self) -> String {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    /// The URL of that database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The same, read.
    ///
    /// # Panics
    /// Never, for a name made of letters.
    pub fn settings(&self, database: &str) -> PostgresSettings {
        self.url(database).parse().expect("a URL")
    }

    /// Runs SQL in that database.
    ///
    /// # Panics
    /// Where it fails.
    pub async fn run(&self, database: &str, sql: &str) {
        let (client, connection) =
            tokio_postgres::connect(&self.url(database), NoTls).await.expect("a connection");
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.expect("SQL that works");
        drop(client);
        let _ = connection.await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.keeper.stdin.take() {
            let _ = pipe.write_all(b"end\n");
        }
        let _ = self.keeper.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Where Debian keeps PostgreSQL's programs: of the newest version there is.
///
/// # Panics
/// Where there are none.
pub fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").exists())
        .max_by_key(|path| version(path));
    newest
        .map(|path| path.join("bin"))
        .unwrap_or_else(|| panic!("PostgreSQL is missing: apt-get install postgresql (as ./test does)"))
}

fn await_ready(dir: &Path, keeper: &mut Child) {
    let since = Instant::now();
    // The server says so in this file of its own.
    let is_ready = || {
        std::fs::read_to_string(dir.join("data/postmaster.pid"))
            .is_ok_and(|told| told.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
    };
    while !is_ready() {
        let has_ended = keeper.try_wait().expect("a child").is_some();
        if has_ended || since.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("PostgreSQL did not start: {log}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
