//! The yardstick for requests: pgbench, doing the insert that a request comes to, one transaction each.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::database::{Database, id_in_sql};

/// Rows a second.
pub(crate) fn rate(database: &Database, clients: usize, run: Duration) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("insert.sql");
    // As the post step writes it for a client that does not say what it is.
    let insert = format!(
        "\\set number random(1, 1000000000000000000)\n\
         INSERT INTO letters (id, purpose, name_key, ip, agent, posted, deadline, due) \
         SELECT {}, 'reset', 'u' || lpad(to_hex(:number::bigint), 16, '0') || '@example.org', '127.0.0.1', NULL, \
         at, at + 86400000, at FROM (SELECT (extract(epoch FROM now()) * 1000)::bigint AS at) time;\n",
        id_in_sql("at")
    );
    std::fs::write(&script, insert)?;
    let output = database
        .program("pgbench")
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string()])
        .args(["-T", &run.as_secs().to_string(), "-f"])
        .args([script.as_os_str(), database.name.as_ref()])
        .stderr(Stdio::null())
        .output()
        .context("pgbench is needed")?;
    ensure!(output.status.success(), "pgbench ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(rate.context("pgbench says nothing")?.parse()?)
}
