//! One file of a table as a feed of rows: its blocks, its rows, its dead letters.

use std::path::Path;
use std::sync::Arc;

use thalweg::Next;

use super::feed::{Feed, FoundAt, Parse};
use super::ids::Ids;
use super::rejected::{MALFORMED, Rejected};
use crate::error::{At, Error};
use crate::notices::Notices;
use crate::on_error::OnError;
use crate::tables;
use crate::tables::format::TableFormat;
use crate::tables::names::{ColumnNames, Kind};
use crate::tables::options::{Opening, TableOptions};
use crate::tables::table::{Block, Table};

/// How files are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub format: Option<TableFormat>,
    pub tables: &'a TableOptions,
    pub follow: bool,
    pub on_error: OnError,
    pub notices: &'a Notices,
}

/// The names that columns were said to have, and the kinds of rows they were said of.
pub(super) struct Asked {
    pub(super) columns: ColumnNames,
    pub(super) kinds: Vec<&'static Kind>,
}

impl Asked {
    /// Refuses a name that no table had.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.columns.check(&self.kinds)
    }
}

/// An open file.
struct File<F> {
    name: String,
    table: Box<dyn Table>,
    parse: Box<dyn Parse<F>>,
    /// The block at hand.
    run: Option<Run>,
    rejected: Arc<Rejected>,
    number: usize,
    found: FoundAt,
    /// Given up at the end: who gives up the last one checks it.
    asked: Option<Arc<Asked>>,
}

/// A block, and how far it was read.
struct Run {
    block: Block,
    row: usize,
    broken: usize,
    fruitful: bool,
}

/// Opens a file of one kind of rows.
pub(super) fn open<F: 'static>(
    path: &Path,
    named: u16,
    kind: &'static Kind,
    parse: Box<dyn Parse<F>>,
    reading: &Reading,
    rejected: &Arc<Rejected>,
    asked: &Arc<Asked>,
) -> Result<Box<dyn Feed<F>>, Error> {
    let opening = Opening { kind, options: reading.tables, follow: reading.follow, notices: reading.notices };
    let table = tables::open(path, reading.format, opening)?;
    let (number, found) = (rejected.file(path), FoundAt { named, rows: kind.what });
    let (rejected, asked) = (Arc::clone(rejected), Some(Arc::clone(asked)));
    Ok(Box::new(File { name: path.display().to_string(), table, parse, run: None, rejected, number, found, asked }))
}

impl<F> Feed<F> for File<F> {
    fn next(&mut self, ids: &mut Ids) -> Result<Next<(F, i32)>, Error> {
        loop {
            let Some(run) = &mut self.run else {
                match self.table.next()? {
                    Next::Item(block) => {
                        self.parse.begin(&block)?;
                        self.run = Some(Run { block, row: 0, broken: 0, fruitful: false });
                        continue;
                    }
                    Next::Idle => return Ok(Next::Idle),
                    Next::End => {
                        self.asked.take().and_then(Arc::into_inner).map_or(Ok(()), |asked| asked.check())?;
                        return Ok(Next::End);
                    }
                }
            };
            while let Some(broken) = run.block.broken.get(run.broken).filter(|broken| broken.before <= run.row) {
                run.broken += 1;
                self.rejected.note(self.number, &broken.at, MALFORMED, &broken.reason)?;
            }
            if run.row >= run.block.rows {
                let barren = !run.fruitful;
                self.run = None;
                if barren {
                    // A block without a good row ends the turn of this feed, not the input.
                    return Ok(Next::Idle);
                }
                continue;
            }
            let row = run.row;
            run.row += 1;
            match self.parse.row(row, ids) {
                Ok(row) => {
                    run.fruitful = true;
                    return Ok(Next::Item(row));
                }
                Err(refused) => {
                    let found = match &refused.found {
                        Some(found) if found.is_empty() => "nothing".to_string(),
                        Some(found) if !ids.hashed() => found.clone(),
                        Some(_) => "something else".into(),
                        None => "none".into(),
                    };
                    let reason = format!("{}: found {found}, expected {}", refused.column, refused.expected);
                    self.rejected.note(self.number, &run.block.places.at(row), MALFORMED, &reason)?;
                }
            }
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn found(&self) -> FoundAt {
        self.found
    }

    fn leave_out(&mut self, kind: &'static str, reason: &str) -> Result<(), Error> {
        let place = self.run.as_ref().filter(|run| run.row > 0).map(|run| run.block.places.at(run.row - 1));
        self.rejected.note(self.number, &place.unwrap_or(At::File), kind, reason)
    }

    fn pass(&mut self) -> bool {
        self.run = None;
        self.table.pass()
    }

    fn close(&mut self) {
        self.table.close();
    }
}
