//! From cells to rows: what each column may hold, and why a row is refused.

use thalweg::contacts::{ContactRow, Fact, TestRow};

use super::People;
use super::table::Cells;
use super::time::{SECOND, seconds_ns, time_ns};

/// How long people met where a table does not say.
const DURATION: i64 = 20 * SECOND;

/// Makes a row and its diff of cells.
type MakeRow = fn(&Cells, &mut People) -> Result<(Fact, i32), Refused>;

/// A kind of row.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What a file of such rows is, in a few words.
    pub what: &'static str,
    /// Its columns: (name, whether it must be there, whether it holds an id).
    pub columns: &'static [(&'static str, bool, bool)],
    /// Makes a row of cells.
    pub row: MakeRow,
}

/// Contacts.
pub(crate) static CONTACTS: Kind = Kind {
    what: "contacts",
    columns: &[
        ("t", true, false),
        ("i", true, true),
        ("j", true, true),
        ("duration", false, false),
        ("diff", false, false),
    ],
    row: contact,
};

/// Tests.
pub(crate) static TESTS: Kind = Kind {
    what: "tests",
    columns: &[("t", true, false), ("person", true, true), ("result", true, false), ("diff", false, false)],
    row: test,
};

/// Why a row is malformed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub column: &'static str,
    /// What stands there; `None` where it is an id or nothing.
    pub found: Option<String>,
    pub expected: &'static str,
}

fn contact(cells: &Cells, people: &mut People) -> Result<(Fact, i32), Refused> {
    let t = time(cells)?;
    let (i, j) = (id(cells, 1, "i")?, id(cells, 2, "j")?);
    let duration = match cells.get(3) {
        None => DURATION,
        Some(cell) => {
            let refused = || refused("duration", cell, "seconds, 0 or more");
            text(cell).and_then(seconds_ns).filter(|ns| *ns >= 0).ok_or_else(refused)?
        }
    };
    let diff = diff(cells, 4)?;
    Ok((Fact::Contact(ContactRow::new(t, people.number(i), people.number(j), duration)), diff))
}

fn test(cells: &Cells, people: &mut People) -> Result<(Fact, i32), Refused> {
    let t = time(cells)?;
    let person = id(cells, 1, "person")?;
    let positive = match cells.get(2) {
        Some(b"positive") => true,
        Some(b"negative") => false,
        found => return Err(refused("result", found.unwrap_or_default(), "positive or negative")),
    };
    let diff = diff(cells, 3)?;
    Ok((Fact::Test(TestRow { t, person: people.number(person), positive }), diff))
}

fn text(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok()
}

fn refused(column: &'static str, found: &[u8], expected: &'static str) -> Refused {
    let shown: String = String::from_utf8_lossy(found).chars().take(40).collect();
    Refused { column, found: (!found.is_empty()).then_some(shown), expected }
}

fn time(cells: &Cells) -> Result<i64, Refused> {
    let cell = cells.get(0).unwrap_or_default();
    text(cell).and_then(time_ns).ok_or_else(|| refused("t", cell, "seconds, an RFC 3339 time or a date"))
}

fn id<'a>(cells: &'a Cells, slot: usize, column: &'static str) -> Result<&'a str, Refused> {
    let refused = Refused { column, found: None, expected: "an id in UTF-8" };
    cells.get(slot).and_then(text).ok_or(refused)
}

fn diff(cells: &Cells, slot: usize) -> Result<i32, Refused> {
    let Some(cell) = cells.get(slot) else { return Ok(1) };
    // Programs that hold the column in floats write 1.0.
    match text(cell).and_then(|cell| cell.trim().parse::<f64>().ok()) {
        Some(1.0) => Ok(1),
        Some(-1.0) => Ok(-1),
        _ => Err(refused("diff", cell, "1 or -1")),
    }
}
