//! A value on its way from one database to the other, and what is hashed of it.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{ToSql, Type};

use super::tables::Kind;

/// A value of one of the types that both databases know, or none of that type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Bytes(Option<Cow<'a, [u8]>>),
    Int(Option<i64>),
    Bool(Option<bool>),
}

/// Why a value of SQLite cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// PostgreSQL keeps no such text.
    #[error("has a NUL character in it, which PostgreSQL cannot hold")]
    Nul,
    /// Neither does it keep this.
    #[error("is not UTF-8")]
    Encoding,
    /// The file was written by something else.
    #[error("is of another type than its column")]
    Kind,
}

impl<'a> Value<'a> {
    /// Reads a value of SQLite.
    pub(super) fn from_sqlite(value: ValueRef<'a>, kind: Kind) -> Result<Self, Flaw> {
        Ok(match (kind, value) {
            (Kind::Text | Kind::Words, ValueRef::Null) => Self::Text(None),
            (Kind::Bytes, ValueRef::Null) => Self::Bytes(None),
            (Kind::Int, ValueRef::Null) => Self::Int(None),
            (Kind::Bool, ValueRef::Null) => Self::Bool(None),
            (Kind::Text, ValueRef::Text(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| Flaw::Encoding)?;
                if text.contains('\0') {
                    return Err(Flaw::Nul);
                }
                Self::Text(Some(text.into()))
            }
            (Kind::Words, ValueRef::Text(bytes)) => {
                let text = String::from_utf8_lossy(bytes);
                let text = if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text };
                Self::Text(Some(text))
            }
            (Kind::Bytes, ValueRef::Blob(bytes)) => Self::Bytes(Some(bytes.into())),
            (Kind::Int, ValueRef::Integer(number)) => Self::Int(Some(number)),
            (Kind::Bool, ValueRef::Integer(number @ (0 | 1))) => Self::Bool(Some(number == 1)),
            _ => return Err(Flaw::Kind),
        })
    }

    /// Reads a value of PostgreSQL.
    pub(super) fn from_postgres(
        row: &'a tokio_postgres::Row,
        at: usize,
        kind: Kind,
    ) -> Result<Self, tokio_postgres::Error> {
        Ok(match kind {
            Kind::Text | Kind::Words => Self::Text(row.try_get::<_, Option<&str>>(at)?.map(Cow::Borrowed)),
            Kind::Bytes => Self::Bytes(row.try_get::<_, Option<&[u8]>>(at)?.map(Cow::Borrowed)),
            Kind::Int => Self::Int(row.try_get(at)?),
            Kind::Bool => Self::Bool(row.try_get(at)?),
        })
    }

    /// The same, of its own.
    pub(super) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(text.map(|text| Cow::Owned(text.into_owned()))),
            Self::Bytes(bytes) => Value::Bytes(bytes.map(|bytes| Cow::Owned(bytes.into_owned()))),
            Self::Int(number) => Value::Int(number),
            Self::Bool(is) => Value::Bool(is),
        }
    }

    /// How much memory it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len()),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len()),
            Self::Int(_) | Self::Bool(_) => 8,
        }
    }

    /// As a parameter of PostgreSQL.
    pub(super) fn as_postgres(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Text(text) => text,
            Self::Bytes(bytes) => bytes,
            Self::Int(number) => number,
            Self::Bool(is) => is,
        }
    }

    /// Adds what is hashed of it: a type, and behind that the value with its length. No two values have the same.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let mut add = |tag: u8, value: Option<&[u8]>| match value {
            None => into.push(0),
            Some(bytes) => {
                into.push(tag);
                into.extend((bytes.len() as u64).to_be_bytes());
                into.extend(bytes);
            }
        };
        match self {
            Self::Text(text) => add(1, text.as_deref().map(str::as_bytes)),
            Self::Bytes(bytes) => add(2, bytes.as_deref()),
            Self::Int(number) => add(3, number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
            Self::Bool(is) => add(4, is.map(|is| [u8::from(is)]).as_ref().map(<[u8; 1]>::as_slice)),
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => {
                text.as_deref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
            }
            Self::Bytes(bytes) => bytes.as_deref().map_or(ValueRef::Null, ValueRef::Blob),
            Self::Int(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Bool(is) => is.map_or(ValueRef::Null, |is| ValueRef::Integer(is.into())),
        }))
    }
}

impl Kind {
    /// The type of such a column in PostgreSQL.
    pub(super) fn of_postgres(self) -> Type {
        match self {
            Self::Text | Self::Words => Type::TEXT,
            Self::Bytes => Type::BYTEA,
            Self::Int => Type::INT8,
            Self::Bool => Type::BOOL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(row: &[Value<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        row.iter().for_each(|value| value.encode(&mut bytes));
        bytes
    }

    #[test]
    fn what_differs_is_hashed_differently() {
        let text = |text| Value::Text(Some(Cow::Borrowed(text)));
        let rows: &[&[Value<'_>]] = &[
            &[text("ab"), text("c")],
            &[text("a"), text("bc")],
            &[text("abc"), Value::Text(None)],
            &[text("abc"), text("")],
            &[Value::Text(None), text("abc")],
            &[Value::Bytes(Some(Cow::Borrowed(b"ab"))), text("c")],
            &[Value::Int(Some(0)), text("c")],
            &[Value::Int(None), text("c")],
            &[Value::Bool(Some(false)), text("c")],
            &[Value::Bool(Some(true)), text("c")],
        ];
        for (i, one) in rows.iter().enumerate() {
            for (j, other) in rows.iter().enumerate() {
                assert_eq!(encoded(one) == encoded(other), i == j, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_postgresql_cannot_hold_is_refused_or_replaced() {
        let read = |bytes, kind| Value::from_sqlite(ValueRef::Text(bytes), kind);
        let text = |text| Ok(Value::Text(Some(Cow::Borrowed(text))));
        assert_eq!(read(b"a\0b", Kind::Text), Err(Flaw::Nul));
        assert_eq!(read(b"a\xffb", Kind::Text), Err(Flaw::Encoding));
        assert_eq!(read(b"a\0\xffb", Kind::Words), text("a\u{fffd}\u{fffd}b"));
        assert_eq!(read(b"", Kind::Text), text(""));
        assert_eq!(Value::from_sqlite(ValueRef::Integer(2), Kind::Bool), Err(Flaw::Kind));
        assert_eq!(Value::from_sqlite(ValueRef::Integer(2), Kind::Text), Err(Flaw::Kind));
    }
}
