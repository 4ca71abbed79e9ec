//! Tables in text: CSV and TSV with a header, JSON lines.
//!
//! A record is a line. Cells are divided by commas, or by tabs if the header has tabs and no comma; a cell in quotation marks may hold
//! either (RFC 4180, line ends apart). Ids are taken byte for byte.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::file::Columns;
use super::row::Kind;
use super::table::{Cells, Table};
use crate::error::{At, Error};
use crate::files::lines::Lines;
use crate::tables::csv::{header, split};

/// Whole numbers below this are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// CSV or TSV.
pub(crate) struct CsvTable {
    path: PathBuf,
    lines: Lines,
    kind: &'static Kind,
    columns: Columns,
    growing: bool,
    header: Option<Header>,
}

/// What the first line says.
struct Header {
    delimiter: u8,
    /// For each column of the file the slot it goes to.
    slots: Vec<Option<usize>>,
}

impl CsvTable {
    pub(crate) fn open(path: &Path, kind: &'static Kind, columns: &Columns, growing: bool) -> Result<CsvTable, Error> {
        let mut table = CsvTable {
            path: path.into(),
            lines: Lines::open(path, growing)?,
            kind,
            columns: columns.clone(),
            growing,
            header: None,
        };
        table.read_header()?;
        Ok(table)
    }

    /// Reads the header if it is there by this time; a file that grows no more must have one.
    fn read_header(&mut self) -> Result<bool, Error> {
        if self.header.is_some() {
            return Ok(true);
        }
        let Some((_, line)) = self.lines.next()? else {
            if self.growing {
                return Ok(false);
            }
            self.columns.find(&self.path, self.kind, &[])?;
            return Ok(false);
        };
        let (delimiter, names) = header(line);
        let found = self.columns.find(&self.path, self.kind, &names)?;
        let mut slots = vec![None; names.len()];
        for (slot, column) in found.into_iter().enumerate() {
            if let Some(place) = column.and_then(|column| slots.get_mut(column)) {
                *place = Some(slot);
            }
        }
        self.header = Some(Header { delimiter, slots });
        Ok(true)
    }
}

impl Table for CsvTable {
    fn next(&mut self, cells: &mut Cells) -> Result<Option<u64>, Error> {
        if !self.read_header()? {
            return Ok(None);
        }
        let Some(Header { delimiter, slots }) = &self.header else { return Ok(None) };
        while let Some((number, line)) = self.lines.next()? {
            if line.is_empty() {
                continue;
            }
            cells.clear();
            split(line, *delimiter, |column, cell| {
                if let Some(slot) = slots.get(column).copied().flatten() {
                    cells.put(slot, |out| out.extend_from_slice(cell));
                }
            });
            return Ok(Some(number));
        }
        Ok(None)
    }

    fn close(&mut self) {
        self.growing = false;
        self.lines.close();
    }
}

/// JSON lines.
pub(crate) struct JsonTable {
    lines: Lines,
    kind: &'static Kind,
    /// The key of each slot.
    keys: Vec<String>,
}

impl JsonTable {
    pub(crate) fn open(path: &Path, kind: &'static Kind, columns: &Columns, growing: bool) -> Result<JsonTable, Error> {
        let keys = kind.columns.iter().map(|(name, ..)| columns.name(name).to_string()).collect();
        Ok(JsonTable { lines: Lines::open(path, growing)?, kind, keys })
    }
}

impl Table for JsonTable {
    fn next(&mut self, cells: &mut Cells) -> Result<Option<u64>, Error> {
        while let Some((number, line)) = self.lines.next()? {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            cells.clear();
            let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) else {
                cells.broken = Some("no JSON object on one line");
                return Ok(Some(number));
            };
            for (slot, (key, (name, _, is_id))) in self.keys.iter().zip(self.kind.columns).enumerate() {
                // A file whose own name for a column is not the mapped one; see Columns::find.
                let value = object.get(key).or_else(|| (key != name).then(|| object.get(*name)).flatten());
                put(cells, slot, value, *is_id);
            }
            return Ok(Some(number));
        }
        Ok(None)
    }

    fn close(&mut self) {
        self.lines.close();
    }
}

/// Puts a JSON value into its cell: strings as they are, numbers as decimals.
fn put(cells: &mut Cells, slot: usize, value: Option<&Value>, is_id: bool) {
    let text = match value {
        None | Some(Value::Null) => return,
        Some(Value::String(text)) => return cells.put(slot, |out| out.extend_from_slice(text.as_bytes())),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(float) if number.is_f64() => {
                if is_id && float.abs() >= EXACT {
                    cells.broken = Some("an id that is a number of more digits than a float keeps");
                    return;
                }
                float.to_string()
            }
            _ => number.to_string(),
        },
        Some(_) => {
            cells.broken = Some("a value that is neither a string nor a number");
            return;
        }
    };
    cells.put(slot, |out| out.extend_from_slice(text.as_bytes()));
}

/// The columns of a header that lacks one, for messages.
pub(crate) fn missing(path: &Path, kind: &Kind, column: &str, names: &[String]) -> Error {
    let found = if names.is_empty() { "no header".to_string() } else { format!("columns {}", names.join(", ")) };
    let columns: Vec<_> = kind.columns.iter().filter(|(_, must, _)| *must).map(|(name, ..)| *name).collect();
    let expected = format!("a column {column} ({} have {})", kind.what, columns.join(", "));
    Error::malformed(path, At::Header, found, expected)
}
