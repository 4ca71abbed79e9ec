//! From cells to rows: what each column of contacts and tests may hold, and why a row is refused.

use thalweg::contacts::{ContactRow, Fact, TestRow};

use crate::error::Error;
use crate::rows::Ids;
use crate::rows::feed::{self, Parse, Refused, Summed};
use crate::tables::names::{Column, ColumnNames, Kind};
use crate::tables::table::Block;
use crate::tables::times::{SECOND, TimeUnit, time_ns};
use crate::tables::values::{Cell, Cells};

impl Summed for Fact {
    fn add_to(&self, sum: &mut crc32fast::Hasher, name: &dyn Fn(u32) -> u32) {
        match self {
            Fact::Contact(row) => {
                let (a, b) = (name(row.a), name(row.b));
                [row.t, row.duration].iter().for_each(|value| sum.update(&value.to_le_bytes()));
                [a.min(b), a.max(b)].iter().for_each(|value| sum.update(&value.to_le_bytes()));
            }
            Fact::Test(row) => {
                sum.update(&row.t.to_le_bytes());
                sum.update(&name(row.person).to_le_bytes());
                sum.update(&[u8::from(row.positive)]);
            }
            Fact::Due(_) => {}
        }
    }
}

/// How long people met where a table does not say.
const DURATION: i64 = 20 * SECOND;

/// A table of contacts.
pub(crate) static CONTACTS: Kind = Kind {
    what: "contacts",
    shares: true,
    may_be_empty: false,
    needs: "contacts have t, i, j",
    columns: &[
        Column::must("t"),
        Column::id("i"),
        Column::id("j"),
        Column::may("duration", &[]),
        Column::may("diff", &[]),
    ],
    instead: None,
    bare: Some(|cells| cells.len() >= 3 && is_time(cells[0]) && cells[1..3].iter().all(|id| !id.trim().is_empty())),
};

/// A table of tests.
pub(crate) static TESTS: Kind = Kind {
    what: "tests",
    shares: true,
    may_be_empty: false,
    needs: "tests have t, person, result",
    columns: &[Column::must("t"), Column::id("person"), Column::must("result"), Column::may("diff", &[])],
    instead: None,
    bare: Some(|cells| cells.len() >= 3 && is_time(cells[0]) && result(cells[2].trim()).is_some()),
};

fn is_time(cell: &str) -> bool {
    time_ns(cell).is_some()
}

/// The result of a test in any of its usual words.
fn result(word: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    let number = word.parse::<f64>().ok();
    if is(&["positive", "pos", "true", "+"]) || number == Some(1.0) {
        Some(true)
    } else if is(&["negative", "neg", "false", "-"]) || number == Some(0.0) {
        Some(false)
    } else {
        None
    }
}

/// What tables of contacts and tests call their columns, from pairs (column, what files call it).
///
/// # Errors
/// A column that no such table has.
pub fn column_names(pairs: impl IntoIterator<Item = (String, String)>) -> Result<ColumnNames, Error> {
    ColumnNames::of(&[&CONTACTS, &TESTS], pairs)
}

/// The columns of a block, to make rows of.
pub(crate) struct Columns {
    cells: Vec<Option<Cells>>,
    comma: bool,
    unit: Option<TimeUnit>,
    contacts: bool,
}

impl Parse<Fact> for Columns {
    fn begin(&mut self, block: &Block) -> Result<(), Error> {
        self.cells = block.columns.iter().map(|column| column.as_ref().map(Cells::of)).collect();
        self.comma = block.decimal_comma;
        Ok(())
    }

    fn row(&self, row: usize, ids: &mut Ids) -> Result<(Fact, i32), Refused> {
        let t = feed::time(self.cell(0, |cells| cells.time(row, self.unit, self.comma)))?;
        if self.contacts {
            let (i, j) = (self.id(1, "i", row)?, self.id(2, "j", row)?);
            let duration = self.duration(row)?;
            let diff = feed::diff(self.cell(4, |cells| cells.whole(row, self.comma)))?;
            return Ok((Fact::Contact(ContactRow::new(t, ids.number(&i), ids.number(&j), duration)), diff));
        }
        let person = self.id(1, "person", row)?;
        let positive = self.result(row)?;
        let diff = feed::diff(self.cell(3, |cells| cells.whole(row, self.comma)))?;
        Ok((Fact::Test(TestRow { t, person: ids.number(&person), positive }), diff))
    }
}

impl Columns {
    /// For tables of one of the two kinds.
    pub(crate) fn of(kind: &'static Kind, unit: Option<TimeUnit>) -> Columns {
        Columns { cells: Vec::new(), comma: false, unit, contacts: std::ptr::eq(kind, &CONTACTS) }
    }

    fn cell<'a, T>(&'a self, slot: usize, read: impl FnOnce(&'a Cells) -> Cell<T>) -> Cell<T> {
        self.cells[slot].as_ref().map_or(Cell::Missing, read)
    }

    fn id(&self, slot: usize, column: &'static str, row: usize) -> Result<std::borrow::Cow<'_, str>, Refused> {
        match self.cells[slot].as_ref().map_or(Cell::Missing, |cells| cells.text(row)) {
            Cell::Good(id) => Ok(id),
            // An id is shown nowhere but in the output.
            _ => Err(Refused { column, found: None, expected: "an id" }),
        }
    }

    fn duration(&self, row: usize) -> Result<i64, Refused> {
        let expected = "seconds, 0 or more";
        match self.cells[3].as_ref().map_or(Cell::Missing, |cells| cells.span(row, self.comma)) {
            Cell::Missing => Ok(DURATION),
            Cell::Good(ns) if ns >= 0 => Ok(ns),
            Cell::Good(ns) => {
                let found = (ns as f64 / SECOND as f64).to_string();
                Err(Refused { column: "duration", found: Some(found), expected })
            }
            Cell::Bad(found) => Err(Refused { column: "duration", found: Some(found), expected }),
        }
    }

    fn result(&self, row: usize) -> Result<bool, Refused> {
        let expected = "positive or negative, pos or neg, true or false, 1 or 0, + or -";
        let refused = |found| Refused { column: "result", found: Some(found), expected };
        match self.cells[2].as_ref().map_or(Cell::Missing, |cells| cells.text(row)) {
            Cell::Good(word) => result(&word).ok_or_else(|| refused(crate::tables::values::shown(&word))),
            Cell::Missing => Err(refused(String::new())),
            Cell::Bad(found) => Err(refused(found)),
        }
    }
}
