//! Blocks of text cells in the making.

use std::sync::Arc;

use ::arrow::array::{ArrayRef, StringBuilder};
use thalweg::Next;

use crate::error::At;
use crate::tables::names::Kind;
use crate::tables::table::{Block, Broken, Places};

/// Records in a block, at most.
pub(super) const RECORDS: usize = 16_384;

/// Collects records of text.
pub(super) struct Blocks {
    columns: Vec<Option<StringBuilder>>,
    lines: Vec<u64>,
    broken: Vec<Broken>,
    pub decimal_comma: bool,
}

impl Blocks {
    /// An empty block with the columns that are there.
    pub(super) fn new(there: impl IntoIterator<Item = bool>) -> Blocks {
        let columns = there.into_iter().map(|there| there.then(StringBuilder::new)).collect();
        Blocks { columns, lines: Vec::new(), broken: Vec::new(), decimal_comma: false }
    }

    /// Adds columns, up to so many, to a block without rows.
    pub(super) fn widen(&mut self, columns: usize) {
        let more = columns.saturating_sub(self.columns.len());
        self.columns.extend((0..more).map(|_| Some(StringBuilder::new())));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.broken.is_empty()
    }

    pub(super) fn full(&self) -> bool {
        self.lines.len() + self.broken.len() >= RECORDS
    }

    /// Takes one record of a kind: `cells` by slot. A cell that is no UTF-8 breaks the record.
    pub(super) fn push(&mut self, kind: &Kind, line: u64, cells: &[Option<&[u8]>]) {
        for (slot, cell) in cells.iter().enumerate() {
            if cell.is_some_and(|cell| std::str::from_utf8(cell).is_err()) && self.columns[slot].is_some() {
                let column = kind.columns.get(slot).map_or("a value", |column| column.name);
                return self.broken(line, format!("{column}: found bytes that are no UTF-8, expected text"));
            }
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            if let Some(column) = column {
                column.append_option(cell.and_then(|cell| std::str::from_utf8(cell).ok()));
            }
        }
        self.lines.push(line);
    }

    /// Takes a record that is no row; line 0 is one that was cut off.
    pub(super) fn broken(&mut self, line: u64, reason: impl Into<String>) {
        self.broken.push(Broken { before: self.lines.len(), at: At::Line(line), reason: reason.into() });
    }

    /// The block with the columns that the table has, or what else there is if it is empty.
    pub(super) fn finish(self, slots: Option<&[Option<usize>]>, otherwise: Next<Block>) -> Next<Block> {
        if self.is_empty() {
            return otherwise;
        }
        let rows = self.lines.len();
        let has = |slot: usize| slots.is_some_and(|slots| slots.get(slot).is_some_and(Option::is_some));
        let columns =
            self.columns.into_iter().enumerate().map(|(slot, column)| {
                column.filter(|_| has(slot)).map(|mut column| Arc::new(column.finish()) as ArrayRef)
            });
        let (places, decimal_comma) = (Places::Lines(self.lines), self.decimal_comma);
        Next::Item(Block { columns: columns.collect(), rows, places, broken: self.broken, decimal_comma })
    }
}
