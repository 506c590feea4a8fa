//! Owns the options that are refused, each with what to write instead. No text of a URL goes into a refusal but the
//! name of an option, and that only where it looks like one.

use super::SettingsError;
use super::query::SUPPORTED;

const WRITE_LOGIN: &str = "write user:password@ before the host";
const GET_TOKEN: &str = "write an access token as the password, with `authMethod=XOAUTH2`";
const WRITE_PORT: &str = "write the port behind the host, host:port";
const NOT_LOGGED: &str = "leave it out, mail is never logged";
const SMTP_ONLY: &str = "write the address of an SMTP server";
const NO_CLIENT_CERTIFICATE: &str =
    "log in with user and password, certificates of clients are not supported";
const VERSIONS: &str = "write `tls.minVersion`, which takes TLSv1.2 and TLSv1.3";
const NO_CODE: &str = "leave it out, it has a meaning in JavaScript only";

/// Options that nodemailer knows, by what to write instead.
const UNSUPPORTED: [(&str, &[&str]); 24] = [
    (WRITE_LOGIN, &["auth", "user", "pass", "auth.user", "auth.pass"]),
    ("write `authMethod`", &["auth.type", "auth.method"]),
    (
        GET_TOKEN,
        &["auth.accessToken", "auth.refreshToken", "auth.clientId", "auth.clientSecret", "auth.accessUrl"],
    ),
    ("leave it out, a relay without a login is used where the URL has none", &["forceAuth"]),
    ("leave it out, letters are retried until their deadline", &["maxRequeues"]),
    (NOT_LOGGED, &["logger", "debug", "transactionLog", "component"]),
    ("connect without a proxy", &["proxy"]),
    (SMTP_ONLY, &["lmtp", "sendmail", "streamTransport", "jsonTransport"]),
    ("write the address of its SMTP interface, or `service=SES`", &["SES"]),
    ("sign at the relay", &["dkim", "dkim.domainName", "dkim.keySelector", "dkim.privateKey"]),
    ("write the inner URL itself", &["url"]),
    ("write host and port", &["socket", "connection", "getSocket", "secured"]),
    ("write the relay's host", &["direct"]),
    (WRITE_PORT, &["tls.port"]),
    ("write the host behind the `//`", &["tls.host"]),
    ("write `tls.servername`, `tls.rejectUnauthorized`, `tls.ca` or `tls.minVersion`", &["tls"]),
    (NO_CLIENT_CERTIFICATE, &["tls.cert", "tls.key", "tls.pfx", "tls.passphrase"]),
    (VERSIONS, &["tls.maxVersion", "tls.secureProtocol", "tls.secureOptions"]),
    (
        "leave it out, only sound ciphers are spoken",
        &["tls.ciphers", "tls.ecdhCurve", "tls.sigalgs", "tls.dhparam", "tls.minDHSize"],
    ),
    ("write `tls.servername`", &["tls.checkServerIdentity"]),
    ("leave it out, names are looked up by the system", &["dnsTtl", "allowInternalNetworkInterfaces"]),
    ("leave it out, replies have a limit of their own", &["maxResponseSize"]),
    ("leave it out, a relay that does not end a connection is not waited for", &["socketCloseTimeout"]),
    (
        NO_CODE,
        &["customAuth", "disableFileAccess", "disableUrlAccess", "attachDataUrls", "normalizeHeaderKey"],
    ),
];

/// Why an option that is not supported is refused.
pub(super) fn refuse(key: &str) -> SettingsError {
    for (instead, options) in UNSUPPORTED {
        if let Some(&option) = options.iter().find(|&&option| option == key) {
            return SettingsError::UnsupportedOption { option, instead };
        }
    }
    let like_an_option = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.len() <= 40
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let option = like_an_option.then(|| key.to_owned());
    let suggestion = if like_an_option { closest(key) } else { None };
    SettingsError::UnknownOption { option, suggestion }
}

fn closest(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    SUPPORTED
        .iter()
        .map(|&option| (strsim::damerau_levenshtein(&lower, &option.to_ascii_lowercase()), option))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, option)| *distance <= 2.min(option.len() / 3))
        .map(|(_, option)| option)
}
