//! A record of a table as text: one cell for each column that its kind of row has.

use crate::error::Error;

/// Most columns that a kind of row has.
pub(crate) const SLOTS: usize = 5;

/// The cells of one record; an empty cell is none.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    text: Vec<u8>,
    spans: [(usize, usize); SLOTS],
    /// What is wrong with the record as a whole.
    pub(crate) broken: Option<&'static str>,
}

impl Cells {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.spans = Default::default();
        self.broken = None;
    }

    /// Puts a cell in its place; slots beyond the last are not there.
    pub(crate) fn put(&mut self, slot: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        if let Some(span) = self.spans.get_mut(slot) {
            *span = (start, self.text.len());
        }
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&[u8]> {
        let (start, end) = *self.spans.get(slot)?;
        self.text.get(start..end).filter(|cell| !cell.is_empty())
    }
}

/// An open table.
pub(crate) trait Table: Send {
    /// Reads the next record, and says where it stands (a line from 1, or a row from 1); `None` at the end of what is there.
    fn next(&mut self, cells: &mut Cells) -> Result<Option<u64>, Error>;

    /// The table grows no more.
    fn close(&mut self) {}
}
