//! What PostgreSQL's errors mean to a caller. Messages are a code and fixed words: never the values of a row.

use std::path::PathBuf;

use deadpool_postgres::PoolError;
use regain_core::StoreError;
use tokio_postgres::error::SqlState;

/// A database was not opened, or not migrated.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The file of root certificates cannot be used.
    #[error("sslrootcert {path} cannot be used: {reason}")]
    Roots {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS towards the database cannot be set up: {0}")]
    Tls(String),
    /// No server took the connection.
    #[error("the database {database} cannot be reached: {reason}")]
    Unreachable {
        /// Where, without a password.
        database: String,
        /// What the client library or the server says.
        reason: String,
    },
    /// A statement failed while it was looked at or migrated.
    #[error("the database {database} cannot be used: {reason}")]
    Unusable {
        /// Where, without a password.
        database: String,
        /// PostgreSQL's code and words.
        reason: String,
    },
    /// What is in front of it lends a session for a transaction at a time.
    #[error(
        "the database {0} is behind a pooler that lends another session to each transaction, and Regain keeps settings, \
         prepared statements and a listener in its sessions: let the pooler lend whole sessions (PgBouncer: pool_mode = \
         session), or name the server itself"
    )]
    Lent(String),
    /// Text would not be kept as it is.
    #[error("the database {database} has the encoding {encoding}: make one with ENCODING 'UTF8'")]
    Encoding {
        /// Where, without a password.
        database: String,
        /// Its encoding.
        encoding: String,
    },
    /// There are tables in its schema, but none of Regain.
    #[error("the schema regain of the database {0} is not empty, and not one of Regain")]
    Foreign(String),
    /// The role may not make the schema, or the tables in it.
    #[error(
        "the role may not make what Regain needs in the database {database} (PostgreSQL 42501): let the database's owner run \
         {grant}, or a role that may do so `regain migrate`"
    )]
    NoRight {
        /// Where, without a password.
        database: String,
        /// The SQL that gives it the right.
        grant: String,
    },
    /// The role may not use all tables in it.
    #[error(
        "the role may not read and write all tables in the schema regain of the database {database} (PostgreSQL 42501): let \
         their owner run {grant}"
    )]
    NoTableRight {
        /// Where, without a password.
        database: String,
        /// The SQL that gives it the right.
        grant: String,
    },
    /// A newer Regain has migrated it, and says that this one cannot work with it.
    #[error(
        "the database {database} has schema {found}, but this version of Regain knows schemas up to {known} only; \
         run a newer version"
    )]
    Newer {
        /// Where, without a password.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// Its schema is that of an older version, and it was opened without bringing it up to date.
    #[error(
        "the database {0} has the schema of an older version of Regain, or none; it is brought up to date when a server of \
         this version starts, or by regain migrate"
    )]
    Older(String),
    /// What is in it is half of a move from a file.
    #[error(
        "the database {0} holds a move from SQLite that has not ended: run regain migrate --to-postgres again until it \
         has, or begin anew after DROP SCHEMA regain CASCADE"
    )]
    Unfinished(String),
    /// A migration that was applied is not the one that is known by its number.
    #[error(
        "the database {database} was migrated with another text of migration {number}; it was not made by a release"
    )]
    Altered {
        /// Where, without a password.
        database: String,
        /// Which one.
        number: i64,
    },
}

/// What the operator mends in the database, or in what is before it, while requests wait: rights, what is not in the schema, a
/// pooler.
const TO_BE_MENDED: [&str; 4] = ["42501", "42P01", "42883", "42P05"];

/// Why a step was not done.
#[derive(Debug)]
pub(crate) enum StepError {
    /// PostgreSQL, or the way to it.
    Postgres(tokio_postgres::Error),
    /// A value in a row is none that the column may have; says which column.
    Row(String),
    /// No connection could be had.
    Pool(&'static str),
    /// There was no answer in time. Whether the step was done is unknown.
    TooLate,
}

impl From<tokio_postgres::Error> for StepError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<PoolError> for StepError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Postgres(error),
            PoolError::Timeout(_) => Self::Pool("no connection to it was free in time"),
            PoolError::Closed => Self::Pool("it is closed"),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Pool("a connection could not be set up")
            }
        }
    }
}

impl StepError {
    /// Whether it was undone because of another step at the same time, so that it can be done again.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }

