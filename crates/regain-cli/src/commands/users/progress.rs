//! How far a long command has come, on stderr: one line rewritten on a terminal, else a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use regain::transfer::Progress;

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

    /// Tells how far `what` has come, where it is time to.
    pub(super) fn tell(&mut self, what: &str, progress: Progress) {
        let pause = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(5) };
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        self.has_told = true;
        let text = line(what, progress);
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

fn line(what: &str, progress: Progress) -> String {
    let percent = progress.bytes * 100 / progress.of.max(1);
    format!("{what}: {} lines, {}%", progress.lines, percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_bytes() {
        let half = Progress { lines: 7, bytes: 50, of: 100 };
        assert_eq!(line("checking", half), "checking: 7 lines, 50%");
        assert_eq!(line("adding", Progress { lines: 0, bytes: 0, of: 0 }), "adding: 0 lines, 0%");
    }
}
