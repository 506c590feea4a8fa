//! What a table's rows are together: their count, and a hash over them in the order of the primary key.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use super::value::Value;

/// SHA-256 over the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(pub [u8; 32]);

/// The rows of a table, counted and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSum {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// What they hold.
    pub checksum: Checksum,
}

/// A sum in the making.
pub(super) struct Summing {
    table: &'static str,
    rows: u64,
    context: Context,
    buffer: Vec<u8>,
}

impl Summing {
    pub(super) fn of(table: &'static str) -> Self {
        Self { table, rows: 0, context: Context::new(&SHA256), buffer: Vec::new() }
    }

    /// Adds a value of the row that is at hand.
    pub(super) fn value(&mut self, value: &Value<'_>) {
        value.encode(&mut self.buffer);
    }

    /// Ends that row, and answers how many there are now.
    pub(super) fn end_of_row(&mut self) -> u64 {
        self.context.update(&self.buffer);
        self.buffer.clear();
        self.rows += 1;
        self.rows
    }

    pub(super) fn end(self) -> TableSum {
        let mut checksum = [0; 32];
        checksum.copy_from_slice(self.context.finish().as_ref());
        TableSum { table: self.table, rows: self.rows, checksum: Checksum(checksum) }
    }
}

/// In hexadecimal.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
