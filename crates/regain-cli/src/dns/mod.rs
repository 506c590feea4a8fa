//! Looking things up in DNS, and what the records for mail mean. Asks the system's resolvers, and waits for none of them long.

pub(crate) mod dmarc;
pub(crate) mod organisation;
pub(crate) mod spf;

use std::borrow::Cow;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::name::Name;
use domain::base::{ParsedName, Rtype};
use domain::rdata::{A, Aaaa, Mx, Txt};
use domain::resolv::StubResolver;
use domain::resolv::stub::Answer;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use tokio::time::{Instant, timeout_at};

/// All look-ups together take no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// One look-up takes no longer.
const ONE: Duration = Duration::from_secs(2);

/// As much of what DNS says as is shown in a line, in characters.
const SHOWN: usize = 200;

/// Nobody answered in time, or the answer was a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silent;

/// Somebody to ask.
pub(crate) struct Dns {
    resolver: StubResolver,
    until: Instant,
    /// Once a look-up got no answer in time, no further one waits for it.
    is_silent: Cell<bool>,
}

impl Dns {
    /// Asks this server, or those of the system; its time runs from now on.
    pub(crate) fn new(server: Option<SocketAddr>) -> Self {
        let mut conf = match server {
            Some(address) => {
                ResolvConf { servers: vec![ServerConf::new(address, Transport::UdpTcp)], ..ResolvConf::new() }
            }
            None => ResolvConf::default(),
        };
        conf.options.timeout = ONE;
        conf.finalize();
        Self {
            resolver: StubResolver::from_conf(conf),
            until: Instant::now() + PATIENCE,
            is_silent: Cell::new(false),
        }
    }

    /// The texts at a name, each with its strings joined; none where there is no such name.
    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<String>, Silent> {
        let Some(answer) = self.ask(name, Rtype::TXT).await? else { return Ok(Vec::new()) };
        let records = answer.answer().map_err(|_| Silent)?.limit_to_in::<Txt<_>>();
        let texts = records.flatten().map(|record| record.data().text::<Vec<u8>>());
        Ok(texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect())
    }

    /// The addresses of a name; those of one kind where the other is not answered.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Silent> {
        let (four, six) = (self.ask(name, Rtype::A).await, self.ask(name, Rtype::AAAA).await);
        if four.is_err() && six.is_err() {
            return Err(Silent);
        }
        let mut found = Vec::new();
        if let Ok(Some(answer)) = four {
            let records = answer.answer().map_err(|_| Silent)?.limit_to_in::<A>();
            found.extend(records.flatten().map(|record| IpAddr::V4(record.data().addr())));
        }
        if let Ok(Some(answer)) = six {
            let records = answer.answer().map_err(|_| Silent)?.limit_to_in::<Aaaa>();
            found.extend(records.flatten().map(|record| IpAddr::V6(record.data().addr())));
        }
        Ok(found)
    }

    /// The hosts that take mail for a name.
    pub(crate) async fn exchangers(&self, name: &str) -> Result<Vec<String>, Silent> {
        let Some(answer) = self.ask(name, Rtype::MX).await? else { return Ok(Vec::new()) };
        let records = answer.answer().map_err(|_| Silent)?.limit_to_in::<Mx<ParsedName<_>>>();
        Ok(records.flatten().map(|record| record.data().exchange().to_string()).collect())
    }

    /// `None` where there is no such name, or it cannot be one.
    async fn ask(&self, name: &str, what: Rtype) -> Result<Option<Answer>, Silent> {
        let Ok(name) = Name::<Vec<u8>>::from_str(name) else { return Ok(None) };
        if self.is_silent.get() {
            return Err(Silent);
        }
        let answer = timeout_at(self.until, self.resolver.query((name, what))).await;
        let Ok(Ok(answer)) = answer else {
            self.is_silent.set(true);
            return Err(Silent);
        };
        match answer.header().rcode() {
            Rcode::NOERROR => Ok(Some(answer)),
            Rcode::NXDOMAIN => Ok(None),
            _ => Err(Silent),
        }
    }
}

/// The beginning of a record, or of a part of it: the whole may be as long as a message, 64 kB.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]).into(),
        None => text.into(),
    }
}