    /// Whether one of several steps in a transaction may be to blame, so that the others go without it.
    pub(crate) fn is_of_one(&self) -> bool {
        self.is_conflict()
            || self.code().is_some_and(|code| {
                *code == SqlState::OUT_OF_MEMORY
                    || *code == SqlState::LOCK_NOT_AVAILABLE
                    || ["22", "23"].iter().any(|class| code.code().starts_with(class))
            })
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn spoils_connection(&self) -> bool {
        match self {
            Self::Postgres(error) => match error.code() {
                // A server that has become a standby keeps its connections and refuses to write for good.
                Some(code) => *code == SqlState::READ_ONLY_SQL_TRANSACTION || code.code().starts_with("57P"),
                None => true,
            },
            Self::TooLate => true,
            Self::Row(_) | Self::Pool(_) => false,
        }
    }

    /// Whether all connections that were made before are likely to be of no use: they lead to a server that hangs, or that
    /// takes no writes any more.
    pub(crate) fn spoils_all(&self) -> bool {
        matches!(self, Self::TooLate)
            || self.code().is_some_and(|code| *code == SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// Whether no other step could be done either: it says nothing of what was asked.
    pub(crate) fn is_of_all(&self) -> bool {
        self.code().is_none() || self.spoils_connection()
    }

    /// Whether the database is to blame, or what is before it, and not what was asked: it is away, hangs, is full, takes no
    /// writes, or lacks what is to be mended in it.
    pub(crate) fn is_of_database(&self) -> bool {
        match self {
            Self::Row(_) => false,
            Self::Pool(_) | Self::TooLate => true,
            Self::Postgres(error) => match error.code() {
                None => !is_conversion(error),
                Some(_) if self.spoils_connection() => true,
                Some(code) => {
                    TO_BE_MENDED.contains(&code.code())
                        || (code.code().starts_with("53") && !self.is_of_one())
                }
            },
        }
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            Self::Row(_) | Self::Pool(_) | Self::TooLate => None,
        }
    }

    /// Words without values.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Postgres(error) => words(error),
            Self::Row(column) => format!("{column} of a row cannot be read"),
            Self::Pool(reason) => (*reason).to_owned(),
            Self::TooLate => "it did not answer in time".to_owned(),
        }
    }
}

impl From<StepError> for StoreError {
    fn from(error: StepError) -> Self {
        let words = error.words();
        let is_broken = match &error {
            StepError::Row(_) => true,
            StepError::Pool(_) | StepError::TooLate => false,
            // Data, constraints, SQL itself, features, the server's own bugs; everything else may pass.
            StepError::Postgres(inner) => match inner.code() {
                Some(code) if TO_BE_MENDED.contains(&code.code()) => false,
                Some(code) => {
                    ["22", "23", "42", "0A", "XX"].iter().any(|class| code.code().starts_with(class))
                }
                // The client library could not make sense of a value.
                None => inner.as_db_error().is_none() && is_conversion(inner),
            },
        };
        if is_broken { Self::Broken(words) } else { Self::Unavailable(words) }
    }
}

/// PostgreSQL's code, and what to do where a right is missing or nothing is found; of a connection's fault the client
/// library's words, down to the first cause. A server's message may quote values, so it is left out.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    let Some(code) = error.code() else {
        // What cannot be converted is a value.
        return if is_conversion(error) { error.to_string() } else { with_causes(error) };
    };
    let advice = match code.code() {
        "42501" => {
            "a right is missing: let the role own the database and all that is in its schema regain, or let the owner run \
             `regain migrate` and grant what it made"
        }
        // PostgreSQL passes over a schema without a word where the role has no USAGE on it.
        "42P01" | "42883" | "3F000" => {
            "what should be in the schema regain is not found: may the role use it (GRANT USAGE ON SCHEMA regain)?"
        }
        "28P01" | "28000" => "the server refuses the role or its password",
        // Where many start at once, a session that is lent may look like one's own at first.
        "26000" | "42P05" => {
            "a prepared statement is in another session: a pooler in between must lend whole sessions"
        }
        code => return format!("PostgreSQL {code}"),
    };
    format!("PostgreSQL {}: {advice}", code.code())
}

/// What went wrong while connecting, and what to do. The server's own sentence is told: it names the user or the database, no
/// password.
pub(super) fn why_not(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} (PostgreSQL {})", said.message(), said.code().code());
    }
    let told = with_causes(error);
    // There is no other way to ask, here and below neither.
    if told.ends_with("password missing") {
        return "the server wants a password, and none is configured: write it into a file and name that with \
                databasePasswordFile, or set databasePassword or REGAIN_DATABASE_PASSWORD, or write it into the URL \
                (postgres://USER:PASSWORD@HOST/NAME)"
            .to_owned();
    }
    if told.ends_with("server does not support TLS") {
        return format!(
            "{told}: switch it on there (ssl = on); with sslmode=disable in the URL none is used, and with prefer where the \
             server has it, and whoever is between reads along: for a network that is yours alone"
        );
    }
    if told.contains("CaUsedAsEndEntity") {
        return format!(
            "{told}: the server's certificate calls itself an authority; make one with CA:FALSE, or have it signed by an \
             authority, and name that with sslrootcert"
        );
    }
    if told.contains("invalid peer certificate") {
        return format!(
            "{told}: the server's certificate is checked against its name and the authorities of the operating system, or \
             those that sslrootcert names"
        );
    }
    told
}

fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = next.to_string();
        // Some tell their cause themselves.
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        cause = next.source();
    }
    told
}

fn is_conversion(error: &tokio_postgres::Error) -> bool {
    // There is no other way to ask: the library keeps its kinds to itself.
    let words = error.to_string();
    words.starts_with("error deserializing column") || words.starts_with("error serializing parameter")
}
