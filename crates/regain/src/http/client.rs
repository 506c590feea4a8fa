//! Who is asking: the client's address and what it calls itself.
//!
//! A forwarded address is believed only from a configured proxy, and only as a parsed address, never as text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use regain_core::{Caller, UserAgent};

use super::Site;
use crate::config::Network;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client behind a request.
pub(super) fn caller(site: &Site, parts: &Parts) -> Caller {
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Caller { ip: address(site, parts), agent: agent.and_then(UserAgent::parse) }
}

fn address(site: &Site, parts: &Parts) -> IpAddr {
    let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
        // All clients are then one to the limits, which is safe, if not useful.
        if first(&site.warned_of_no_peer) {
            tracing::error!(
                "requests carry no peer address: serve the router with `into_make_service_with_connect_info`"
            );
        }
        return Ipv4Addr::UNSPECIFIED.into();
    };
    let peer = peer.ip().to_canonical();
    if !parts.headers.contains_key(FORWARDED_FOR) {
        return peer;
    }
    let proxies = &site.settings.trusted_proxies;
    if !is_trusted(proxies, peer) {
        if first(&site.warned_of_forwarded) {
            tracing::warn!(
                "X-Forwarded-For came from a peer that is not in trustedProxies and was ignored; behind a proxy, all \
                 clients share its limits until it is listed"
            );
        }
        return peer;
    }
    forwarded(&parts.headers, proxies, peer)
}

/// The right-most hop that is not a proxy of ours; whatever stands left of it was written by a stranger.
fn forwarded(headers: &HeaderMap, proxies: &[Network], peer: IpAddr) -> IpAddr {
    let mut nearest = peer;
    for value in headers.get_all(FORWARDED_FOR).into_iter().rev() {
        let Ok(value) = value.to_str() else { return nearest };
        for hop in value.rsplit(',') {
            let Some(hop) = parse_hop(hop.trim()) else { return nearest };
            nearest = hop;
            if !is_trusted(proxies, hop) {
                return nearest;
            }
        }
    }
    nearest
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

fn is_trusted(proxies: &[Network], address: IpAddr) -> bool {
    proxies.iter().any(|proxy| proxy.contains(address))
}

/// Whether this is the first time that it is asked.
fn first(flag: &AtomicBool) -> bool {
    !flag.load(Ordering::Relaxed) && !flag.swap(true, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use regain_core::Purpose;

    use super::*;
    use crate::http::testing::TestSite;

    /// Header lines stand apart by `|`.
    fn client(peer: &str, lines: &str) -> String {
        let proxies: Vec<Network> = ["10.0.0.0/8", "::1"].map(|network| network.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for line in lines.split('|') {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        forwarded(&headers, &proxies, peer.parse().unwrap()).to_string()
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_of_ours_is_the_client() {
        for (lines, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("9.9.9.9, 203.0.113.7, 10.0.0.5", "203.0.113.7"),
            ("9.9.9.9|203.0.113.7,10.0.0.5", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ] {
            assert_eq!(client("10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_search_at_the_hop_before() {
        for lines in ["<a href=//evil>", "unknown", "", "203.0.113.7, ", "203.0.113.7;x"] {
            assert_eq!(client("10.0.0.1", lines), "10.0.0.1", "{lines:?}");
        }
        assert_eq!(client("10.0.0.1", "203.0.113.7, x, 10.0.0.6"), "10.0.0.6");
    }

    #[tokio::test]
    async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        const ASK: &str = "{\"provider_id\":\"ann@example.org\",\"data\":{\"action\":\"reset_password\"}}";
        for (peer, expected) in [([10, 0, 0, 1], "203.0.113.7"), ([198, 51, 100, 1], "198.51.100.1")] {
            let site = TestSite::new();
            assert!(site.desk.register("ann@example.org", "correct horse").await.is_ok());
            let headers = "content-type: application/json\nx-forwarded-for: 9.9.9.9, 203.0.113.7";
            let path = "/auth/password/updateAccount";
            site.send_from(peer, "POST", path, headers, ASK.into()).await.is_done();
            site.desk.deliver().await;
            let mails = site.desk.mails(Purpose::Reset);
            assert_eq!(mails.first().unwrap().ip.unwrap().to_string(), expected);
        }
    }
}
