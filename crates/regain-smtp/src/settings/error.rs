//! Owns the wording of every refusal of a connection URL. It must never quote the URL: what looks like a
//! host, a port or an option may be half of a password that was not percent-encoded.

/// Why a connection URL was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The text does not begin with `smtp:` or `smtps:`.
    #[error(
        "the connection string must begin with `smtp:` or `smtps:`, for example smtps://user:password@smtp.example.com"
    )]
    NotAUrl,
    /// nodemailer's `direct:`, which nothing reads.
    #[error("`direct:` is not supported: write `smtp:` or `smtps:` and the relay's host")]
    Direct,
    /// The URL is longer than any real one.
    #[error("the connection string is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A control character, raw or percent-encoded.
    #[error("{place} contains a control character (a tab, a line break, NUL or the like): remove it")]
    ControlCharacter {
        /// The part that has it.
        place: &'static str,
    },
    /// `smtp:/host`, `smtp:///host`.
    #[error(
        "the host must follow right behind two slashes: write smtp://host, not smtp:/host or smtp:///host"
    )]
    HostInPath,
    /// Something that ends the authority too early.
    #[error(
        "there is an `@` behind the host: in user, password and option values write %40 for `@`, %2F for `/`, %3F for \
         `?` and %23 for `#`"
    )]
    UnescapedLogin,
    /// The login is there but the host is not.
    #[error(
        "the host is missing behind the login: write smtp://user:password@host; beside a service any host will do, \
         smtps://user:password@localhost/?service=Gmail"
    )]
    HostMissing,
    /// The host is no host name and no IP address.
    #[error("the host is not valid: {reason}")]
    Host {
        /// What is wrong and what to write instead.
        reason: &'static str,
    },
    /// The port is not a number from 0 to 65535.
    #[error(
        "the port must be a number from 1 to 65535; if what follows the colon is part of a password, write the \
         host behind an `@`"
    )]
    Port,
    /// `secure=true` under `smtp:`, `secure=false` under `smtps:`.
    #[error(
        "the URL option `secure` contradicts the scheme: write `smtps:` for TLS from the first byte, `smtp:` for \
         STARTTLS"
    )]
    Scheme,
    /// A service that is not in the table.
    #[error(
        "the URL option `service` names no known service{}",
        .suggestion.map_or_else(
            || ": write its host, for example smtps://user:password@smtp.example.com".to_owned(),
            |name| format!(": did you mean `{name}`?"),
        )
    )]
    UnknownService {
        /// The service that was perhaps meant.
        suggestion: Option<&'static str>,
    },
    /// An option that nobody knows.
    #[error("the URL option {} is not known{}", quoted(.option), suggested(.suggestion))]
    UnknownOption {
        /// The option as written; `None` if it does not look like one and might be part of a password.
        option: Option<String>,
        /// The option that was perhaps meant.
        suggestion: Option<&'static str>,
    },
    /// An option of nodemailer's that has no effect here.
    #[error("the URL option `{option}` is not supported: {instead}")]
    UnsupportedOption {
        /// Its name.
        option: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
    /// One option, two values.
    #[error("the URL option `{option}` is given twice with different values: keep one of them")]
    Repeated {
        /// Its name.
        option: &'static str,
    },
    /// A value that the option does not take.
    #[error("the URL option `{option}` {expected}")]
    Value {
        /// Its name.
        option: &'static str,
        /// What it takes.
        expected: &'static str,
    },
}

fn quoted(option: &Option<String>) -> String {
    option.as_ref().map_or_else(
        || "(its name is not shown, it may be a part of the password)".to_owned(),
        |name| format!("`{name}`"),
    )
}

fn suggested(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or_else(|| ": remove it".to_owned(), |name| format!(": did you mean `{name}`?"))
}
