//! A relay that takes everything, remembers when, and may answer late: what it reads together it answers together, so
//! many milliseconds later. That is how a relay looks from far away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::common::process;

/// When mails were accepted, by their recipients.
#[derive(Clone, Default)]
pub(crate) struct Accepted(Arc<Mutex<HashMap<String, Instant>>>);

impl Accepted {
    /// When the mail to this recipient was; then it is forgotten.
    pub(crate) fn take(&self, recipient: &str) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(recipient)
    }

    fn note(&self, recipients: Vec<String>) {
        let now = Instant::now();
        let mut accepted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.extend(recipients.into_iter().map(|recipient| (recipient, now)));
    }
}

/// Prints its port and serves until the process ends. Remembers nothing.
pub(crate) fn serve(late: Duration) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        process::announce(listener.local_addr()?.port())?;
        accept(listener, late, None).await
    })
}

/// Takes mails on a listener for ever.
pub(crate) async fn accept(listener: TcpListener, late: Duration, accepted: Option<Accepted>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let dialogue =
            Dialogue { accepted: accepted.clone(), recipient: None, in_message: false, answers: Vec::new() };
        // A client that goes away ends only its own dialogue.
        tokio::spawn(dialogue.run(stream, late));
    }
}

struct Dialogue {
    accepted: Option<Accepted>,
    recipient: Option<String>,
    in_message: bool,
    answers: Vec<u8>,
}

impl Dialogue {
    async fn run(mut self, mut stream: TcpStream, late: Duration) -> Result<()> {
        let mut received = Vec::with_capacity(64 * 1024);
        let mut taken = Vec::new();
        self.answers.extend_from_slice(b"220 relay.test ESMTP\r\n");
        loop {
            if !late.is_zero() {
                sleep(late).await;
            }
            stream.write_all(&self.answers).await?;
            self.answers.clear();
            if let Some(accepted) = &self.accepted {
                accepted.note(std::mem::take(&mut taken));
            }
            while self.answers.is_empty() {
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
                self.answer(&mut received, &mut taken)?;
            }
        }
    }

    /// Answers all that has come in whole.
    fn answer(&mut self, received: &mut Vec<u8>, taken: &mut Vec<String>) -> Result<()> {
        let mut done = 0;
        loop {
            let rest = &received[done..];
            if self.in_message {
                let Some(end) = rest.windows(5).position(|five| five == b"\r\n.\r\n") else { break };
                done += end + 5;
                self.in_message = false;
                self.answers.extend_from_slice(b"250 2.0.0 taken\r\n");
                taken.push(self.recipient.take().context("a mail to nobody")?);
                continue;
            }
            let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { break };
            let line = std::str::from_utf8(&rest[..end])?;
            done += end + 2;
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            self.answers.extend_from_slice(match verb.as_str() {
                "EHLO" => b"250-relay.test\r\n250 PIPELINING\r\n",
                "HELO" => b"250 relay.test\r\n",
                "DATA" => b"354 go ahead\r\n",
                "QUIT" => b"221 bye\r\n",
                _ => b"250 ok\r\n",
            });
            if verb == "RCPT" {
                let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                self.recipient = Some(path.context("a recipient")?.0.to_owned());
            }
            self.in_message = verb == "DATA";
        }
        received.drain(..done);
        Ok(())
    }
}
