//! Rows one after the other, and how the cells of a table become rows.

use thalweg::Next;

use super::ids::Ids;
use crate::error::Error;
use crate::tables::table::Block;
use crate::tables::values::Cell;

/// Rows one after the other, in the order in which they came in.
pub trait Feed<F>: Send {
    /// The next row and its diff; [`Next::Idle`] where there is none at present.
    ///
    /// # Errors
    /// An input that cannot be read any further.
    fn next(&mut self, ids: &mut Ids) -> Result<Next<(F, i32)>, Error>;

    /// How messages call it: its path.
    fn name(&self) -> &str;

    /// Where among all that was named it was found.
    fn found(&self) -> FoundAt {
        FoundAt::default()
    }

    /// The row that was handed out last is left out: notes it as a dead letter, counted as `kind`.
    ///
    /// # Errors
    /// A file of dead letters that cannot be written.
    fn leave_out(&mut self, _kind: &'static str, _reason: &str) -> Result<(), Error> {
        Ok(())
    }

    /// After an error: goes on behind what cannot be read. False for an input that has no parts.
    fn pass(&mut self) -> bool {
        false
    }

    /// The input grows no more: what is left of it may be read.
    fn close(&mut self) {}
}

/// Where a feed was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoundAt {
    /// The path among those that were named, by number.
    pub(super) named: u16,
    /// What its rows are: `contacts`, `tests`, `edges`, `nodes`.
    pub(super) rows: &'static str,
}

/// A row of which a run that goes on can tell whether it is the one that was there before.
pub trait Summed {
    /// Adds the row to a checksum; `name` gives that of a name by its number, for numbers follow the order of arrival.
    fn add_to(&self, sum: &mut crc32fast::Hasher, name: &dyn Fn(u32) -> u32);

    /// False for a row that may count however old it is, also where there is a window.
    fn ages(&self) -> bool {
        true
    }

    /// Hears where it stands: its table, by a number that is in the order of the input, and its row there. For rows whose order counts.
    fn stands_at(&mut self, _table: u64, _row: u64) {}
}

/// Why a row is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub column: &'static str,
    /// What stands there, where it is no id; empty for nothing.
    pub found: Option<String>,
    pub expected: &'static str,
}

/// How the cells of one table become rows.
pub(crate) trait Parse<F>: Send {
    /// Takes the next block.
    fn begin(&mut self, block: &Block) -> Result<(), Error>;

    /// A row of that block, and its diff.
    fn row(&self, row: usize, ids: &mut Ids) -> Result<(F, i32), Refused>;
}

/// The value of a `diff` cell.
pub(crate) fn diff(cell: Cell<i64>) -> Result<i32, Refused> {
    let refused = |found| Refused { column: "diff", found: Some(found), expected: "1 or -1" };
    match cell {
        Cell::Missing | Cell::Good(1) => Ok(1),
        Cell::Good(-1) => Ok(-1),
        Cell::Good(other) => Err(refused(other.to_string())),
        Cell::Bad(found) => Err(refused(found)),
    }
}

/// The value of a `t` cell (ns).
pub(crate) fn time(cell: Cell<i64>) -> Result<i64, Refused> {
    let expected = "seconds, an RFC 3339 time or a date, of the years 1677 to 2262";
    let refused = |found: String| Refused { column: "t", found: Some(found), expected };
    match cell {
        Cell::Good(t) => Ok(t),
        Cell::Missing => Err(refused(String::new())),
        Cell::Bad(found) => Err(refused(found)),
    }
}
