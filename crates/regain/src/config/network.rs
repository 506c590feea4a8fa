//! Addresses and networks, as `trustedProxies` lists them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address with the number of leading bits that count: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// IPv4 addresses in IPv6 form (`::ffff:10.0.0.1`) are the IPv4 addresses that they stand for, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address, or no number behind the slash.
    #[error("is no address or network; write for example \"10.1.2.3\" or \"10.0.0.0/8\"")]
    Malformed,
    /// More bits than the address has.
    #[error("has more bits behind the slash than the address has; IPv4 has 32, IPv6 128")]
    TooManyBits,
    /// Bits are set that the length says do not count, which is nearly always a slip.
    #[error("has bits set beyond its length; write {0}")]
    StrayBits(Network),
}

impl Network {
    /// Whether the address lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let bits = match length {
            None => width(written),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError::TooManyBits)?
            }
            Some(_) => return Err(NetworkError::Malformed),
        };
        if bits > width(written) {
            return Err(NetworkError::TooManyBits);
        }
        let address = written.to_canonical();
        // The 96 bits that say "this is IPv4" are gone with the canonical form.
        let bits = bits.saturating_sub(width(written) - width(address));
        let network = Self { address: masked(address, bits), bits };
        if network.address == address { Ok(network) } else { Err(NetworkError::StrayBits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.1.2.3", "10.1.2.3"));
        assert!(!contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("::/0", "::1"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_form_is_the_ipv4_address() {
        assert!(contains("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.3.2.1"));
        assert!(!contains("::/0", "::ffff:10.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let error = |text: &str| text.parse::<Network>().unwrap_err();
        for text in
            ["", "proxy", "10.0.0", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "1.2.3.4:80", " 1.2.3.4"]
        {
            assert_eq!(error(text), NetworkError::Malformed, "{text}");
        }
        assert_eq!(error("10.0.0.0/33"), NetworkError::TooManyBits);
        assert_eq!(error("::/999"), NetworkError::TooManyBits);
        assert!(error("10.0.0.1/8").to_string().ends_with("write 10.0.0.0/8"));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bits in 0_u8..=32, address: u32) {
            let network = Network { address: masked(IpAddr::V4(address.into()), bits), bits };
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }
    }
}
