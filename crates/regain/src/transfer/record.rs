//! An account as one line of JSON: how it is read, and how it is written. The one place that knows the keys.

use regain_core::hashing::{RosPassword, UnsupportedHash};
use regain_core::metadata::InvalidMetadata;
use regain_core::name::InvalidName;
use regain_core::{
    Account, AccountId, AccountRecord, Generation, KeyMode, Metadata, Name, PasswordHash, Provider,
};
use serde::{Serialize, Serializer};

use super::json::{self, Object};
use super::lines::MAX_LINE_BYTES;
use crate::strict_json::Json;

/// The most that the metadata of one account takes as JSON, in bytes. HTTP takes less, so what is exported can be imported.
pub const MAX_METADATA_BYTES: usize = 128 * 1024;

/// What is wrong with a line. Shows keys, and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Longer than any account is.
    #[error("it is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Not JSON.
    #[error("it is not valid JSON (column {column})")]
    NotJson {
        /// Where, in bytes from 1.
        column: usize,
    },
    /// JSON, but no object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A key comes twice in one object.
    #[error("the key {0:?} comes twice")]
    RepeatedKey(String),
    /// A key that no account has.
    #[error("the key {0:?} is not known")]
    UnknownKey(String),
    /// A key that must be there.
    #[error("{0} is missing")]
    Missing(String),
    /// A value of another kind.
    #[error("{key} must be {wanted}")]
    WrongKind {
        /// Which.
        key: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// No identity.
    #[error("user_id must be 1 to 128 letters, digits or -_.!~*'() and none that Regain uses itself")]
    Id,
    /// No provider of ours.
    #[error("provider must be \"password\" or \"realm\"")]
    Provider,
    /// An empty name.
    #[error("provider_id must not be empty")]
    EmptyName,
    /// No name.
    #[error("provider_id {0}")]
    Name(InvalidName),
    /// Metadata that is not taken.
    #[error("metadata {0}")]
    Metadata(InvalidMetadata),
    /// Too much of it.
    #[error("metadata must not have more than {MAX_METADATA_BYTES} bytes as JSON")]
    MetadataTooLong,
    /// The flag and the metadata say different things.
    #[error("isEmailConfirmed is one thing and another in metadata")]
    Contradiction,
    /// A hash that is not taken.
    #[error("password: {0}")]
    Password(UnsupportedHash),
    /// A password for a name that nobody signs in with.
    #[error("password must be left out: nobody signs in to an account of provider realm")]
    PasswordOfRealm,
    /// ROS makes its `realm-admin` so where nothing else is said.
    #[error("it is an administrator with an empty password: give it one in ROS first, or leave the line out")]
    EmptyAdminPassword,
    /// Another line has the name.
    #[error("provider_id is the same as in line {0}")]
    NameTwice(u64),
    /// Another line has the name but for ASCII case.
    #[error(
        "provider_id differs from that of line {0} by case alone: a new database keeps both with --exact-names"
    )]
    NameTwiceByCase(u64),
    /// Another line has the identity.
    #[error("user_id is the same as in line {0}")]
    IdTwice(u64),
    /// The store has the name with another identity.
    #[error("an account with another user_id has this provider_id already")]
    NameTaken,
    /// The store has the identity with another name.
    #[error("an account with another provider_id has this user_id already")]
    IdTaken,
}

/// The highest generation that is taken: each end of all sessions raises it by one, and it must never run out.
const MAX_GENERATION: Generation = Generation(u32::MAX / 2);

/// What a line holds.
pub(super) enum Parsed {
    /// An account.
    Account(Box<Entry>),
    /// ROS's built-in administrator, which Regain has itself.
    BuiltinAdmin,
}

/// An account that a line holds.
pub(super) struct Entry {
    /// `None` leaves it to Regain.
    pub(super) id: Option<AccountId>,
    pub(super) name: Name,
    pub(super) password: Option<PasswordHash>,
    is_admin: bool,
    is_confirmed: bool,
    is_disabled: bool,
    metadata: Metadata,
    generation: Generation,
}

impl Entry {
    /// Its hash, where it is an administrator's.
    pub(super) fn admin_password(&self) -> Option<&PasswordHash> {
        self.password.as_ref().filter(|_| self.is_admin)
    }

