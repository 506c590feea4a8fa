//! Owns DKIM signatures (RFC 6376; Ed25519 by RFC 8463) of finished messages, and the DNS records that let others check
//! them. It must not ask for the time or for chance: equal messages at equal times give equal bytes.
//!
//! Both parts of a message are canonicalised as `relaxed`, since relays rewrap header lines and trim white space. There
//! is no `l=`, with which anybody could add to a signed body, and no `x=`.

mod canonical;
mod fields;
mod folded;
mod key;
mod record;
mod signed;

#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use self::fields::{Field, Parts};
use self::folded::Folded;
pub use self::key::{DkimAlgorithm, DkimKey, DkimKeyError};
pub use self::record::{DkimRecord, PublishedFault};
pub use self::signed::DkimFields;

/// Signs messages for one domain with one key.
///
/// ```
/// use regain_smtp::{DkimKey, DkimSigner};
/// # let pem = "-----BEGIN PRIVATE KEY-----\n\
/// #     MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
/// #     -----END PRIVATE KEY-----\n";
/// let signer = DkimSigner::new("example.org", "main", DkimKey::from_pem(pem)?)?;
/// // To be published, so that others can check the signatures:
/// assert_eq!(signer.record().name(), "main._domainkey.example.org");
/// assert!(signer.record().value().starts_with("v=DKIM1; k=ed25519; p="));
///
/// let message = b"From: a@example.org\r\nSubject: hello\r\n\r\nDear Ada\r\n";
/// let header = signer.sign(message, 1_795_377_610)?;
/// assert!(header.starts_with("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DkimSigner {
    domain: String,
    selector: String,
    key: DkimKey,
    fields: DkimFields,
}

/// Why there is no signature. What it says of a setting reads on after the setting's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    /// The domain is no domain name.
    #[error("is not a domain name; write for example \"example.org\"")]
    Domain,
    /// The selector cannot stand before `._domainkey`.
    #[error("is not a selector: letters, digits and hyphens, in parts of at most 63 with dots between")]
    Selector,
    /// The name of the record would not fit into DNS.
    #[error("is too long: with the selector and ._domainkey the record's name must fit into 253 characters")]
    NameTooLong,
    /// One of the header fields to sign is none.
    #[error(
        "holds something that is not the name of a header field; write for example \"from:to:subject:date\""
    )]
    FieldName,
    /// What is signed must name who the message is from (RFC 6376 section 5.4).
    #[error("must leave From signed: without it no receiver takes the signature")]
    WithoutFrom,
    /// The message cannot be signed.
    #[error("the message {0}")]
    Message(&'static str),
    /// The cryptographic library refused, which it has no reason to.
    #[error("the signature could not be made")]
    Signing,
}

impl DkimSigner {
    /// A signer for `domain`, whose public key will be at `selector._domainkey.domain`. A domain beyond ASCII is taken to
    /// A-labels.
    ///
    /// # Errors
    /// [`DkimError::Domain`], [`DkimError::Selector`], [`DkimError::NameTooLong`].
    pub fn new(domain: &str, selector: &str, key: DkimKey) -> Result<Self, DkimError> {
        let (domain, selector) = names(domain, selector)?;
        Ok(Self { domain, selector, key, fields: DkimFields::default() })
    }

    /// Whether [`DkimSigner::new`] would take these, whatever the key.
    ///
    /// # Errors
    /// As [`DkimSigner::new`].
    pub fn check_names(domain: &str, selector: &str) -> Result<(), DkimError> {
        names(domain, selector).map(|_| ())
    }

    /// The same signer for other header fields.
    pub fn with_fields(self, fields: DkimFields) -> Self {
        Self { fields, ..self }
    }

    /// The domain that the signatures are of (`d=`), as A-labels in lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Which of the domain's keys it is (`s=`).
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// The key, of which only what is public can be had.
    pub fn key(&self) -> &DkimKey {
        &self.key
    }

    /// Which header fields are signed.
    pub fn fields(&self) -> &DkimFields {
        &self.fields
    }

