//! Any table with times as a source: one record a row, so that a plan can join it with others by event time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thalweg::source::Position;
use thalweg::{BoxError, Next, Source};

use crate::error::Error;
use crate::notices::Notices;
use crate::tables;
use crate::tables::names::{Column, Kind, Rest};
use crate::tables::options::{Opening, TableOptions};
use crate::tables::table::{Block, Table};
use crate::tables::values::{Cell, Cells};

static RECORDS: Kind = Kind {
    what: "records",
    shares: false,
    may_be_empty: false,
    needs: "records have t, and the columns that were asked for",
    columns: &[Column::must("t")],
    instead: None,
    bare: None,
};

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its stamp (ns).
    pub t: i64,
    numbers: BTreeMap<Arc<str>, f64>,
    texts: BTreeMap<Arc<str>, Arc<str>>,
}

impl Record {
    /// The number in a column; `None` where there is none.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.numbers.get(column).copied()
    }

    /// The text in a column, numbers by their shortest decimal; `None` where there is none.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.texts.get(column).map(|text| &**text)
    }
}

/// A table of any format, whose column `t` is the event time. It is read once, to its end. Sort it by `t`: a row that is earlier than one
/// before it counts as of the same time as that one.
///
/// ```
/// use thalweg::{Next, Source};
/// use thalweg_connectors::records::Records;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("odometry.csv");
/// std::fs::write(&path, "t,x,frame_id\n0.5,1.25,odom\n")?;
/// let mut records = Records::open(&path, &["x", "frame_id"])?;
/// let Next::Item(record) = records.next()? else { panic!("a row") };
/// assert_eq!((record.t, record.number("x"), record.text("frame_id")), (500_000_000, Some(1.25), Some("odom")));
/// # Ok::<(), thalweg::BoxError>(())
/// ```
pub struct Records {
    name: String,
    table: Box<dyn Table>,
    columns: Vec<Arc<str>>,
    block: Option<(Block, Vec<Option<Cells>>, usize)>,
    /// Records handed out, and how many of them by a run before this one.
    taken: u64,
    begun: u64,
}

impl Records {
    /// Opens a table and takes these columns beside `t`.
    ///
    /// # Errors
    /// A file that cannot be opened, or lacks one of the columns.
    pub fn open(path: &Path, columns: &[&str]) -> Result<Records, Error> {
        let rest = Rest::Named(columns.iter().map(|name| name.to_string()).collect());
        let options = TableOptions::default();
        let options = TableOptions { columns: options.columns.with_rest(rest), ..options };
        let opening = Opening { kind: &RECORDS, options: &options, follow: false, notices: &Notices::default() };
        let table = tables::open(path, None, opening)?;
        let columns = columns.iter().map(|name| Arc::from(*name)).collect();
        Ok(Records { name: path.display().to_string(), table, columns, block: None, taken: 0, begun: 0 })
    }
}

impl Source for Records {
    type Item = Record;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn time(&self, record: &Record) -> Option<i64> {
        Some(record.t)
    }

    fn next(&mut self) -> Result<Next<Record>, BoxError> {
        loop {
            let Some((block, cells, row)) = &mut self.block else {
                match self.table.next()? {
                    Next::Item(block) => {
                        if let Some(broken) = block.broken.first() {
                            return Err(format!("{}: {}", broken.at, broken.reason).into());
                        }
                        let cells = block.columns.iter().map(|column| column.as_ref().map(Cells::of)).collect();
                        self.block = Some((block, cells, 0));
                        continue;
                    }
                    Next::Idle => return Ok(Next::Idle),
                    Next::End => return Ok(Next::End),
                }
            };
            if *row >= block.rows {
                self.block = None;
                continue;
            }
            let (at, comma) = (*row, block.decimal_comma);
            *row += 1;
            let Some(Cell::Good(t)) = cells[0].as_ref().map(|cells| cells.time(at, None, comma)) else {
                return Err(format!("{}: t: found no time, expected one", block.places.at(at)).into());
            };
            let mut record = Record { t, ..Record::default() };
            for (name, cells) in self.columns.iter().zip(&cells[1..]) {
                let Some(cells) = cells else { continue };
                if let Cell::Good(number) = cells.number(at, comma) {
                    record.numbers.insert(Arc::clone(name), number);
                }
                if let Cell::Good(text) = cells.text(at) {
                    record.texts.insert(Arc::clone(name), Arc::from(&*text));
                }
            }
            self.taken += 1;
            if self.taken > self.begun {
                return Ok(Next::Item(record));
            }
        }
    }

    fn position(&self) -> Option<Position> {
        Some(Position::of(self.name.as_str(), self.taken))
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.begun = position.items;
        Ok(())
    }
}
