//! CSV: tables of points in, tables of results out.
//!
//! Read: the first line names the columns; a record is a line; cells are divided by commas, or by tabs if the first line has tabs and
//! no comma. A line whose cells do not parse is counted `malformed` and the rest goes on. Numbers are read as f64.
//! Written: a header, LF line ends, lists as their JSON text.

use std::path::{Path, PathBuf};

use ::csv::{ByteRecord, ReaderBuilder};

use crate::error::{At, Error};
use crate::files::lines::Lines;
use crate::points::columns::{Layout, Position, seconds_to_ns};
use crate::points::format::{Format, ReadOptions, Reader};
use crate::points::table::{Row, RowSource, Rows, Table, TextRows};

/// A CSV table of points.
pub const FORMAT: Format = Format {
    name: "csv",
    what: "CSV or TSV table with frame, x, y, z",
    extensions: &["csv", "tsv"],
    magic: &[],
    open: |path, options| Ok(Box::new(Table::new(path, options, Records::open(path, false)?))),
};

/// Opens a CSV file that is still being written.
pub(crate) fn follow(path: &Path, options: &ReadOptions) -> Result<Box<dyn Reader>, Error> {
    Ok(Box::new(Table::new(path, options, Records::open(path, true)?).growing()))
}

/// What a column of the file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Frame,
    Axis(usize),
    Intensity,
    Class,
    Instance,
    /// True if it counts nanoseconds.
    Time(bool),
}

/// What the first line says.
struct Header {
    delimiter: u8,
    slots: Vec<Option<Slot>>,
    layout: Layout,
}

/// The rows of a CSV file.
struct Records {
    path: PathBuf,
    lines: Lines,
    header: Option<Header>,
}

impl Records {
    fn open(path: &Path, growing: bool) -> Result<Records, Error> {
        let mut records = Records { path: path.into(), lines: Lines::open(path, growing)?, header: None };
        records.read_header()?;
        Ok(records)
    }

    /// Reads the header if it is there by this time.
    fn read_header(&mut self) -> Result<(), Error> {
        if self.header.is_none()
            && let Some((_, line)) = self.lines.next()?
        {
            self.header = Some(Header::of(&self.path, line)?);
        }
        Ok(())
    }
}

impl Header {
    fn of(path: &Path, line: &[u8]) -> Result<Header, Error> {
        let (delimiter, names) = header(line);
        let layout = Layout::of(path, &names)?;
        let Position::Axes(axes) = layout.position else {
            return Err(Error::malformed(path, At::Line(1), "a column xyz", "columns x, y, z"));
        };
        let mut slots = vec![None; names.len()];
        let optional = [
            (layout.frame, Slot::Frame),
            (layout.intensity, Slot::Intensity),
            (layout.class, Slot::Class),
            (layout.instance, Slot::Instance),
            (layout.time.map(|t| t.0), Slot::Time(layout.time.is_some_and(|t| t.1))),
        ];
        let axes = axes.into_iter().enumerate().map(|(axis, column)| (Some(column), Slot::Axis(axis)));
        for (column, slot) in axes.chain(optional) {
            if let Some(column) = column {
                slots[column] = Some(slot);
            }
        }
        Ok(Header { delimiter, slots, layout })
    }

    /// One record; `None` if a cell is missing or does not parse.
    fn row(&self, line: &[u8]) -> Option<Row> {
        let mut row = Row { xyz: [f64::NAN; 3], ..Row::default() };
        let mut missing = self.slots.iter().flatten().count();
        let mut good = true;
        split(line, self.delimiter, |column, cell| {
            if let Some(slot) = self.slots.get(column).copied().flatten() {
                missing -= 1;
                good &= std::str::from_utf8(cell).is_ok_and(|cell| fill(&mut row, slot, cell.trim()).is_some());
            }
        });
        (good && missing == 0).then_some(row)
    }
}

/// Puts one cell into the row; an empty one means nothing there, which no frame number may be.
fn fill(row: &mut Row, slot: Slot, cell: &str) -> Option<()> {
    if cell.is_empty() {
        return (slot != Slot::Frame).then_some(());
    }
    match slot {
        Slot::Frame => row.frame = cell.parse().ok()?,
        Slot::Axis(axis) => row.xyz[axis] = cell.parse().ok()?,
        Slot::Intensity => row.intensity = cell.parse().ok()?,
        Slot::Class => row.class = cell.parse().ok()?,
        Slot::Instance => row.instance = cell.parse().ok()?,
        Slot::Time(true) => row.time_ns = Some(cell.parse().ok()?),
        Slot::Time(false) => row.time_ns = seconds_to_ns(cell.parse().ok()?),
    }
    Some(())
}

/// The delimiter of a table, a tab if its first line has one and no comma, and the names of its columns; a byte order mark is passed over.
pub(crate) fn header(line: &[u8]) -> (u8, Vec<String>) {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let delimiter = if line.contains(&b'\t') && !line.contains(&b',') { b'\t' } else { b',' };
    let mut names = Vec::new();
    split(line, delimiter, |_, cell| names.push(String::from_utf8_lossy(cell).trim().to_string()));
    (delimiter, names)
}

/// Hands out the cells of a line with their columns.
pub(crate) fn split(line: &[u8], delimiter: u8, mut cell: impl FnMut(usize, &[u8])) {
    if !line.contains(&b'"') {
        return line.split(|&b| b == delimiter).enumerate().for_each(|(i, c)| cell(i, c));
    }
    let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(line);
    let mut record = ByteRecord::new();
    if reader.read_byte_record(&mut record).unwrap_or(false) {
        record.iter().enumerate().for_each(|(i, c)| cell(i, c));
    }
}

impl RowSource for Records {
    fn next_rows(&mut self) -> Result<Option<Rows>, Error> {
        self.read_header()?;
        let Some(header) = &self.header else { return Ok(None) };
        let mut rows = TextRows::new(&header.layout);
        while !rows.full()
            && let Some((number, line)) = self.lines.next()?
        {
            if !line.is_empty() {
                rows.push(number, header.row(line));
            }
        }
        Ok(rows.finish())
    }

    fn has_frames(&self) -> bool {
        self.header.as_ref().is_some_and(|h| h.layout.frame.is_some())
    }

    fn close(&mut self) {
        self.lines.close();
    }
}
