//! What a domain asks receivers to do with mail that fails SPF and DKIM (RFC 7489).

use super::{Dns, Silent};

/// What was found for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dmarc {
    /// Nothing, neither for it nor for the domains above it.
    Missing,
    /// More than one: receivers take none of them.
    Several(String),
    /// One without a policy that counts.
    Broken(String),
    /// A policy.
    Policy {
        /// Where it stands.
        domain: String,
        /// `none`, `quarantine` or `reject`.
        policy: String,
        /// Whether reports go somewhere.
        reports: bool,
    },
}

/// Looks for the policy of a domain, there and above it.
pub(crate) async fn find(dns: &Dns, domain: &str) -> Result<Dmarc, Silent> {
    let mut at = domain.trim_end_matches('.');
    loop {
        let texts = dns.texts(&format!("_dmarc.{at}")).await?;
        let records: Vec<&String> = texts.iter().filter(|text| is_dmarc(text)).collect();
        match records.as_slice() {
            [] => {}
            [one] => return Ok(read(one, at, domain)),
            _ => return Ok(Dmarc::Several(at.to_owned())),
        }
        match at.split_once('.') {
            Some((_, above)) if above.contains('.') => at = above,
            _ => return Ok(Dmarc::Missing),
        }
    }
}

fn is_dmarc(text: &str) -> bool {
    text.split(';').next().is_some_and(|first| first.replace(' ', "").eq_ignore_ascii_case("v=DMARC1"))
}

fn read(record: &str, at: &str, domain: &str) -> Dmarc {
    let tag = |wanted: &str| {
        let tags = record.split(';').filter_map(|tag| tag.split_once('='));
        tags.map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.to_ascii_lowercase())
    };
    let below = tag("sp").filter(|_| at != domain);
    let known = |policy: &String| ["none", "quarantine", "reject"].contains(&policy.as_str());
    match below.or_else(|| tag("p")).filter(known) {
        Some(policy) => Dmarc::Policy { domain: at.to_owned(), policy, reports: tag("rua").is_some() },
        None => Dmarc::Broken(at.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_with_that_of_subdomains() {
        let policy = |text, domain| match read(text, "example.org", domain) {
            Dmarc::Policy { policy, reports, .. } => format!("{policy} {reports}"),
            other => format!("{other:?}"),
        };
        assert_eq!(policy("v=DMARC1; p=reject; rua=mailto:a@b.test", "example.org"), "reject true");
        assert_eq!(policy("v=DMARC1;p=Reject;sp=none", "app.example.org"), "none false");
        assert_eq!(policy("v=DMARC1;p=reject;sp=none", "example.org"), "reject false");
        assert!(policy("v=DMARC1; p=perhaps", "example.org").starts_with("Broken"));
        assert!(is_dmarc("v=DMARC1; p=none") && is_dmarc("v = DMARC1;") && !is_dmarc("v=DMARC10"));
    }
}
