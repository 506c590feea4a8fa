//! Owns one SMTP session (RFC 5321) from the connection to QUIT. It must be used by one task alone, and it
//! must not retry: that is for the pool.

mod auth;
mod body;
mod capabilities;
mod connect;
mod deadlines;
mod envelope;
mod reply;
mod tls;
mod transaction;
mod wire;

#[cfg(feature = "testing")]
pub(crate) use auth::hmac_md5;
pub use deadlines::Deadlines;
pub use envelope::Envelope;
pub(crate) use envelope::Paths;
pub use reply::{EnhancedCode, Reply};
pub use tls::TrustRoots;

use tokio::time::timeout;

use self::auth::Login;
use self::capabilities::Capabilities;
use self::tls::Tls;
use self::transaction::unwanted;
use self::wire::{Transport, Wire};
use crate::{Cause, Phase, SendError, Settings, StartError, StartTls};

/// A relay and how to talk to it.
pub(crate) struct Relay {
    pub(crate) settings: Settings,
    pub(crate) deadlines: Deadlines,
    tls: Tls,
    own_name: String,
}

impl Relay {
    pub(crate) fn new(
        settings: Settings,
        deadlines: Deadlines,
        roots: &TrustRoots,
    ) -> Result<Self, StartError> {
        let has_user = settings.user().is_some_and(|user| !user.is_empty());
        if settings.user().is_some() && !(has_user && settings.has_password()) {
            return Err(StartError::IncompleteLogin);
        }
        let tls = Tls::new(&settings, roots)?;
        let own_name = settings.name().map_or_else(connect::own_name, str::to_owned);
        Ok(Self { settings, deadlines, tls, own_name })
    }
}

/// An open session, ready for messages.
pub(crate) struct Session {
    wire: Wire,
    capabilities: Capabilities,
    deadlines: Deadlines,
    state: State,
    /// Messages begun, taken or not.
    transactions: usize,
}

/// What the last transaction left behind.
enum State {
    /// The next message can follow.
    Ready,
    /// The relay refused and keeps the session; RSET clears it.
    Refused,
    /// It is unknown what the relay is waiting for.
    Broken,
}

impl Session {
    /// Connects, greets, changes to TLS and logs in, as the settings say.
    pub(crate) async fn open(relay: &Relay) -> Result<Self, SendError> {
        let Relay { settings, deadlines, tls, .. } = relay;
        let stream = connect::connect(settings.host(), settings.port(), deadlines.connect).await?;
        let mut stream: Box<dyn Transport> = Box::new(stream);
        if settings.secure() {
            stream = tls.handshake(stream, deadlines).await?;
        }
        let mut wire = Wire::new(stream);
        let greeting = wire.reply(Phase::Greeting, deadlines.greeting).await?;
        if greeting.code != 220 {
            return Err(unwanted(Phase::Greeting, greeting));
        }
        let mut capabilities = say_ehlo(&mut wire, relay).await?;
        match settings.starttls() {
            StartTls::Required if !capabilities.starttls => {
                return Err(SendError::new(Phase::StartTls, Cause::TlsUnavailable));
            }
            StartTls::Required | StartTls::Optional if capabilities.starttls => {
                wire = start_tls(wire, relay).await?;
                // What was said before TLS may have been said by anybody.
                capabilities = say_ehlo(&mut wire, relay).await?;
            }
            _ => {}
        }
        if let Some((user, password)) = settings.user().zip(settings.expose_password()) {
            Login { user, password, forced: None }.perform(&mut wire, &capabilities, deadlines).await?;
        }
        let deadlines = deadlines.clone();
        Ok(Self { wire, capabilities, deadlines, state: State::Ready, transactions: 0 })
    }

    /// How many messages were begun in this session.
    pub(crate) fn transactions(&self) -> usize {
        self.transactions
    }

    /// Clears what a refused message left behind. `false`: the session is of no more use.
    pub(crate) async fn settle(&mut self) -> bool {
        if matches!(self.state, State::Refused) {
            // The next message may wait behind this: a relay that takes its time gets a new connection.
            let answer = self.wire.exchange(Phase::Mail, b"RSET\r\n", self.deadlines.quit).await;
            let cleared = answer.is_ok_and(|answer| (200..300).contains(&answer.code));
            self.state = if cleared { State::Ready } else { State::Broken };
        }
        matches!(self.state, State::Ready) && !self.wire.has_surplus()
    }

    /// Waits until an idle session ends from the other side. Safe to drop at any time.
    pub(crate) async fn disturbed(&mut self) {
        self.wire.disturbed().await;
    }

    /// Says QUIT and closes. How the relay takes it does not matter.
    pub(crate) async fn quit(mut self) {
        let within = self.deadlines.quit;
        let _outcome = timeout(within, async {
            if !matches!(self.state, State::Broken) {
                let _answer = self.wire.exchange(Phase::FinalDot, b"QUIT\r\n", within).await;
            }
            self.wire.shutdown().await
        })
        .await;
    }
}

async fn say_ehlo(wire: &mut Wire, relay: &Relay) -> Result<Capabilities, SendError> {
    let within = relay.deadlines.command;
    let ehlo = format!("EHLO {}\r\n", relay.own_name);
    let answer = wire.exchange(Phase::Ehlo, ehlo.as_bytes(), within).await?;
    let needs_extensions = relay.settings.starttls() == StartTls::Required || relay.settings.user().is_some();
    match answer.code {
        200..300 => Ok(Capabilities::parse(&answer)),
        500..600 if !needs_extensions => {
            let helo = format!("HELO {}\r\n", relay.own_name);
            let answer = wire.exchange(Phase::Ehlo, helo.as_bytes(), within).await?;
            if (200..300).contains(&answer.code) {
                Ok(Capabilities::default())
            } else {
                Err(unwanted(Phase::Ehlo, answer))
            }
        }
        _ => Err(unwanted(Phase::Ehlo, answer)),
    }
}

async fn start_tls(mut wire: Wire, relay: &Relay) -> Result<Wire, SendError> {
    let answer = wire.exchange(Phase::StartTls, b"STARTTLS\r\n", relay.deadlines.command).await?;
    if !(200..300).contains(&answer.code) {
        return Err(unwanted(Phase::StartTls, answer));
    }
    // Whoever can add bytes here wants them taken for the relay's words under TLS (CVE-2011-0411).
    if wire.has_surplus() {
        return Err(SendError::new(
            Phase::StartTls,
            Cause::Protocol("it sent more behind its STARTTLS reply"),
        ));
    }
    Ok(Wire::new(relay.tls.handshake(wire.into_stream(), &relay.deadlines).await?))
}
