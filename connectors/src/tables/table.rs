//! What an open table hands out: blocks of records, where their rows stand in the file, and which of them are no rows.

use ::arrow::array::{ArrayRef, RecordBatch};
use thalweg::Next;

use crate::error::{At, Error};

/// Where the rows of a run stand in the file.
#[derive(Clone, Debug)]
pub(crate) enum Places {
    /// Consecutive rows from this one, from 0.
    From(u64),
    /// The number of each row, from 0.
    Rows(Vec<u64>),
    /// The line of each row, from 1.
    Lines(Vec<u64>),
}

impl Places {
    pub(crate) fn at(&self, row: usize) -> At {
        match self {
            Places::From(_) | Places::Rows(_) => At::Row(self.number(row)),
            Places::Lines(_) => At::Line(self.number(row)),
        }
    }

    /// The number in that place.
    fn number(&self, row: usize) -> u64 {
        match self {
            Places::From(first) => first + row as u64,
            Places::Rows(numbers) | Places::Lines(numbers) => numbers.get(row).copied().unwrap_or(0),
        }
    }

    /// The places of some of the rows.
    pub(crate) fn of(&self, rows: &[usize]) -> Places {
        let numbers = rows.iter().map(|&row| self.number(row)).collect();
        if let Places::Lines(_) = self { Places::Lines(numbers) } else { Places::Rows(numbers) }
    }
}

/// A record that is no row.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// Rows of the block that stand before it.
    pub before: usize,
    pub at: At,
    /// What is wrong with it.
    pub reason: String,
}

/// A run of consecutive records.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// By slot of the kind: the cells `[rows]`, where the table has the column.
    pub columns: Vec<Option<ArrayRef>>,
    pub rows: usize,
    pub places: Places,
    /// Ascending by `before`.
    pub broken: Vec<Broken>,
    /// Whether numbers in text may have a decimal comma.
    pub decimal_comma: bool,
}

impl Block {
    /// A record batch as a block; its first row is row `first` of the table.
    pub(super) fn of_batch(batch: &RecordBatch, slots: &[Option<usize>], first: u64) -> Block {
        let columns = slots.iter().map(|column| column.map(|column| batch.column(column).clone())).collect();
        let (rows, places) = (batch.num_rows(), Places::From(first));
        Block { columns, rows, places, broken: Vec::new(), decimal_comma: false }
    }
}

/// An open table.
pub(crate) trait Table: Send {
    /// The next run of records, of one at least; a broken record counts.
    fn next(&mut self) -> Result<Next<Block>, Error>;

    /// Whether the table has a column, as far as that is known.
    fn has(&self, slot: usize) -> bool;

    /// After an error: goes on behind the part of the table that cannot be read. False for a table that is not made of parts.
    fn pass(&mut self) -> bool {
        false
    }

    /// The table grows no more: what is whole is handed out, then it ends.
    fn close(&mut self) {}
}
