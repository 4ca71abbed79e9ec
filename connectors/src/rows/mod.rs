//! Rows of tables as a source, whatever they are rows of: feeds, ids, dead letters, and several feeds merged by event time.

mod file;
mod forgiving;
mod hash;
mod ids;
mod merge;
mod rejected;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg::Next;

use crate::error::Error;
use crate::notices::Notices;
use crate::points::folder::OnError;
use crate::points::order;
use crate::tables::names::Kind;
use crate::tables::values::Cell;
use crate::tables::{Block, TableFormat, TableOptions};
use forgiving::{Forgiving, pass_over};

pub use hash::Key;
pub use ids::Ids;
pub use merge::{Merge, Pace};
pub use rejected::{Rejected, WithRejected};

/// Rows one after the other, in the order in which they came in.
pub trait Feed<F>: Send {
    /// The next row and its diff; [`Next::Idle`] where there is none at present.
    ///
    /// # Errors
    /// An input that cannot be read any further.
    fn next(&mut self, ids: &mut Ids) -> Result<Next<(F, i32)>, Error>;

    /// How messages call it: its path.
    fn name(&self) -> &str;

    /// The row that was handed out last is left out: notes it as a dead letter, counted as `kind`.
    ///
    /// # Errors
    /// A file of dead letters that cannot be written.
    fn leave_out(&mut self, _kind: &'static str, _reason: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The input grows no more: what is left of it may be read.
    fn close(&mut self) {}
}

/// A row of which a run that goes on can tell whether it is the one that was there before.
pub trait Summed {
    /// Adds the row to a checksum; `name` gives that of a name by its number, for numbers follow the order of arrival.
    fn add_to(&self, sum: &mut crc32fast::Hasher, name: &dyn Fn(u32) -> u32);
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

/// How files are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub format: Option<TableFormat>,
    pub tables: &'a TableOptions,
    pub follow: bool,
    pub on_error: OnError,
    pub notices: &'a Notices,
}

/// Tables of one kind, and what parses each of them.
pub(crate) struct Tables<'a, F> {
    pub paths: &'a [PathBuf],
    pub kind: &'static Kind,
    pub options: &'a TableOptions,
    pub parse: &'a dyn Fn(&Path) -> Box<dyn Parse<F>>,
}

/// Opens every file.
///
/// # Errors
/// One that cannot be opened, lacks a column in its header, or cannot be followed though it should.
pub(crate) fn open<F: Send + 'static>(
    tables: &[Tables<F>],
    reading: Reading,
    rejected: &Arc<Rejected>,
) -> Result<Vec<Box<dyn Feed<F>>>, Error> {
    let kinds = tables.iter().filter(|tables| !tables.paths.is_empty()).map(|tables| tables.kind).collect();
    let asked = Arc::new(file::Asked { columns: reading.tables.columns.clone(), kinds });
    let mut feeds: Vec<Box<dyn Feed<F>>> = Vec::new();
    for Tables { paths, kind, options, parse } in tables {
        let reading = Reading { tables: options, ..reading };
        for path in paths.iter() {
            for file in tables_in(path)? {
                match file::open(&file, kind, parse(&file), &reading, rejected, &asked) {
                    Ok(feed) if reading.on_error == OnError::Skip => {
                        feeds.push(Box::new(Forgiving::new(feed, reading.notices)));
                    }
                    Ok(feed) => feeds.push(feed),
                    Err(error) if reading.on_error == OnError::Skip && !reading.follow => {
                        pass_over(error, reading.notices)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    // The keys of JSON and the header of a pipe come later: the feed that ends last looks for these.
    let known = |path: &PathBuf| {
        let format = reading.format.or_else(|| TableFormat::by_ending(path));
        path.is_file() && format.is_some_and(|format| format != TableFormat::Jsonl)
    };
    if !reading.follow && tables.iter().flat_map(|tables| tables.paths).all(known) {
        asked.check()?;
    }
    Ok(feeds)
}

/// The tables that a path means: itself, or those in the folder that it is, in the order of their names.
fn tables_in(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let io = |e| Error::io(path, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && file.is_file() && TableFormat::by_ending(&file).is_some() {
            files.push(file);
        }
    }
    files.sort_by(|a, b| order::compare(a, b));
    if files.is_empty() {
        return Err(Error::unsupported(path, "a folder without tables", "files .csv, .tsv, .jsonl, .parquet, .arrow"));
    }
    Ok(files)
}
