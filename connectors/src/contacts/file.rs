//! One file of contacts or tests as a feed of rows: its format, its columns, its malformed rows.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use thalweg::Next;
use thalweg::contacts::Fact;

use super::parquet::ParquetTable;
use super::row::Kind;
use super::table::{Cells, Table};
use super::text::{CsvTable, JsonTable, missing};
use super::{Feed, FilesOptions, People, Rejected};
use crate::error::Error;
use crate::files::lines::open_text;

/// Malformed rows after which a feed lets others have their turn.
const TURN: usize = 65_536;

/// A format of tables of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// CSV or TSV, gzipped or not.
    Csv,
    /// JSON lines, gzipped or not.
    Jsonl,
    /// Parquet.
    Parquet,
}

impl TableFormat {
    /// The format of a name as `--format` has it.
    ///
    /// # Errors
    /// A format that holds no such tables.
    pub fn by_name(name: &str) -> Result<TableFormat, Error> {
        match name {
            "csv" => Ok(TableFormat::Csv),
            "jsonl" => Ok(TableFormat::Jsonl),
            "parquet" => Ok(TableFormat::Parquet),
            _ => Err(Error::Value { what: "format", found: name.into(), expected: "csv, jsonl or parquet".into() }),
        }
    }

    /// The format of a file, by its name's ending (that of gzip apart), else by its first bytes.
    fn guess(path: &Path) -> Result<TableFormat, Error> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv" | "tsv") => return Ok(TableFormat::Csv),
            Some("jsonl" | "ndjson") => return Ok(TableFormat::Jsonl),
            Some("parquet") => return Ok(TableFormat::Parquet),
            _ => {}
        }
        let mut head = Vec::new();
        open_text(path, false)?.take(64).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
        Ok(match text.first() {
            _ if head.starts_with(b"PAR1") => TableFormat::Parquet,
            Some(b'{') => TableFormat::Jsonl,
            _ => TableFormat::Csv,
        })
    }
}

/// What the files call the columns, where not by their own names: `t`, `i`, `j`, `duration`, `person`, `result`, `diff`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(BTreeMap<String, String>);

impl Columns {
    /// From pairs (column, what files call it).
    ///
    /// # Errors
    /// A column that no kind of row has.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Columns, Error> {
        let known: Vec<&str> = ["t", "i", "j", "duration", "person", "result", "diff"].into();
        let columns: BTreeMap<_, _> = pairs.into_iter().collect();
        match columns.iter().find(|(column, name)| !known.contains(&column.as_str()) || name.is_empty()) {
            Some((column, name)) => {
                let found = format!("{column}={name}");
                Err(Error::Value { what: "columns", found, expected: format!("NAME=HEADER of {}", known.join(", ")) })
            }
            None => Ok(Columns(columns)),
        }
    }

    /// What files call a column.
    pub(crate) fn name<'a>(&'a self, column: &'a str) -> &'a str {
        self.0.get(column).map_or(column, String::as_str)
    }

    /// Where a kind's columns stand in a header. A mapped name serves contacts and tests alike; a file that lacks it may have the
    /// column's own name.
    pub(crate) fn find(&self, path: &Path, kind: &Kind, names: &[String]) -> Result<Vec<Option<usize>>, Error> {
        let place = |name: &str| names.iter().position(|n| n == name);
        kind.columns
            .iter()
            .map(|(column, must, _)| match place(self.name(column)).or_else(|| place(column)) {
                None if *must => Err(missing(path, kind, self.name(column), names)),
                found => Ok(found),
            })
            .collect()
    }
}

/// An open file.
struct File {
    table: Box<dyn Table>,
    kind: &'static Kind,
    cells: Cells,
    rejected: Arc<Rejected>,
    number: usize,
    grows: bool,
}

/// Opens a file of one kind of rows.
pub(crate) fn open(
    path: &Path,
    kind: &'static Kind,
    options: &FilesOptions,
    rejected: &Arc<Rejected>,
) -> Result<Box<dyn Feed>, Error> {
    let format = options.format.map_or_else(|| TableFormat::guess(path), Ok)?;
    let (columns, follow) = (&options.columns, options.follow);
    let table: Box<dyn Table> = match format {
        TableFormat::Csv => Box::new(CsvTable::open(path, kind, columns, follow)?),
        TableFormat::Jsonl => Box::new(JsonTable::open(path, kind, columns, follow)?),
        TableFormat::Parquet if follow => {
            return Err(Error::unsupported(path, "a Parquet file to follow", "CSV or JSON lines"));
        }
        TableFormat::Parquet => Box::new(ParquetTable::open(path, kind, columns)?),
    };
    let number = rejected.file(path);
    Ok(Box::new(File { table, kind, cells: Cells::default(), rejected: Arc::clone(rejected), number, grows: follow }))
}

impl Feed for File {
    fn next(&mut self, people: &mut People) -> Result<Next<(Fact, i32)>, Error> {
        for _ in 0..TURN {
            let Some(line) = self.table.next(&mut self.cells)? else {
                return Ok(if self.grows { Next::Idle } else { Next::End });
            };
            if let Some(broken) = self.cells.broken {
                self.rejected.note(self.number, line, broken)?;
                continue;
            }
            match (self.kind.row)(&self.cells, people) {
                Ok(row) => return Ok(Next::Item(row)),
                Err(refused) => {
                    let found = match &refused.found {
                        Some(found) if !people.hashed() => format!("{found:?}"),
                        Some(_) => "something else".into(),
                        None => "none".into(),
                    };
                    let reason = format!("{}: found {found}, expected {}", refused.column, refused.expected);
                    self.rejected.note(self.number, line, &reason)?;
                }
            }
        }
        Ok(Next::Idle)
    }

    fn close(&mut self) {
        self.grows = false;
        self.table.close();
    }
}
