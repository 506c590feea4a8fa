//! What is moved: every table with its columns, and how each side reads them.

/// A table that is on both sides.
pub(super) struct Table {
    /// Its name on both sides.
    pub(super) name: &'static str,
    /// Its columns. The first is the primary key, in whose order rows are read: byte by byte on both sides.
    pub(super) columns: &'static [Column],
    /// Which rows belong to the database itself and stay where they are: a condition, or nothing.
    pub(super) only: Option<&'static str>,
}

/// A column that is on both sides.
pub(super) struct Column {
    /// Its name on both sides.
    pub(super) name: &'static str,
    /// What is read for it in SQLite, where that is not the column as it is.
    pub(super) source: &'static str,
    /// Of what type its values are.
    pub(super) kind: Kind,
}

/// Types of values, as both databases know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text that must stay as it is, to the byte.
    Text,
    /// Text for people alone: what PostgreSQL cannot hold of it becomes U+FFFD.
    Words,
    /// Bytes.
    Bytes,
    /// A number of 64 bits.
    Int,
    /// 0 or 1 in SQLite.
    Bool,
}

const fn is(kind: Kind, name: &'static str) -> Column {
    Column { name, source: name, kind }
}

const fn text(name: &'static str) -> Column {
    is(Kind::Text, name)
}

const fn words(name: &'static str) -> Column {
    is(Kind::Words, name)
}

const fn bytes(name: &'static str) -> Column {
    is(Kind::Bytes, name)
}

const fn int(name: &'static str) -> Column {
    is(Kind::Int, name)
}

const fn bool(name: &'static str) -> Column {
    is(Kind::Bool, name)
}

/// What each database says about itself: when it was made, and moves.
pub(super) const META: Table = Table {
    name: "meta",
    columns: &[text("key"), text("value")],
    only: Some("key NOT IN ('made', 'move_id', 'moving', 'moved_from')"),
};

/// The tables whose rows are copied in batches, in the order of copying.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "accounts",
        columns: &[
            text("id"),
            text("name"),
            text("name_key"),
            text("address"),
            text("password"),
            int("generation"),
            bytes("kept_session"),
            bool("is_admin"),
            bool("is_confirmed"),
            bool("is_disabled"),
            text("metadata"),
            int("created"),
        ],
        only: None,
    },
    Table { name: "deleted_accounts", columns: &[text("id"), int("generation")], only: None },
    Table {
        name: "letters",
        columns: &[
            bytes("id"),
            text("purpose"),
            text("name_key"),
            text("account"),
            text("ip"),
            words("agent"),
            int("posted"),
            int("deadline"),
            int("due"),
            int("attempts"),
            int("repeats"),
            // Nobody serves from the file, so whoever held a claim has ended with it, by a crash.
            Column {
                name: "state",
                source: "CASE state WHEN 'claimed' THEN 'waiting' ELSE state END",
                kind: Kind::Text,
            },
            Column { name: "crashes", source: "crashes + (state = 'claimed')", kind: Kind::Int },
            int("ended"),
            words("last_error"),
            words("relay_reply"),
            bytes("token_key"),
            bytes("replaces"),
        ],
        only: None,
    },
    Table {
        name: "tokens",
        columns: &[
            bytes("letter"),
            bytes("hash"),
            text("purpose"),
            text("account"),
            text("name_key"),
            int("expires"),
            int("used"),
        ],
        only: None,
    },
    Table {
        name: "revoked_sessions",
        columns: &[bytes("session"), text("account"), int("expires")],
        only: None,
    },
    Table {
        name: "audit",
        columns: &[int("id"), int("at"), text("event"), text("account"), bytes("letter")],
        only: None,
    },
];

impl Table {
    /// The primary key.
    pub(super) fn key(&self) -> &'static str {
        self.columns[0].name
    }

    /// What is selected in SQLite.
    pub(super) fn source_list(&self) -> String {
        self.columns.iter().map(|column| column.source).collect::<Vec<_>>().join(", ")
    }

    /// What is selected, or written, in PostgreSQL.
    pub(super) fn target_list(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    /// Which rows are meant, as a condition.
    pub(super) fn condition(&self) -> &'static str {
        self.only.unwrap_or("true")
    }
}
