//! Until when a certificate is good. Reads that one time out of its DER (RFC 5280 section 4.1) and judges nothing.

use std::time::Duration;

use regain_core::Timestamp;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, where the version stands if it is not the first.
const VERSION: u8 = 0xa0;

/// Whole days from `now` on that it is good; zero where that is over. `None` where it cannot be told.
pub(super) fn days_left(der: &[u8], now: Timestamp) -> Option<u64> {
    Some(not_after(der)?.since(now).as_secs() / Duration::from_secs(86_400).as_secs())
}

fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (_, _, end) = element(validity)?;
    let (tag, time, _) = element(end)?;
    let digits = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let year = match (tag, digits.len()) {
        // Below 50 it is of this century.
        (UTC_TIME, 12) if digits < "50" => format!("20{}", &digits[..2]),
        (UTC_TIME, 12) => format!("19{}", &digits[..2]),
        (GENERALIZED_TIME, 14) => digits[..4].to_owned(),
        _ => return None,
    };
    let rest = &digits[digits.len() - 10..];
    let text =
        format!("{year}-{}-{}T{}:{}:{}Z", &rest[..2], &rest[2..4], &rest[4..6], &rest[6..8], &rest[8..10]);
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outer shell of a certificate with this validity.
    fn certificate(times: &[u8]) -> Vec<u8> {
        let sequence = |content: &[u8]| [&[SEQUENCE, u8::try_from(content.len()).unwrap()], content].concat();
        let parts =
            [&[VERSION, 3, 2, 1, 2][..], &[2, 1, 7], &sequence(&[]), &sequence(&[]), &sequence(times)];
        sequence(&sequence(&parts.concat()))
    }

    #[test]
    fn the_end_is_read_in_both_forms_of_a_time() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let short = certificate(b"\x17\x0d251118110640Z\x17\x0d261120110640Z");
        assert_eq!(not_after(&short).map(Timestamp::as_millis), Some(1_795_172_800_000));
        assert_eq!(days_left(&short, now), Some(2));
        let long = certificate(b"\x17\x0d251118110640Z\x18\x0f20600101000000Z");
        assert_eq!(not_after(&long).map(Timestamp::as_millis), Some(2_840_140_800_000));
        let over = certificate(b"\x17\x0d251118110640Z\x17\x0d251120110640Z");
        assert_eq!(days_left(&over, now), Some(0));
        for end in 0..short.len() {
            assert_eq!(not_after(&short[..end]), None);
        }
    }
}
