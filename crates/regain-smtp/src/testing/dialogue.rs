//! Owns one dialogue of a scripted server with a client. It must not be lenient: what it does not know gets a
//! 500, so that a client that errs is seen.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::record::Open;
use super::{Behaviour, Features, Received, ServerTls};
use crate::Phase;
use crate::session::hmac_md5;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes the end of the connection a reset.
    fn reset_at_the_end(&self) {}
}

impl Stream for DuplexStream {}

impl Stream for TcpStream {
    fn reset_at_the_end(&self) {
        let _already_gone = self.set_zero_linger();
    }
}

impl Stream for TlsStream<Box<dyn Stream>> {
    fn reset_at_the_end(&self) {
        self.get_ref().0.reset_at_the_end();
    }
}

pub(super) struct Dialogue {
    open: Open,
    acceptor: TlsAcceptor,
    features: Arc<Features>,
    tls: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
    received: Vec<u8>,
}

/// The connection is over; why does not matter to a server.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Dialogue {
    pub(super) fn new(open: Open, acceptor: TlsAcceptor, features: Arc<Features>) -> Self {
        let (user, from) = (None, None);
        Self { open, acceptor, features, tls: false, user, from, to: Vec::new(), received: Vec::new() }
    }

    pub(super) async fn run(mut self, stream: TcpStream) {
        let _nodelay = stream.set_nodelay(true);
        let mut stream: Box<dyn Stream> = Box::new(stream);
        let _over = self.talk(&mut stream).await;
    }

    async fn talk(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Over> {
        if self.features.tls == ServerTls::Immediate {
            self.start_tls(stream).await?;
        }
        self.answer(stream, Phase::Greeting, "220 scripted.test ESMTP").await?;
        loop {
            let line = self.line(stream).await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let capabilities = self.capabilities();
                    self.answer(stream, Phase::Ehlo, &capabilities).await?;
                }
                "HELO" => self.say(stream, "250 scripted.test").await?,
                "STARTTLS" if self.features.tls == ServerTls::StartTls && !self.tls => {
                    let go = self.answer(stream, Phase::StartTls, "220 go ahead").await?;
                    if go.starts_with("220") {
                        self.start_tls(stream).await?;
                    }
                }
                "AUTH" => self.auth(stream, rest).await?,
                "MAIL" => {
                    let from = path(rest, "FROM:");
                    let usual = if from.is_some() { "250 2.1.0 sender ok" } else { "501 5.5.4 syntax" };
                    if self.answer(stream, Phase::Mail, usual).await?.starts_with('2') {
                        self.from = from;
                        self.to.clear();
                    }
                }
                "RCPT" => {
                    let to = path(rest, "TO:").filter(|_| self.from.is_some());
                    let usual = if to.is_some() { "250 2.1.5 recipient ok" } else { "503 5.5.1 need MAIL" };
                    if self.answer(stream, Phase::Rcpt, usual).await?.starts_with('2') {
                        self.to.extend(to);
                    }
                }
                "DATA" => self.data(stream).await?,
                "RSET" => {
                    (self.from, self.to) = (None, Vec::new());
                    self.say(stream, "250 2.0.0 reset").await?;
                }
                "NOOP" => self.say(stream, "250 2.0.0 ok").await?,
                "QUIT" => return self.say(stream, "221 2.0.0 bye").await,
                _ => self.say(stream, "500 5.5.2 unknown command").await?,
            }
        }
    }

    fn capabilities(&self) -> String {
        let mut lines = vec!["scripted.test".to_owned()];
        lines.extend(self.features.extensions.iter().cloned());
        if self.features.tls == ServerTls::StartTls && !self.tls {
            lines.push("STARTTLS".to_owned());
        }
        if !self.features.mechanisms.is_empty() {
            lines.push(format!("AUTH {}", self.features.mechanisms.join(" ")));
        }
        let last = lines.len() - 1;
        let numbered = lines.iter().enumerate();
        let lines = numbered.map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }));
        lines.collect::<Vec<_>>().join("\r\n")
    }

    async fn start_tls(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Over> {
        self.answer(stream, Phase::Tls, "").await?;
        let (placeholder, _) = tokio::io::duplex(1);
        let clear = std::mem::replace(stream, Box::new(placeholder));
        *stream = Box::new(self.acceptor.accept(clear).await?);
        self.tls = true;
        // RFC 3207 section 4.2: all that was known before is forgotten.
        self.received.clear();
        Ok(())
    }

    async fn auth(&mut self, stream: &mut Box<dyn Stream>, rest: &str) -> Result<(), Over> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let login = self.features.login.clone();
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response =
                    if initial.is_empty() { self.ask(stream, "334 ").await? } else { initial.to_owned() };
                let mut parts = decode(&response).split('\0').map(str::to_owned).collect::<Vec<_>>();
                parts.remove(0);
                parts
            }
            "LOGIN" => {
                let user = decode(&self.ask(stream, "334 VXNlcm5hbWU6").await?);
                vec![user, decode(&self.ask(stream, "334 UGFzc3dvcmQ6").await?)]
            }
            "CRAM-MD5" => {
                let challenge = format!("<{}@scripted.test>", self.open.number);
                let answer = self.ask(stream, &format!("334 {}", STANDARD.encode(&challenge))).await?;
                let answer = decode(&answer);
                let (user, digest) = answer.rsplit_once(' ').unwrap_or((&answer, ""));
                let password = login.as_ref().map_or("", |(_, password)| password.as_str());
                let right = *hmac_md5(password, challenge.as_bytes()) == digest;
                vec![user.to_owned(), if right { password.to_owned() } else { String::new() }]
            }
            "XOAUTH2" => {
                let response = decode(initial);
                let user = response.strip_prefix("user=").and_then(|rest| rest.split_once('\x01'));
                let (user, bearer) = user.unwrap_or_default();
                let token =
                    bearer.strip_prefix("auth=Bearer ").and_then(|rest| rest.strip_suffix("\x01\x01"));
                let given = vec![user.to_owned(), token.unwrap_or_default().to_owned()];
                if login.as_ref().is_none_or(|(user, password)| given != [user.clone(), password.clone()]) {
                    let reason = STANDARD.encode(r#"{"status":"401","schemes":"bearer","scope":"mail"}"#);
                    let answer = self.ask(stream, &format!("334 {reason}")).await?;
                    if !answer.is_empty() {
                        return self.say(stream, "501 5.5.2 an empty line was expected").await;
                    }
                }
                given
            }
            _ => return self.say(stream, "504 5.5.4 unknown mechanism").await,
        };
        let right = login.is_some_and(|(user, password)| given == [user, password]);
        let usual = if right { "235 2.7.0 welcome" } else { "535 5.7.8 wrong user or password" };
        if self.answer(stream, Phase::Auth, usual).await?.starts_with('2') {
            self.user = given.into_iter().next();
        }
        Ok(())
    }

    async fn data(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Over> {
        let usual = if self.to.is_empty() { "554 5.5.1 no valid recipients" } else { "354 go ahead" };
        if !self.answer(stream, Phase::Data, usual).await?.starts_with("354") {
            return Ok(());
        }
        let mut data = Vec::new();
        loop {
            let line = self.raw_line(stream).await?;
            if line == b".\r\n" {
                break;
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let message = Received {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            data,
            user: self.user.clone(),
            tls: self.tls,
            accepted: false,
            connection: self.open.number,
        };
        let usual =
            if message.to.is_empty() { "554 5.5.1 no valid recipients" } else { "250 2.0.0 accepted" };
        let number = self.open.message(message);
        match self.behaviour(stream, Phase::FinalDot).await? {
            Some((text, close)) => {
                if text.starts_with('2') {
                    self.open.accept(number);
                }
                self.say(stream, &text).await?;
                if close { Err(Over) } else { Ok(()) }
            }
            None => {
                if usual.starts_with('2') {
                    self.open.accept(number);
                }
                self.say(stream, usual).await
            }
        }
    }

    async fn ask(&mut self, stream: &mut Box<dyn Stream>, prompt: &str) -> Result<String, Over> {
        self.say(stream, prompt).await?;
        self.line(stream).await
    }

    /// Gives the usual answer or does what it was told; gives back what it said. An empty usual answer is
    /// nothing to say.
    async fn answer(
        &mut self,
        stream: &mut Box<dyn Stream>,
        phase: Phase,
        usual: &str,
    ) -> Result<String, Over> {
        let (text, close) = self.behaviour(stream, phase).await?.unwrap_or_else(|| (usual.to_owned(), false));
        if !text.is_empty() {
            self.say(stream, &text).await?;
        }
        if close { Err(Over) } else { Ok(text) }
    }

    /// Does what it was told for this phase; an answer that is left to give comes back, with whether to close.
    async fn behaviour(
        &mut self,
        stream: &mut Box<dyn Stream>,
        phase: Phase,
    ) -> Result<Option<(String, bool)>, Over> {
        match self.open.visit(phase) {
            None => Ok(None),
            Some(Behaviour::Reply(text)) => Ok(Some((text, false))),
            Some(Behaviour::ReplyAndClose(text)) => Ok(Some((text, true))),
            Some(Behaviour::Close) => Err(Over),
            Some(Behaviour::Reset) => {
                stream.reset_at_the_end();
                Err(Over)
            }
            Some(Behaviour::Endless(text)) => loop {
                stream.write_all(text.as_bytes()).await?;
                stream.flush().await?;
            },
            Some(Behaviour::Forget) => {
                self.received.clear();
                Ok(None)
            }
            Some(Behaviour::Silence) => self.listen_for_ever(stream).await,
            Some(Behaviour::Trickle(text, every)) => {
                for byte in text.bytes() {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    sleep(every).await;
                }
                self.listen_for_ever(stream).await
            }
            Some(Behaviour::Delay(time)) => {
                sleep(time).await;
                Ok(None)
            }
        }
    }

    async fn listen_for_ever<T>(&mut self, stream: &mut Box<dyn Stream>) -> Result<T, Over> {
        loop {
            self.fill(stream).await?;
        }
    }

    async fn say(&mut self, stream: &mut Box<dyn Stream>, text: &str) -> Result<(), Over> {
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        Ok(stream.flush().await?)
    }

    async fn line(&mut self, stream: &mut Box<dyn Stream>) -> Result<String, Over> {
        let line = self.raw_line(stream).await?;
        Ok(String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned())
    }

    /// One line with its CRLF; a bare LF does not end it.
    async fn raw_line(&mut self, stream: &mut Box<dyn Stream>) -> Result<Vec<u8>, Over> {
        loop {
            if let Some(at) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                return Ok(self.received.drain(..at + 2).collect());
            }
            self.fill(stream).await?;
        }
    }

    async fn fill(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Over> {
        // All that has come is read at once, for whoever wants to throw it away.
        self.received.reserve(64 * 1024);
        let before = self.received.len();
        if stream.read_buf(&mut self.received).await? == 0 {
            return Err(Over);
        }
        self.open.bytes(self.tls, &self.received[before..]);
        Ok(())
    }
}

fn path(rest: &str, keyword: &str) -> Option<String> {
    let tagged = rest.get(..keyword.len())?.eq_ignore_ascii_case(keyword);
    let inside = rest[keyword.len()..].strip_prefix('<')?.split_once('>')?.0;
    tagged.then(|| inside.to_owned())
}

fn decode(text: &str) -> String {
    String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned()
}
