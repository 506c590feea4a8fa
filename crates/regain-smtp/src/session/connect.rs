//! Owns the way to an open TCP connection, and the name this machine gives itself. It must not speak SMTP.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::wire;
use crate::{Cause, Phase, SendError};

/// More addresses than this of one name are not tried.
const MOST_ADDRESSES: usize = 8;

/// Looks the host up and connects to the first of its addresses that answers; all of it within `within`.
pub(super) async fn connect(host: &str, port: u16, within: Duration) -> Result<TcpStream, SendError> {
    let end = Instant::now() + within;
    let found = wire::deadline(Phase::Resolve, within, async {
        lookup_host((host, port))
            .await
            .map_err(|error| SendError::new(Phase::Resolve, Cause::Io(error.kind())))
    })
    .await?;
    let addresses: Vec<_> = found.take(MOST_ADDRESSES).collect();
    let mut failure = SendError::new(Phase::Resolve, Cause::Io(std::io::ErrorKind::NotFound));
    for (tried, address) in addresses.iter().enumerate() {
        // An address that swallows packets takes only its share, so that the next one has a chance.
        let share = end.saturating_duration_since(Instant::now())
            / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without this the last piece of every message waits 40 ms for an acknowledgement.
                stream.set_nodelay(true).map_err(|error| wire::failed(Phase::Connect, &error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = wire::failed(Phase::Connect, &error),
            Err(_) => failure = SendError::new(Phase::Connect, Cause::TimedOut),
        }
    }
    Err(failure)
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
        let error =
            connect("no-such-host.invalid", 25, Duration::from_secs(10)).await.expect_err("no such host");
        assert_eq!(
            (error.phase(), error.code()),
            (Phase::Resolve, if error.cause() == &Cause::TimedOut { "ETIMEDOUT" } else { "EDNS" })
        );
    }
}
