//! A filled file, an empty database, and what is in either of them, read without the code under test.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use regain_core::{KeyMode, OsRng};
use regain_store::moving::{MoveError, MoveOptions, Moved, Progress, move_to_postgres};
use regain_store::testing::Cluster;
use regain_store::{Options, PostgresSettings, SqliteStore};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

/// Rows by table; a row is its columns by name.
pub(crate) type Dump = BTreeMap<String, Vec<BTreeMap<String, Option<String>>>>;

/// Accounts of all kinds, letters in all states, and what else there is.
const FILLED: &str = include_str!("filled.sql");

pub(crate) struct Scene {
    directory: TempDir,
    database: String,
}

impl Scene {
    /// A file with rows of all kinds, and an empty database.
    pub(crate) async fn filled() -> Self {
        let scene = Self::empty(KeyMode::Exact).await;
        scene.change_file(FILLED);
        scene
    }

    /// A file without rows, and an empty database.
    pub(crate) async fn empty(key_mode: KeyMode) -> Self {
        let url = Cluster::shared().fresh_database().await;
        let scene = Self {
            directory: tempfile::tempdir().unwrap(),
            database: url.rsplit('/').next().unwrap().to_owned(),
        };
        let options = Options { key_mode_if_new: key_mode, ..Options::default() };
        SqliteStore::open(&scene.file(), options).unwrap().close().await;
        scene
    }

    /// Another file, and the same database.
    pub(crate) fn with_file_of(self, other: Self) -> Self {
        Self { directory: other.directory, database: self.database }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("regain.db")
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        Cluster::shared().settings(&self.database)
    }

    /// Moves, a few rows at a time, for as long as `tell` wants.
    pub(crate) async fn move_while(
        &self,
        mut tell: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Moved, MoveError> {
        let options = MoveOptions { batch: 3 };
        move_to_postgres(&self.file(), &self.settings(), &OsRng, options, &mut tell).await
    }

    pub(crate) async fn move_all(&self) -> Result<Moved, MoveError> {
        self.move_while(|_| ControlFlow::Continue(())).await
    }

    /// Moves until that many batches are there.
    pub(crate) async fn move_batches(&self, batches: usize) {
        let mut left = batches;
        let stopped = self.move_while(|_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let stopped = stopped.await;
        assert!(matches!(stopped, Err(MoveError::Stopped)), "{stopped:?}");
    }

    pub(crate) fn change_file(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }

    pub(crate) async fn change_database(&self, sql: &str) {
        Cluster::shared().run(&self.database, &format!("SET search_path = regain; {sql}")).await;
    }

    /// All that is in the file, but for what is the file's own.
    pub(crate) fn in_file(&self) -> Dump {
        let c = Connection::open(self.file()).unwrap();
        let names =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('migrations', 'outbox')";
        let names: Vec<String> =
            c.prepare(names).unwrap().query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        names.into_iter().map(|name| (name.clone(), rows_in_file(&c, &name))).collect()
    }

    /// What is in the database, of the same tables.
    pub(crate) async fn in_database(&self) -> Dump {
        let (client, connection) =
            tokio_postgres::connect(&Cluster::shared().url(&self.database), NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut dump = Dump::new();
        let names = "SELECT tablename FROM pg_tables WHERE schemaname = 'regain'
                     AND tablename NOT IN ('migrations', 'outbox')";
        for name in client.query(names, &[]).await.unwrap() {
            let name: String = name.get(0);
            let rows = client.query(&format!("SELECT * FROM regain.{name} ORDER BY 1"), &[]).await.unwrap();
            dump.insert(name, rows.iter().map(columns_in_database).collect());
        }
        dump
    }

    /// A number that the database answers.
    pub(crate) async fn ask(&self, sql: &str) -> i64 {
        let (client, connection) =
            tokio_postgres::connect(&Cluster::shared().url(&self.database), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SET search_path = regain").await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// What the database must hold where this is in the file.
pub(crate) fn moved(mut file: Dump) -> Dump {
    for letter in file.get_mut("letters").unwrap() {
        if letter["state"].as_deref() == Some("claimed") {
            let crashes: u32 = letter["crashes"].as_deref().unwrap().parse().unwrap();
            letter.insert("state".to_owned(), Some("waiting".to_owned()));
            letter.insert("crashes".to_owned(), Some((crashes + 1).to_string()));
            letter.insert("claim".to_owned(), None);
            letter.insert("lease".to_owned(), None);
        }
        for words in ["agent", "last_error", "relay_reply"] {
            let replaced = letter[words].as_ref().map(|text| text.replace('\0', "\u{fffd}"));
            letter.insert(words.to_owned(), replaced);
        }
    }
    file
}

/// The same without what a database says about itself.
pub(crate) fn without_own_meta(mut dump: Dump) -> Dump {
    let own = ["made", "move_id", "moving", "moved_from"];
    dump.get_mut("meta").unwrap().retain(|row| !own.contains(&row["key"].as_deref().unwrap()));
    dump
}

fn rows_in_file(c: &Connection, table: &str) -> Vec<BTreeMap<String, Option<String>>> {
    let mut statement = c.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let columns = |row: &rusqlite::Row<'_>| {
        let value = |at: usize| match row.get_ref(at).unwrap() {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Text(text) => Some(String::from_utf8(text.to_owned()).unwrap()),
            ValueRef::Blob(bytes) => Some(hex(bytes)),
            ValueRef::Real(_) => panic!("{table} has a fraction in it"),
        };
        Ok((0..).zip(&names).map(|(at, name)| (name.clone(), value(at))).collect())
    };
    statement.query_map((), columns).unwrap().map(Result::unwrap).collect()
}

fn columns_in_database(row: &tokio_postgres::Row) -> BTreeMap<String, Option<String>> {
    let value = |at: usize, kind: &Type| match *kind {
        Type::TEXT => row.get(at),
        Type::BYTEA => row.get::<_, Option<&[u8]>>(at).map(hex),
        Type::INT8 => row.get::<_, Option<i64>>(at).map(|number| number.to_string()),
        Type::BOOL => row.get::<_, Option<bool>>(at).map(|is| i32::from(is).to_string()),
        ref other => panic!("{other} is no type of ours"),
    };
    (0..).zip(row.columns()).map(|(at, c)| (c.name().to_owned(), value(at, c.type_()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
