//! Which addresses may send for a domain (RFC 7208). Evaluates what depends on addresses alone; what depends on a whole
//! delivery (macros, reverse names) cannot be told beforehand, and is said to be so.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use super::{Dns, Silent, excerpt};

/// Beyond so many look-ups receivers give up with an error (section 4.6.4).
pub(crate) const MOST_LOOKUPS: usize = 10;
/// So many are followed here, in order to tell how many there are.
const MOST_FOLLOWED: usize = 40;

/// What was found for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spf {
    /// No record.
    Missing,
    /// Records that receivers take for an error, and why.
    Broken(String),
    /// One record.
    Found(Found),
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The record.
    pub(crate) record: String,
    /// Look-ups that evaluating it in full takes.
    pub(crate) lookups: usize,
    /// Whether it lets everybody send.
    pub(crate) allows_all: bool,
    /// What it says of each of the addresses that were asked about.
    pub(crate) results: Vec<(IpAddr, Outcome)>,
}

/// What a record says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It may send.
    Pass,
    /// It must not.
    Fail,
    /// It probably must not.
    SoftFail,
    /// Nothing.
    Neutral,
    /// That depends on more than the address.
    Untold,
}

impl Outcome {
    /// Its word in headers of received mail.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::Untold => "cannot be told here",
        }
    }
}

/// Looks at the record of `domain` and what it says of these addresses.
pub(crate) async fn find(dns: &Dns, domain: &str, addresses: &[IpAddr]) -> Result<Spf, Silent> {
    let mut walk = Walk { dns, addresses, lookups: 0 };
    match walk.record(domain).await {
        Ok(Some((record, level))) => Ok(Spf::Found(Found {
            record,
            lookups: walk.lookups,
            allows_all: level.allows_all,
            results: addresses.iter().copied().zip(level.results()).collect(),
        })),
        Ok(None) => Ok(Spf::Missing),
        Err(Trouble::Silent) => Err(Silent),
        Err(Trouble::Error(why)) => Ok(Spf::Broken(why)),
    }
}

enum Trouble {
    Silent,
    Error(String),
}

impl From<Silent> for Trouble {
    fn from(_: Silent) -> Self {
        Self::Silent
    }
}

struct Walk<'a> {
    dns: &'a Dns,
    addresses: &'a [IpAddr],
    lookups: usize,
}

/// What one record has said so far of each address.
struct Level {
    said: Vec<Option<Outcome>>,
    allows_all: bool,
}

impl Level {
    /// The first match counts.
    fn say(&mut self, matches: impl Fn(usize) -> bool, outcome: Outcome) {
        for (at, said) in self.said.iter_mut().enumerate() {
            if said.is_none() && matches(at) {
                *said = Some(outcome);
            }
        }
    }

    fn results(&self) -> impl Iterator<Item = Outcome> + '_ {
        self.said.iter().map(|said| said.unwrap_or(Outcome::Neutral))
    }
}

type Visit<'w> = Pin<Box<dyn Future<Output = Result<Option<(String, Level)>, Trouble>> + 'w>>;

