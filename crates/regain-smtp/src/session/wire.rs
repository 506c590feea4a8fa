//! Owns the bytes of one connection: whole writes, whole replies, each under a deadline. It must not know what
//! a command means.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::reply::{self, LONGEST_REPLY, Lines};
use super::secrets::Secrets;
use crate::trial::{Step, note};
use crate::{Cause, Phase, SendError};

/// A connection in clear text or under TLS.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

pub(super) struct Wire {
    stream: Box<dyn Transport>,
    /// What has come in and is not yet a whole reply.
    received: Vec<u8>,
    /// No step goes on beyond this, however long it may take by itself.
    until: Option<Instant>,
    secrets: Arc<Secrets>,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Transport>, until: Option<Instant>, secrets: Arc<Secrets>) -> Self {
        Self { stream, received: Vec::with_capacity(1024), until, secrets }
    }

    /// Sets what all steps from now on must end by, besides their own deadlines.
    pub(super) fn end_by(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Writes all of `bytes` in one go and reads one reply; both together take at most `within`.
    pub(super) async fn exchange(
        &mut self,
        phase: Phase,
        bytes: &[u8],
        within: Duration,
    ) -> Result<Lines, SendError> {
        self.nothing_unasked(phase)?;
        deadline(phase, self.end(within), async {
            self.write_all(bytes).await.map_err(|error| failed(phase, &error))?;
            self.read(phase).await
        })
        .await
    }

    pub(super) async fn write(
        &mut self,
        phase: Phase,
        bytes: &[u8],
        within: Duration,
    ) -> Result<(), SendError> {
        self.nothing_unasked(phase)?;
        deadline(phase, self.end(within), async {
            self.write_all(bytes).await.map_err(|error| failed(phase, &error))
        })
        .await
    }

    /// Writes the message, whose final dot ends at `dot`, and what may follow it. As long as that dot cannot have left,
    /// a failure is one of [`Phase::Data`].
    pub(super) async fn write_message(
        &mut self,
        bytes: &[u8],
        dot: usize,
        until: Instant,
    ) -> Result<(), SendError> {
        self.nothing_unasked(Phase::Data)?;
        let mut written = 0;
        let phase = |written| if written < dot { Phase::Data } else { Phase::FinalDot };
        let outcome = timeout_at(until, async {
            while written < bytes.len() {
                match self.stream.write(&bytes[written..]).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    more => written += more,
                }
            }
            self.stream.flush().await
        })
        .await;
        match outcome {
            Ok(outcome) => outcome.map_err(|error| failed(phase(written), &error)),
            Err(_) => Err(SendError::new(phase(written), Cause::TimedOut)),
        }
    }

    pub(super) async fn reply(&mut self, phase: Phase, within: Duration) -> Result<Lines, SendError> {
        let end = self.end(within);
        deadline(phase, end, self.read(phase)).await
    }

    /// Like [`Wire::reply`], to be awaited until a fixed time. Safe to drop and to call again.
    pub(super) async fn reply_until(&mut self, phase: Phase, until: Instant) -> Result<Lines, SendError> {
        deadline(phase, until, self.read(phase)).await
    }

    /// When a step that begins now and may take as long as `within` must be done.
    pub(super) fn end(&self, within: Duration) -> Instant {
        let end = Instant::now() + within;
        self.until.map_or(end, |until| until.min(end))
    }

    /// Whether bytes have come that nobody has asked for yet.
    pub(super) fn has_surplus(&self) -> bool {
        !self.received.is_empty()
    }

    /// Waits until the other side closes or says something unasked. Safe to drop at any time.
    pub(super) async fn disturbed(&mut self) {
        if self.received.is_empty() {
            // Whatever the outcome, a byte, the end or an error, the connection is of no more use.
            let _outcome = self.stream.read_buf(&mut self.received).await;
        }
    }

    /// Ends the connection in order, TLS included.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Hands the stream over for TLS to be laid on it.
    pub(super) fn into_stream(self) -> Box<dyn Transport> {
        self.stream
    }

    /// Words that are there before the next command would be taken for its reply.
    fn nothing_unasked(&self, phase: Phase) -> Result<(), SendError> {
        if self.has_surplus() {
            return Err(SendError::new(phase, Cause::Protocol("it spoke unasked")));
        }
        Ok(())
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn read(&mut self, phase: Phase) -> Result<Lines, SendError> {
        loop {
            let complete = reply::take(&self.received);
            if let Some((mut lines, taken)) =
                complete.map_err(|why| SendError::new(phase, Cause::Protocol(why)))?
            {
                self.received.drain(..taken);
                lines.repeats_login = self.secrets.are_in(&lines);
                note(|| replied(phase, &lines));
                return Ok(lines);
            }
            self.received.reserve(1024);
            // A reader that asks for no more than is left can never hold more than one reply and its limit.
            let room = (LONGEST_REPLY - self.received.len()) as u64;
            let read = (&mut self.stream).take(room).read_buf(&mut self.received).await;
            if read.map_err(|error| failed(phase, &error))? == 0 {
                return Err(SendError::new(phase, Cause::Closed));
            }
        }
    }
}

fn replied(phase: Phase, lines: &Lines) -> Step {
    let withheld = phase == Phase::Auth || lines.repeats_login;
    let shown = if withheld { Vec::new() } else { lines.lines.clone() };
    Step::Replied { phase, code: lines.code, lines: shown }
}

/// Runs one step until its deadline.
pub(super) async fn deadline<T>(
    phase: Phase,
    until: Instant,
    step: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    timeout_at(until, step).await.unwrap_or_else(|_| Err(SendError::new(phase, Cause::TimedOut)))
}

/// Names a failure of the system or of TLS.
pub(super) fn failed(phase: Phase, error: &io::Error) -> SendError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let cause = match (tls, error.kind()) {
        (Some(tls), _) => Cause::Tls(tls.to_string()),
        (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => Cause::Closed,
        (None, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted) => Cause::Closed,
        (None, io::ErrorKind::TimedOut) => Cause::TimedOut,
        (None, kind) => Cause::Io(kind),
    };
    SendError::new(phase, cause)
}
