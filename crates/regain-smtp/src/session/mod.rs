//! Owns one SMTP session (RFC 5321) from the connection to QUIT. It must be used by one task alone, and it
//! must not retry: that is for the pool.

mod auth;
mod body;
mod capabilities;
mod connect;
mod deadlines;
mod envelope;
mod reply;
mod secrets;
mod tls;
mod transaction;
mod wire;

#[cfg(feature = "testing")]
pub(crate) use auth::hmac_md5;
pub use deadlines::Deadlines;
pub use envelope::Envelope;
pub use reply::{EnhancedCode, Reply};
pub use tls::TrustRoots;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::{Instant, timeout};

use self::auth::Login;
use self::capabilities::Capabilities;
use self::deadlines::sooner;
use self::secrets::Secrets;
use self::tls::Tls;
pub(crate) use self::transaction::Mail;
use self::transaction::{Outgoing, unwanted};
use self::wire::{Transport, Wire};
use crate::{Cause, Phase, SendError, Settings, StartError, StartTls};

/// A relay and how to talk to it.
pub(crate) struct Relay {
    pub(crate) settings: Settings,
    pub(crate) deadlines: Deadlines,
    tls: Tls,
    own_name: String,
    /// Whether it was told already that the login crosses the network in clear.
    warned: AtomicBool,
    connections: Arc<AtomicUsize>,
    secrets: Arc<Secrets>,
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
        let deadlines = deadlines.lowered_by(&settings);
        let (warned, connections) = (AtomicBool::new(false), Arc::default());
        let secrets = Arc::new(Secrets::new(&settings));
        Ok(Self { settings, deadlines, tls, own_name, warned, connections, secrets })
    }

    /// How many connections to it are open, or opening.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    fn warn_of_clear_login(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                relay = self.settings.host(),
                "the login crosses the network in clear text: write smtps: or requireTLS=true, if the relay has TLS"
            );
        }
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
    /// The message that was announced.
    now: Outgoing,
    /// The one after it.
    next: Outgoing,
    /// Whether the envelope of `next` was written behind the message `now`.
    rides_along: bool,
    verdict_by: Instant,
    _counted: Counted,
}

/// One of a relay's connections, until this is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(relay: &Relay) -> Self {
        relay.connections.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&relay.connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the last transaction left behind.
enum State {
    /// The next message can follow.
    Ready,
    /// The next message was announced in the same write as the one before.
    Announced,
    /// The relay refused and keeps the session; RSET clears it.
    Refused,
    /// It is unknown what the relay is waiting for.
    Broken,
}

impl Session {
    /// Connects, greets, changes to TLS and logs in, as the settings say; all of it until `until`, if that is set.
    pub(crate) async fn open(relay: &Relay, until: Option<Instant>) -> Result<Self, SendError> {
        let Relay { settings, deadlines, tls, .. } = relay;
        let counted = Counted::new(relay);
        let begun = Instant::now();
        let usable_by = sooner(until, settings.connection_timeout().map(|timeout| begun + timeout));
        let end = |within| sooner(usable_by, Some(Instant::now() + within)).unwrap_or(begun);
        let stream = connect::connect(settings, end(deadlines.connect)).await?;
        // Whatever name the relay has, this is where the bytes go.
        let stays_here = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
        let mut stream: Box<dyn Transport> = Box::new(stream);
        let mut encrypted = settings.secure();
        if encrypted {
            stream = tls.handshake(stream, end(deadlines.tls)).await?;
        }
        let mut wire = Wire::new(stream, usable_by, Arc::clone(&relay.secrets));
        let greeting = wire.reply(Phase::Greeting, deadlines.greeting).await?;
        if greeting.code != 220 {
            return Err(unwanted(Phase::Greeting, greeting));
        }
        let mut capabilities = say_ehlo(&mut wire, relay).await?;
        match settings.starttls() {
            StartTls::Required if !capabilities.starttls => {
                return Err(SendError::new(Phase::StartTls, Cause::TlsUnavailable));
            }
            StartTls::Required | StartTls::Optional
                if capabilities.starttls && ask_for_tls(&mut wire, relay).await? =>
            {
                let stream = tls.handshake(wire.into_stream(), end(deadlines.tls)).await?;
                wire = Wire::new(stream, until, Arc::clone(&relay.secrets));
                encrypted = true;
                // What was said before TLS may have been said by anybody.
                capabilities = say_ehlo(&mut wire, relay).await?;
            }
            _ => {}
        }
        wire.end_by(until);
        if let Some((user, password)) = settings.user().zip(settings.expose_password()) {
            if !encrypted && !stays_here {
                relay.warn_of_clear_login();
            }
            let login = Login { user, password, forced: settings.auth_method() };
            login.perform(&mut wire, &capabilities, deadlines).await?;
        }
        Ok(Self {
            wire,
            capabilities,
            deadlines: deadlines.clone(),
            state: State::Ready,
            transactions: 0,
            now: Outgoing::default(),
            next: Outgoing::default(),
            rides_along: false,
            verdict_by: begun,
            _counted: counted,
        })
    }

    /// How many messages were begun in this session.
    pub(crate) fn transactions(&self) -> usize {
        self.transactions
    }

    /// Sets what the message now at work must end by, besides the deadlines of its steps.
    pub(crate) fn end_by(&mut self, until: Option<Instant>) {
        self.wire.end_by(until);
    }

    /// Clears what a refused message left behind. `false`: the session is of no more use.
    pub(crate) async fn settle(&mut self) -> bool {
        self.wire.end_by(None);
        self.shrink();
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
        self.wire.end_by(None);
        let _outcome = timeout(within, async {
            if matches!(self.state, State::Ready | State::Refused) {
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

/// Whether TLS is to follow. `false` where the relay refuses and the URL lets the session go on in clear text; not
/// with a login, which would cross the network because somebody said no.
async fn ask_for_tls(wire: &mut Wire, relay: &Relay) -> Result<bool, SendError> {
    let answer = wire.exchange(Phase::StartTls, b"STARTTLS\r\n", relay.deadlines.command).await?;
    if !(200..300).contains(&answer.code) {
        let error = unwanted(Phase::StartTls, answer);
        let goes_on = relay.settings.opportunistic_tls() && relay.settings.user().is_none();
        let refused = error.reply().is_some_and(|reply| reply.code() != 421);
        return if goes_on && refused { Ok(false) } else { Err(error) };
    }
    // Whoever can add bytes here wants them taken for the relay's words under TLS (CVE-2011-0411).
    if wire.has_surplus() {
        return Err(SendError::new(
            Phase::StartTls,
            Cause::Protocol("it sent more behind its STARTTLS reply"),
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_login_in_clear_text_is_warned_of_once_and_without_the_login() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let url = "smtp://ada:s3cr3t@smtp.example.com?requireTLS=false&ignoreTLS=true";
            let settings = Settings::parse(url).expect("valid");
            let relay = Relay::new(settings, Deadlines::default(), &TrustRoots::System).expect("usable");
            relay.warn_of_clear_login();
            relay.warn_of_clear_login();
        });
        let written = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("UTF-8");
        assert_eq!(written.matches("clear text").count(), 1, "{written}");
        assert!(written.contains("WARN") && written.contains("smtp.example.com"), "{written}");
        assert!(!written.contains("ada") && !written.contains("s3cr3t"), "{written}");
    }
}
