//! How far a long command has come, on stderr: one line rewritten on a terminal, else a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Tells no more often than a reader can follow.
pub(super) struct Teller {
    is_terminal: bool,
    told: Instant,
    has_told: bool,
}

impl Teller {
    pub(super) fn start() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), told: Instant::now(), has_told: false }
    }

    /// Tells how far a command has come, where it is time to.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let pause = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(5) };
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        self.has_told = true;
        let text = line();
        let mut stderr = io::stderr().lock();
        // Where stderr is closed nobody is there to be told.
        let _ = if self.is_terminal {
            write!(stderr, "\r{text}\u{1b}[K").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{text}")
        };
    }

    /// Wipes the line that was rewritten, so that what is told next has one of its own.
    pub(super) fn end(&mut self) {
        if self.is_terminal && self.has_told {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
