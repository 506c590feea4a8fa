//! Owns a delivery that is watched step by step, for people who want to know how far it comes. It must not be a second
//! way of speaking SMTP: it opens the session and hands the message over as the pool does.
//!
//! The session says what it comes through to whoever watches the task that it runs in; a pool's task has no watcher.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::session::{Mail, Relay, Session};
use crate::{Accepted, Deadlines, Envelope, Phase, SendError, Settings, StartError, TrustRoots};

/// What a trial has come through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The relay's name has these addresses.
    Found(Vec<SocketAddr>),
    /// The connection to this one is open.
    Connected(SocketAddr),
    /// The connection is encrypted.
    Encrypted {
        /// Such as `TLSv1_3`.
        version: String,
        /// Such as `TLS13_AES_256_GCM_SHA384`.
        cipher: String,
        /// The relay's own certificate, in DER; it was found valid, unless the URL says not to look.
        certificate: Option<Vec<u8>>,
    },
    /// The relay has answered.
    Replied {
        /// To what.
        phase: Phase,
        /// The code.
        code: u16,
        /// Its lines without the code, as they came; none at the login, which some relays quote, or where they
        /// repeat it later.
        lines: Vec<String>,
    },
}

/// Does everything that [`Pool::send`](crate::Pool::send) does over a new connection, and tells `watch` of each step as it
/// is taken. Without a mail it ends behind the login. Must be called within a tokio runtime.
///
/// # Errors
/// That the settings can never work on this machine.
pub async fn trial(
    settings: &Settings,
    deadlines: Deadlines,
    roots: &TrustRoots,
    mail: Option<(Envelope, Arc<[u8]>)>,
    watch: impl FnMut(&Step) + 'static,
) -> Result<Result<Option<Accepted>, SendError>, StartError> {
    let relay = Relay::new(settings.clone(), deadlines, roots)?;
    let mut session = None;
    let work = async {
        let mail =
            mail.map(|(envelope, message)| Ok(Mail { paths: envelope.paths()?, message })).transpose()?;
        let session = session.insert(Session::open(&relay, None).await?);
        let Some(mail) = mail else { return Ok(None) };
        session.announce(&mail).await?;
        session.permission().await?;
        session.hand_over(None).await?;
        Ok(Some(Accepted { reply: session.verdict().await? }))
    };
    let outcome = watched(watch, work).await;
    if let Some(session) = session {
        session.quit().await;
    }
    Ok(outcome)
}

type Watcher = RefCell<Box<dyn FnMut(&Step)>>;

tokio::task_local! {
    static WATCHER: Watcher;
}

async fn watched<T>(watch: impl FnMut(&Step) + 'static, work: impl Future<Output = T>) -> T {
    WATCHER.scope(RefCell::new(Box::new(watch)), work).await
}

/// Tells whoever watches; where nobody does, `step` is not made.
pub(crate) fn note(step: impl FnOnce() -> Step) {
    // No watcher is there but in a trial. One that came back here from inside itself would be told nothing more.
    let _nobody = WATCHER.try_with(|watcher| {
        if let Ok(mut watcher) = watcher.try_borrow_mut() {
            watcher(&step());
        }
    });
}