impl Walk<'_> {
    /// The record of a domain, followed to its end, so that all look-ups are counted; `None` where there is none.
    fn record<'w>(&'w mut self, domain: &'w str) -> Visit<'w> {
        Box::pin(async move {
            let texts = self.dns.texts(domain).await?;
            let mut records = texts.into_iter().filter(|text| is_spf(text));
            let Some(record) = records.next() else { return Ok(None) };
            if records.next().is_some() {
                return Err(Trouble::Error(format!("{domain} has several records that begin with v=spf1")));
            }
            let mut level = Level { said: vec![None; self.addresses.len()], allows_all: false };
            let mut redirect = None;
            let mut has_all = false;
            for term in record.split_ascii_whitespace().skip(1) {
                let lower = term.to_ascii_lowercase();
                if let Some(to) = lower.strip_prefix("redirect=") {
                    redirect = Some(to.to_owned());
                } else if is_modifier(&lower) {
                    // exp= and what is not known yet say nothing about addresses.
                } else {
                    has_all |= self.mechanism(&lower, domain, &mut level).await?;
                }
            }
            if let Some(to) = redirect.filter(|_| !has_all) {
                self.redirected(&to, &mut level).await?;
            }
            Ok(Some((record, level)))
        })
    }

    async fn redirected(&mut self, to: &str, level: &mut Level) -> Result<(), Trouble> {
        self.count()?;
        if to.contains('%') {
            level.say(|_| true, Outcome::Untold);
            return Ok(());
        }
        let Some((_, other)) = self.record(to).await? else {
            return Err(Trouble::Error(format!("redirect={} leads to no record", excerpt(to))));
        };
        level.allows_all |= other.allows_all;
        for (at, outcome) in other.said.into_iter().enumerate() {
            if let Some(outcome) = outcome {
                level.say(|other| other == at, outcome);
            }
        }
        Ok(())
    }

    /// Answers whether it is `all`.
    async fn mechanism(&mut self, term: &str, domain: &str, level: &mut Level) -> Result<bool, Trouble> {
        let (outcome, rest) = match term.split_at_checked(1) {
            Some(("+", rest)) => (Outcome::Pass, rest),
            Some(("-", rest)) => (Outcome::Fail, rest),
            Some(("~", rest)) => (Outcome::SoftFail, rest),
            Some(("?", rest)) => (Outcome::Neutral, rest),
            _ => (Outcome::Pass, term),
        };
        let end = rest.find([':', '/']).unwrap_or(rest.len());
        let (name, argument) = rest.split_at(end);
        let bad = || {
            let shown = excerpt(term);
            Trouble::Error(format!("{domain} has {shown:?} in its record, which is not understood"))
        };
        if argument.contains('%') && matches!(name, "a" | "mx" | "include" | "exists") {
            self.count()?;
            level.say(|_| true, Outcome::Untold);
            return Ok(false);
        }
        match name {
            "all" => {
                level.allows_all |= outcome == Outcome::Pass;
                level.say(|_| true, outcome);
                return Ok(true);
            }
            "ip4" | "ip6" => {
                let network = argument.strip_prefix(':').and_then(Network::parse).ok_or_else(bad)?;
                let addresses = self.addresses;
                level.say(|at| network.holds(addresses[at]), outcome);
            }
            "a" | "mx" => {
                self.count()?;
                let (host, lengths) = host_and_lengths(argument, domain).ok_or_else(bad)?;
                let hosts = if name == "a" { vec![host] } else { self.dns.exchangers(&host).await? };
                let mut networks = Vec::new();
                for host in hosts.iter().take(MOST_LOOKUPS) {
                    let found = self.dns.addresses(host).await?;
                    networks.extend(found.into_iter().map(|address| Network::around(address, lengths)));
                }
                let addresses = self.addresses;
                level.say(|at| networks.iter().any(|network| network.holds(addresses[at])), outcome);
            }
            "include" => {
                self.count()?;
                let other = argument.strip_prefix(':').filter(|other| !other.is_empty()).ok_or_else(bad)?;
                let Some((_, included)) = self.record(other).await? else {
                    return Err(Trouble::Error(format!("include:{} leads to no record", excerpt(other))));
                };
                level.allows_all |= included.allows_all && outcome == Outcome::Pass;
                let is = |wanted| move |said: Option<&Option<Outcome>>| said == Some(&Some(wanted));
                let (passes, untold) = (is(Outcome::Pass), is(Outcome::Untold));
                level.say(|at| passes(included.said.get(at)), outcome);
                level.say(|at| untold(included.said.get(at)), Outcome::Untold);
            }
            "exists" | "ptr" => {
                self.count()?;
                level.say(|_| true, Outcome::Untold);
            }
            _ => return Err(bad()),
        }
        Ok(false)
    }

    fn count(&mut self) -> Result<(), Trouble> {
        self.lookups += 1;
        if self.lookups > MOST_FOLLOWED {
            return Err(Trouble::Error(format!("following it takes more than {MOST_FOLLOWED} look-ups")));
        }
        Ok(())
    }
}

fn is_spf(text: &str) -> bool {
    text.split(' ').next().is_some_and(|first| first.eq_ignore_ascii_case("v=spf1"))
}

fn is_modifier(term: &str) -> bool {
    let name = term.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// `:host/24//64`, of which every part may be left out.
fn host_and_lengths(argument: &str, domain: &str) -> Option<(String, (u8, u8))> {
    let (host, lengths) = argument.split_once('/').map_or((argument, ""), |(host, lengths)| (host, lengths));
    let host = match host.strip_prefix(':') {
        Some("") => return None,
        Some(host) => host,
        None if host.is_empty() => domain,
        None => return None,
    };
    let (four, six) = match lengths.split_once('/') {
        // `//64` alone: what is before the second slash is empty.
        Some((four, six)) => (four, six.trim_start_matches('/')),
        None => (lengths, ""),
    };
    let length = |text: &str, most: u8| {
        if text.is_empty() { Some(most) } else { text.parse().ok().filter(|length| *length <= most) }
    };
    Some((host.to_owned(), (length(four, 32)?, length(six, 128)?)))
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, length)| (a, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length.parse().ok().filter(|length| *length <= most)?,
            None => most,
        };
        Some(Self { address, length })
    }

    fn around(address: IpAddr, (four, six): (u8, u8)) -> Self {
        Self { address, length: if address.is_ipv4() { four } else { six } }
    }

    fn holds(&self, other: IpAddr) -> bool {
        let shift = |bits: u32| bits.saturating_sub(u32::from(self.length));
        match (self.address, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                (one.to_bits() ^ other.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                (one.to_bits() ^ other.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_like_it() {
        let holds = |network, address: &str| Network::parse(network).unwrap().holds(address.parse().unwrap());
        assert!(holds("203.0.113.0/24", "203.0.113.255") && !holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("203.0.113.7", "203.0.113.7") && !holds("203.0.113.7", "203.0.113.6"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        for bad in ["203.0.113.0/33", "203.0.113", "::/129", "x"] {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_parts_of_a_host_are_taken_apart() {
        let parts = |text| host_and_lengths(text, "d.test");
        assert_eq!(parts(""), Some(("d.test".to_owned(), (32, 128))));
        assert_eq!(parts(":h.test/24"), Some(("h.test".to_owned(), (24, 128))));
        assert_eq!(parts("/24//64"), Some(("d.test".to_owned(), (24, 64))));
        assert_eq!(parts("//64"), Some(("d.test".to_owned(), (32, 64))));
        assert_eq!((parts(":"), parts(":h/33"), parts("/x")), (None, None, None));
    }
}
