//! A connection's bytes on their way between hyper and the socket: tells the watch what is waited for, and
//! drains before closing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::watch::{Phase, Slot};

/// What is thrown away at most before a connection is closed with bytes unread.
const MOST_DRAINED: usize = 8 * 1024 * 1024;

pub(super) struct Watched {
    inner: TcpStream,
    slot: Arc<Slot>,
    drained: usize,
}

impl Watched {
    pub(super) fn new(inner: TcpStream, slot: Arc<Slot>) -> Self {
        Self { inner, slot, drained: 0 }
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(_)) => self.slot.touch(),
            Poll::Pending if self.slot.phase() == Phase::Idle => self.slot.enter(Phase::Answer),
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
    }

    /// Reads until the client has stopped sending, or has sent too much. Its time is limited by the watch.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        while self.drained < MOST_DRAINED {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.drained += buffer.filled().len();
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        if buffer.filled().len() > before && self.slot.phase() == Phase::Idle {
            self.slot.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Hyper flushes when all of an answer is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if self.slot.phase() == Phase::Answer {
            self.slot.enter(Phase::Idle);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.slot.phase() != Phase::Drain {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.slot.may_be_sent_to() {
                return Poll::Ready(Ok(()));
            }
            self.slot.enter(Phase::Drain);
        }
        self.poll_drain(cx).map(Ok)
    }
}