    /// What is stored, with another identity where the line has none.
    ///
    /// # Errors
    /// Where there is none and none can be made.
    pub(super) fn into_record<E>(
        self,
        id_if_none: impl FnOnce() -> Result<AccountId, E>,
    ) -> Result<AccountRecord, E> {
        let id = self.id.map_or_else(id_if_none, Ok)?;
        Ok(AccountRecord {
            password: self.password,
            is_admin: self.is_admin,
            is_confirmed: self.is_confirmed,
            is_disabled: self.is_disabled,
            metadata: self.metadata,
            generation: self.generation,
            ..AccountRecord::new(id, self.name)
        })
    }
}

/// Reads a line.
pub(super) fn parse(line: &str, mode: KeyMode) -> Result<Parsed, Mistake> {
    let mut object = json::parse(line)?;
    let id = object.text("user_id")?;
    let provider = match object.text("provider")? {
        None => Provider::Password,
        Some(word) => Provider::from_word(&word).ok_or(Mistake::Provider)?,
    };
    let name = object.needed_text("provider_id")?;
    if name.is_empty() {
        return Err(Mistake::EmptyName);
    }
    let name = Name::of(provider, &name, mode).map_err(Mistake::Name)?;
    if *name.key() == Account::builtin_admin().name_key {
        return Ok(Parsed::BuiltinAdmin);
    }
    let id = id.map(|id| AccountId::parse(&id).ok_or(Mistake::Id)).transpose()?;
    let is_admin = object.flag("is_admin")?.unwrap_or(false);
    let is_disabled = object.flag("is_disabled")?.unwrap_or(false);
    let flag = object.flag("isEmailConfirmed")?;
    let (metadata, in_metadata) = Metadata::parse(object.texts("metadata")?).map_err(Mistake::Metadata)?;
    if metadata.to_stored().len() > MAX_METADATA_BYTES {
        return Err(Mistake::MetadataTooLong);
    }
    if flag.zip(in_metadata).is_some_and(|(flag, in_metadata)| flag != in_metadata) {
        return Err(Mistake::Contradiction);
    }
    let is_confirmed = flag.or(in_metadata).unwrap_or(false);
    let password = password(&mut object)?;
    if password.is_some() && provider == Provider::Realm {
        return Err(Mistake::PasswordOfRealm);
    }
    let generation = Generation(object.number("generation")?.unwrap_or(0));
    if generation > MAX_GENERATION {
        return Err(object.wrong("generation", "a number up to 2147483647"));
    }
    object.end()?;
    let entry = Entry { id, name, password, is_admin, is_confirmed, is_disabled, metadata, generation };
    Ok(Parsed::Account(Box::new(entry)))
}

fn password(object: &mut Object) -> Result<Option<PasswordHash>, Mistake> {
    const KEY: &str = "password";
    let hash = match object.take(KEY) {
        None => return Ok(None),
        Some(Json::Text(text)) => PasswordHash::import(&text),
        Some(Json::Object(record)) => {
            let mut record = Object::within("password.", record);
            let salt = record.needed_text("salt")?;
            let iterations = record.needed_number("iterations")?;
            let key_length = record.needed_number("keyLength")?;
            let digest = record.needed_text("digest")?;
            let hash = record.needed_text("hash")?;
            record.end()?;
            let (salt, digest, hash) = (salt.as_str(), digest.as_str(), hash.as_str());
            PasswordHash::import_ros(RosPassword { salt, iterations, key_length, digest, hash })
        }
        Some(_) => return Err(object.wrong(KEY, "a hash as text, a record of ROS, or null")),
    };
    hash.map(Some).map_err(Mistake::Password)
}

/// An account as it is written.
#[derive(Serialize)]
struct Exported<'a> {
    user_id: &'a str,
    provider: &'a str,
    provider_id: &'a str,
    is_admin: bool,
    is_disabled: bool,
    #[serde(rename = "isEmailConfirmed")]
    is_confirmed: bool,
    #[serde(serialize_with = "entries")]
    metadata: &'a Metadata,
    password: Option<&'a str>,
    /// Sessions from before a reset or a change stay ended, also where the keys that signed them come along.
    #[serde(skip_serializing_if = "is_zero")]
    generation: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(generation: &u32) -> bool {
    *generation == 0
}

/// Writes an account as a line, without its break.
pub(super) fn line_of(account: &Account) -> serde_json::Result<String> {
    serde_json::to_string(&Exported {
        user_id: account.id.as_str(),
        provider: account.provider().as_str(),
        provider_id: &account.name,
        is_admin: account.is_admin,
        is_disabled: account.is_disabled,
        is_confirmed: account.is_confirmed,
        metadata: &account.metadata,
        password: account.password.as_ref().map(PasswordHash::as_str),
        generation: account.generation.0,
    })
}

fn entries<S: Serializer>(metadata: &&Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metadata.iter())
}