    /// What has to be published in DNS.
    pub fn record(&self) -> DkimRecord {
        DkimRecord::new(&self.selector, &self.domain, &self.key)
    }

    /// Whether a signature of this domain counts for a `From` of that domain with DMARC's relaxed alignment, as far as can
    /// be told without a list of public suffixes: the domains are equal, or one is below the other.
    pub fn is_aligned_with(&self, from: &str) -> bool {
        let is_below = |below: &str, above: &str| {
            below.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let from = from.to_ascii_lowercase();
        is_below(&from, &self.domain) || is_below(&self.domain, &from)
    }

    /// Makes the header field to put before a finished message: `DKIM-Signature: ...`, folded, with its line break.
    ///
    /// `time` is in seconds since 1970. Each field that is signed is named once more than it stands in the message, so that
    /// nobody can add another one to it. Lone CR and LF count as line breaks, since [`Pool`](crate::Pool) sends them so.
    ///
    /// # Errors
    /// [`DkimError::Message`] where there is no `From` or a line of the header is no field; [`DkimError::Signing`].
    pub fn sign(&self, message: &[u8], time: u64) -> Result<String, DkimError> {
        let Parts { fields, body } = fields::parts(message)?;
        let names = self.names(&fields)?;
        let body_hash = digest::digest(&digest::SHA256, &canonical::body(body));
        let header = self.unsigned(&names, &BASE64.encode(body_hash), time);
        let mut input = canonical::chosen(&fields, &names);
        // Its own field comes last, without a line break and without a signature (RFC 6376 section 3.7).
        canonical::field(header.name(), header.value(), &mut input);
        let signature = self.key.sign(&input).ok_or(DkimError::Signing)?;
        Ok(header.ended_with(&BASE64.encode(signature)))
    }

    /// The message with a signature of each signer before it; none knows of the others.
    ///
    /// # Errors
    /// As [`DkimSigner::sign`].
    pub fn sign_with_all(signers: &[Self], message: &[u8], time: u64) -> Result<Vec<u8>, DkimError> {
        let mut signed = Vec::with_capacity(message.len() + 1024 * signers.len());
        for signer in signers {
            signed.extend_from_slice(signer.sign(message, time)?.as_bytes());
        }
        signed.extend_from_slice(message);
        Ok(signed)
    }

    /// The names for `h=`, each as often as its field stands there and once more.
    fn names(&self, fields: &[Field<'_>]) -> Result<Vec<&str>, DkimError> {
        let mut names = Vec::new();
        for name in self.fields.iter() {
            let count = fields.iter().filter(|field| field.is(name)).count();
            if count > 0 {
                names.extend(std::iter::repeat_n(name, count + 1));
            } else if name == "from" {
                return Err(DkimError::Message("has no From"));
            }
        }
        Ok(names)
    }

    fn unsigned(&self, names: &[&str], body_hash: &str, time: u64) -> Folded {
        let mut header = Folded::new("DKIM-Signature");
        header.word("v=1;");
        header.word(&format!("a={};", self.key.algorithm()));
        header.word("c=relaxed/relaxed;");
        header.word(&format!("d={};", self.domain));
        header.word(&format!("s={};", self.selector));
        header.word(&format!("t={time};"));
        let last = names.len().saturating_sub(1);
        for (index, name) in names.iter().enumerate() {
            let colon_or_end = if index == last { ';' } else { ':' };
            match index {
                0 => header.word(&format!("h={name}{colon_or_end}")),
                _ => header.part(&format!("{name}{colon_or_end}")),
            }
        }
        header.word(&format!("bh={body_hash};"));
        header.line("b=");
        header
    }
}

/// The domain as A-labels and the selector, both in lower case.
fn names(domain: &str, selector: &str) -> Result<(String, String), DkimError> {
    let domain = record::domain(domain).ok_or(DkimError::Domain)?;
    let selector = record::selector(selector).ok_or(DkimError::Selector)?;
    if record::name(&selector, &domain).len() > record::LONGEST_NAME {
        return Err(DkimError::NameTooLong);
    }
    Ok((domain, selector))
}
