//! Processor time of a process.

use std::ops::Sub;

use anyhow::{Context, Result};

/// What a tick of `/proc/PID/stat` is on Linux, whatever the kernel's own clock does (`USER_HZ`).
const TICK: f64 = 0.01;
/// The name of the thread that writes to the database.
const WRITER: &str = "regain-writer";

/// Processor time in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Of the thread that writes to the database.
    pub(crate) writer: f64,
    /// Of all others, those that have ended counted in.
    pub(crate) others: f64,
}

impl Effort {
    /// What the process has used up to now.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let all = seconds(&format!("/proc/{process}/stat"))?.1;
        let mut writer = 0.0;
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let path = task?.path().join("stat");
            // A thread may end meanwhile.
            if let Ok((name, used)) = seconds(&path.to_string_lossy())
                && name == WRITER
            {
                writer += used;
            }
        }
        Ok(Self { writer, others: all - writer })
    }
}

impl Sub for Effort {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { writer: self.writer - earlier.writer, others: self.others - earlier.others }
    }
}

/// The name of a process or a thread, and what it has used, in user mode and in the kernel.
fn seconds(path: &str) -> Result<(String, f64)> {
    let stat = std::fs::read_to_string(path)?;
    let (head, fields) = stat.rsplit_once(") ").context("no name in it")?;
    let name = head.split_once('(').context("no name in it")?.1.to_owned();
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let (user, kernel) = times.next().zip(times.next()).context("too short")?;
    Ok((name, (user? + kernel?) * TICK))
}
