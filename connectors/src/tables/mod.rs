//! One reader for every table: a format contributes columns of cells, and what a cell means is read in one place.
//!
//! A [`Kind`] says which columns its rows have. A format finds them by name ([`names`]) and hands out [`Block`]s: runs of records with an
//! Arrow array a wanted column, text as text, typed columns as they are. [`values`] turns arrays into numbers, times, ids, alike for all.

mod arrow;
mod blocks;
mod csv;
mod json;
pub(crate) mod names;
mod parquet;
mod text;
mod thrift;
pub(crate) mod times;
pub(crate) mod values;
pub(crate) mod whole;

use std::path::Path;

use ::arrow::array::{ArrayRef, RecordBatch};
use thalweg::Next;

pub use names::ColumnNames;
pub use times::TimeUnit;

use crate::error::{At, Error};
use crate::files::stream::{Got, Stream};
use crate::notices::Notices;
use names::Kind;

/// How tables are meant, where they do not say it themselves.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// What files call their columns.
    pub columns: ColumnNames,
    /// The unit of times that are plain numbers; seconds where it is not said.
    pub time_unit: Option<TimeUnit>,
}

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// CSV, TSV and their like, packed by gzip or not.
    Csv,
    /// JSON lines, packed by gzip or not.
    Jsonl,
    /// Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
}

/// Name, what it is, endings of file names. The registry of table formats: one line each.
pub(crate) const FORMATS: [(TableFormat, &str, &str, &[&str]); 4] = [
    (TableFormat::Parquet, "parquet", "Parquet table", &["parquet", "pq"]),
    (TableFormat::Arrow, "arrow", "Arrow IPC table, file or stream", &["arrow", "feather", "ipc", "arrows"]),
    (TableFormat::Csv, "csv", "CSV or TSV table", &["csv", "tsv", "csv.gz", "tsv.gz"]),
    (TableFormat::Jsonl, "jsonl", "JSON lines", &["jsonl", "ndjson", "jsonl.gz", "ndjson.gz"]),
];

impl TableFormat {
    /// The format of a name as `--format` has it.
    ///
    /// # Errors
    /// A format that holds no such tables.
    pub fn by_name(name: &str) -> Result<TableFormat, Error> {
        FORMATS.iter().find(|format| format.1 == name).map(|format| format.0).ok_or_else(|| {
            let names: Vec<_> = FORMATS.iter().map(|format| format.1).collect();
            Error::Value { what: "format", found: name.into(), expected: names.join(", ") }
        })
    }

    /// The format that a name's ending says, that of gzip apart.
    pub(crate) fn by_ending(path: &Path) -> Option<TableFormat> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let fits = |ending: &&str| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'));
        FORMATS.iter().find(|format| format.3.iter().any(fits)).map(|format| format.0)
    }

    /// The format that first bytes say.
    fn by_bytes(head: &[u8]) -> TableFormat {
        let text = head.strip_prefix(text::BOM).unwrap_or(head).trim_ascii_start();
        match text.first() {
            _ if head.starts_with(b"PAR1") => TableFormat::Parquet,
            _ if head.starts_with(b"ARROW1") || head.starts_with(&[0xff; 4]) => TableFormat::Arrow,
            Some(b'{') => TableFormat::Jsonl,
            _ => TableFormat::Csv,
        }
    }
}

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
    fn of_batch(batch: &RecordBatch, slots: &[Option<usize>], first: u64) -> Block {
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

    /// The table grows no more: what is whole is handed out, then it ends.
    fn close(&mut self) {}
}

/// How to open a table.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub kind: &'static Kind,
    pub options: &'a TableOptions,
    pub follow: bool,
    pub notices: &'a Notices,
}

/// Opens a table, of a format that is given, or said by its name's ending, or by its first bytes. The header of a regular file is
/// checked here.
///
/// # Errors
/// A file that cannot be opened, lacks a column, or cannot be followed though it should.
pub(crate) fn open(path: &Path, format: Option<TableFormat>, opening: Opening) -> Result<Box<dyn Table>, Error> {
    let known = format.or_else(|| TableFormat::by_ending(path));
    match known {
        Some(TableFormat::Parquet) if opening.follow => {
            Err(Error::unsupported(path, "a Parquet file to follow", "CSV, JSON lines or an Arrow stream"))
        }
        Some(TableFormat::Parquet) => Ok(Box::new(parquet::ParquetTable::open(path, opening)?)),
        _ => {
            let stream = Stream::open(path, opening.follow, opening.notices)?;
            let mut table = Sniffed {
                opened: None,
                format: known,
                stream: Some((stream, Vec::new())),
                columns: opening.options.columns.clone(),
                kind: opening.kind,
                notices: opening.notices.clone(),
            };
            table.sniff()?;
            Ok(Box::new(table))
        }
    }
}

/// A table whose format is known once its first bytes have come.
struct Sniffed {
    opened: Option<Box<dyn Table>>,
    format: Option<TableFormat>,
    stream: Option<(Stream, Vec<u8>)>,
    kind: &'static Kind,
    columns: ColumnNames,
    notices: Notices,
}

impl Sniffed {
    /// Opens the table as soon as that can be done; `false` if it must wait for bytes.
    fn sniff(&mut self) -> Result<bool, Error> {
        if self.opened.is_some() {
            return Ok(true);
        }
        let Some((stream, head)) = &mut self.stream else { return Ok(false) };
        if self.format.is_none() && head.len() < 8 {
            while stream.fill(head)? == Got::Bytes && head.len() < 8 {}
            if head.is_empty() {
                // An empty regular file is an empty text; a pipe or a growing file may not have begun.
                let mut more = Vec::new();
                match stream.fill(&mut more)? {
                    Got::End => {}
                    _ => {
                        head.extend(more);
                        if head.is_empty() {
                            return Ok(false);
                        }
                    }
                }
            }
            self.format = Some(TableFormat::by_bytes(head));
        }
        let (format, Some((stream, head))) = (self.format, self.stream.take()) else { return Ok(false) };
        let path = stream.path().to_path_buf();
        let text = text::Text::new(stream, head);
        let (kind, columns) = (self.kind, &self.columns);
        self.opened = Some(match format {
            Some(TableFormat::Parquet) => {
                return if path.is_file() && !text.grows() {
                    let options = TableOptions { columns: columns.clone(), time_unit: None };
                    let opening = Opening { kind, options: &options, follow: false, notices: &self.notices };
                    self.opened = Some(Box::new(parquet::ParquetTable::open(&path, opening)?));
                    Ok(true)
                } else {
                    let expected = "CSV, JSON lines or an Arrow stream";
                    Err(Error::unsupported(&path, "Parquet from a pipe or to follow", expected))
                };
            }
            Some(TableFormat::Arrow) => Box::new(arrow::ArrowTable::open(text, kind, columns)?),
            Some(TableFormat::Jsonl) => Box::new(json::JsonTable::open(text, kind, columns, &self.notices)),
            _ => Box::new(csv::CsvTable::open(text, kind, columns, &self.notices)?),
        });
        Ok(true)
    }
}

impl Table for Sniffed {
    fn next(&mut self) -> Result<Next<Block>, Error> {
        if !self.sniff()? {
            return Ok(Next::Idle);
        }
        self.opened.as_mut().map_or(Ok(Next::End), |table| table.next())
    }

    fn has(&self, slot: usize) -> bool {
        self.opened.as_ref().is_some_and(|table| table.has(slot))
    }

    fn close(&mut self) {
        if let Some((stream, _)) = &mut self.stream {
            stream.close();
        }
        if let Some(table) = &mut self.opened {
            table.close();
        }
    }
}
