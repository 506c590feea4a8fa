//! Owns the way to an open TCP connection, and the name this machine gives itself. It must not speak SMTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::wire;
use crate::trial::{Step, note};
use crate::{Cause, Phase, SendError, Settings};

/// More addresses than this of one name are not tried.
const MOST_ADDRESSES: usize = 8;

/// Looks the host up and connects to the first of its addresses that answers; all of it until `end`.
pub(super) async fn connect(settings: &Settings, end: Instant) -> Result<TcpStream, SendError> {
    let lookup_end = settings.dns_timeout().map_or(end, |timeout| end.min(Instant::now() + timeout));
    let found = wire::deadline(Phase::Resolve, lookup_end, async {
        lookup_host((settings.host(), settings.port()))
            .await
            .map_err(|error| SendError::new(Phase::Resolve, Cause::Io(error.kind())))
    })
    .await?;
    let addresses: Vec<_> = found.take(MOST_ADDRESSES).collect();
    note(|| Step::Found(addresses.clone()));
    let mut failure = SendError::new(Phase::Resolve, Cause::Io(io::ErrorKind::NotFound));
    for (tried, &address) in addresses.iter().enumerate() {
        // An address that swallows packets takes only its share, so that the next one has a chance.
        let share = end.saturating_duration_since(Instant::now())
            / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match open(address, settings.local_address(), share).await {
            Ok(stream) => {
                note(|| Step::Connected(address));
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn open(address: SocketAddr, from: Option<IpAddr>, within: Duration) -> Result<TcpStream, SendError> {
    let connecting = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = from {
            // Of the other family, this fails as it should: no connection may come from another address.
            socket.bind(SocketAddr::new(from, 0))?;
        }
        // Without this the last piece of every message waits 40 ms for an acknowledgement.
        socket.set_nodelay(true)?;
        socket.connect(address).await
    };
    match timeout(within, connecting).await {
        Ok(outcome) => outcome.map_err(|error| wire::failed(Phase::Connect, &error)),
        Err(_) => Err(SendError::new(Phase::Connect, Cause::TimedOut)),
    }
}

/// The name to give in EHLO: the machine's own if it is a full domain name or an IPv4 address, else
/// `[127.0.0.1]`, as in nodemailer.
pub(crate) fn own_name() -> String {
    let system = rustix::system::uname();
    usable_name(system.nodename().to_str().unwrap_or_default())
}

fn usable_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if name.parse::<Ipv4Addr>().is_ok() {
        format!("[{name}]")
    } else if name.contains('.') && name.bytes().all(plain) {
        name.to_owned()
    } else {
        "[127.0.0.1]".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_domain_name_is_given_in_ehlo() {
        assert_eq!(usable_name("mail.example.org"), "mail.example.org");
        assert_eq!(usable_name("laptop"), "[127.0.0.1]");
        assert_eq!(usable_name("192.0.2.1"), "[192.0.2.1]");
        assert_eq!(usable_name("a.b\r\nMAIL"), "[127.0.0.1]");
        assert_eq!(usable_name(""), "[127.0.0.1]");
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_fails_in_the_lookup() {
        let settings = Settings::parse("smtp://no-such-host.invalid").expect("valid");
        let end = Instant::now() + Duration::from_secs(10);
        let error = connect(&settings, end).await.expect_err("no such host");
        assert_eq!(
            (error.phase(), error.code()),
            (Phase::Resolve, if error.cause() == &Cause::TimedOut { "ETIMEDOUT" } else { "EDNS" })
        );
    }
}
