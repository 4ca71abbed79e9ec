//! JSON lines: tables of points in, tables of results out.
//!
//! Read: one object a line, keys as a table's columns; a line that is no such object is counted `malformed` and the rest goes on.
//! `null` as a coordinate is a point without a place (NaN). Written: one object a line, keys in column order.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{At, Error};
use crate::files::lines::Lines;
use crate::points::columns::{Layout, Position, seconds_to_ns};
use crate::points::format::{Format, ReadOptions, Reader};
use crate::points::table::{Row, RowSource, Rows, Table, TextRows};

/// A table of points in JSON lines.
pub const FORMAT: Format = Format {
    name: "jsonl",
    what: "JSON lines with frame, x, y, z",
    extensions: &["jsonl", "ndjson"],
    magic: &[],
    open: |path, options| Ok(Box::new(Table::new(path, options, Records::open(path, false)?))),
};

/// Opens a JSONL file that is still being written.
pub(crate) fn follow(path: &Path, options: &ReadOptions) -> Result<Box<dyn Reader>, Error> {
    Ok(Box::new(Table::new(path, options, Records::open(path, true)?).growing()))
}

/// The rows of a JSONL file.
struct Records {
    path: PathBuf,
    lines: Lines,
    columns: Option<Columns>,
    /// Bad lines before the first object.
    early: usize,
}

/// The keys that the first object has.
struct Columns {
    keys: Vec<String>,
    layout: Layout,
    axes: [usize; 3],
}

impl Records {
    fn open(path: &Path, growing: bool) -> Result<Records, Error> {
        Ok(Records { path: path.into(), lines: Lines::open(path, growing)?, columns: None, early: 0 })
    }
}

impl Columns {
    fn of(path: &Path, line: u64, first: &Map<String, Value>) -> Result<Columns, Error> {
        let keys: Vec<String> = first.keys().cloned().collect();
        let layout = Layout::of(path, &keys)?;
        let Position::Axes(axes) = layout.position else {
            return Err(Error::malformed(path, At::Line(line), "a key xyz", "keys x, y, z"));
        };
        Ok(Columns { keys, layout, axes })
    }

    fn row(&self, object: &Map<String, Value>) -> Option<Row> {
        let get = |column: usize| object.get(&self.keys[column]);
        // `null` means nothing there; a key that is missing altogether breaks the row only where it must be.
        let some = |column: Option<usize>| column.and_then(get).filter(|v| !v.is_null());
        let mut row = Row { xyz: [f64::NAN; 3], ..Row::default() };
        for (value, column) in row.xyz.iter_mut().zip(self.axes) {
            match get(column)? {
                Value::Null => {}
                number => *value = number.as_f64()?,
            }
        }
        if let Some(column) = self.layout.frame {
            row.frame = get(column)?.as_i64()?;
        }
        if let Some(value) = some(self.layout.intensity) {
            row.intensity = value.as_f64()? as f32;
        }
        if let Some(value) = some(self.layout.class) {
            row.class = u8::try_from(value.as_u64()?).ok()?;
        }
        if let Some(value) = some(self.layout.instance) {
            row.instance = u32::try_from(value.as_u64()?).ok()?;
        }
        if let Some((column, ns)) = self.layout.time
            && let Some(value) = some(Some(column))
        {
            row.time_ns = if ns { Some(value.as_i64()?) } else { seconds_to_ns(value.as_f64()?) };
        }
        Some(row)
    }
}

impl RowSource for Records {
    fn next_rows(&mut self) -> Result<Option<Rows>, Error> {
        let mut rows: Option<TextRows> = None;
        while rows.as_ref().is_none_or(|rows| !rows.full())
            && let Some((number, line)) = self.lines.next()?
        {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let object = serde_json::from_slice::<Map<String, Value>>(line).ok();
            if let (None, Some(first)) = (&self.columns, &object) {
                self.columns = Some(Columns::of(&self.path, number, first)?);
            }
            let Some(columns) = &self.columns else {
                self.early += 1;
                continue;
            };
            let row = object.and_then(|object| columns.row(&object));
            rows.get_or_insert_with(|| TextRows::new(&columns.layout)).push(number, row);
        }
        let early = std::mem::take(&mut self.early);
        if early > 0 {
            rows.get_or_insert_with(|| TextRows::new(&Layout::default())).bad_before(early);
        }
        Ok(rows.and_then(TextRows::finish))
    }

    fn has_frames(&self) -> bool {
        self.columns.as_ref().is_some_and(|c| c.layout.frame.is_some())
    }

    fn close(&mut self) {
        self.lines.close();
    }
}
