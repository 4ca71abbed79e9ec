//! CSV, TSV and their like: a header, then a record a line; a quoted cell may hold delimiters and line ends (RFC 4180).
//!
//! The delimiter is the one by which the first line names the columns that there must be: comma, semicolon (numbers may then have a
//! decimal comma), tab, or blanks. Comment lines (`#`, `//`) before the header are passed over, and these marks before its first name.
//! A first line that names nothing, but whose cells are what the first columns hold, is a row: the file has no header.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use thalweg::Next;

use super::blocks::Blocks;
use super::names::{ColumnNames, Kind};
use super::table::{Block, Table};
use super::text::{CUT_OFF, LONGEST, Piece, Reach, Text, line};
use crate::error::{At, Error};
use crate::notices::Notices;

/// Comment lines before the header, at most.
const PREFACE: u64 = 100;

/// An open text.
pub(super) struct CsvTable {
    text: Text,
    kind: &'static Kind,
    names: ColumnNames,
    notices: Notices,
    header: Option<Header>,
    /// A first line that is a row, of a file without a header.
    first: Option<(u64, Vec<u8>)>,
    /// Whether the next line may be the header of a file that took another's place.
    again: bool,
    cells: Cells,
    told: bool,
}

/// What divides cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delimiter {
    Byte(u8),
    /// Blanks, any number of them.
    Blanks,
}

const DELIMITERS: [Delimiter; 5] =
    [Delimiter::Byte(b','), Delimiter::Byte(b';'), Delimiter::Byte(b'\t'), Delimiter::Byte(b'|'), Delimiter::Blanks];

struct Header {
    delimiter: Delimiter,
    /// For each slot its column.
    slots: Vec<Option<usize>>,
    width: usize,
}

impl CsvTable {
    pub(super) fn open(
        text: Text,
        kind: &'static Kind,
        names: &ColumnNames,
        notices: &Notices,
    ) -> Result<CsvTable, Error> {
        let mut table = CsvTable {
            text,
            kind,
            names: names.clone(),
            notices: notices.clone(),
            header: None,
            first: None,
            again: false,
            cells: Cells::default(),
            told: false,
        };
        table.read_header()?;
        Ok(table)
    }

    /// Reads the header if it is there by this time; else tells whether it may come. A file that ends without one has no rows.
    fn read_header(&mut self) -> Result<Option<Next<Block>>, Error> {
        if self.header.is_some() {
            return Ok(None);
        }
        let (mut failed, mut seen) = (None, 0);
        loop {
            let (number, range) = match self.text.piece(line)? {
                Piece::Item(number, range) => (number, range),
                Piece::Anew => continue,
                Piece::Nothing => return Ok(Some(Next::Idle)),
                Piece::End if failed.is_none() && !self.kind.may_be_empty && !self.text.grows() => {
                    self.names.find(self.text.path(), self.kind, &[])?;
                    return Ok(Some(Next::End));
                }
                Piece::End => return failed.map_or(Ok(Some(Next::End)), Err),
            };
            let first = self.text.of(range).to_vec();
            if let Some(found) = no_text(&first) {
                return Err(Error::malformed(self.text.path(), At::Line(number), found, "UTF-8 text, gzipped or not"));
            }
            if first.contains(&b'\r') {
                let (found, expected) = ("lines that end in CR alone", "lines that end in LF or CR LF");
                return Err(Error::malformed(self.text.path(), At::Line(number), found, expected));
            }
            match self.header_of(&first) {
                Ok(header) => {
                    self.header = Some(header);
                    return Ok(None);
                }
                Err(error) => {
                    if let Some(header) = self.bare(&first) {
                        let columns: Vec<_> = (0..header.width.min(self.kind.columns.len()))
                            .filter(|&slot| header.slots[slot].is_some())
                            .map(|slot| self.kind.columns[slot].name)
                            .collect();
                        let what = format!("found no header, took the first columns as {}", columns.join(", "));
                        self.notices.warn(self.text.path(), what);
                        self.header = Some(header);
                        self.first = Some((number, first));
                        return Ok(None);
                    }
                    seen += 1;
                    let comment = first.starts_with(b"#") || first.starts_with(b"//");
                    let error = failed.unwrap_or(error);
                    if !comment || seen > PREFACE {
                        return Err(error);
                    }
                    failed = Some(error);
                }
            }
        }
    }

    /// A header from its line, by the first delimiter by which all columns are found.
    fn header_of(&mut self, first: &[u8]) -> Result<Header, Error> {
        let (mut best, mut error): (usize, Option<Error>) = (0, None);
        for bare in [false, true] {
            let marks = |b: &u8| *b == b'#' || *b == b'/' || b.is_ascii_whitespace();
            let text = if bare { &first[first.iter().take_while(|b| marks(b)).count()..] } else { first };
            if bare && text.len() == first.len() {
                break;
            }
            for delimiter in DELIMITERS {
                self.cells.cut(text, delimiter);
                let names: Vec<_> =
                    self.cells.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_string()).collect();
                match self.names.find(self.text.path(), self.kind, &names) {
                    Ok(slots) => return Ok(Header { delimiter, slots, width: names.len() }),
                    Err(found) if names.len() > best => (best, error) = (names.len(), Some(found)),
                    Err(_) => {}
                }
            }
        }
        Err(error.unwrap_or_else(|| Error::malformed(self.text.path(), At::Header, "no header", self.kind.needs)))
    }

    /// The columns of a file without a header, if its first line may be a row.
    fn bare(&mut self, first: &[u8]) -> Option<Header> {
        let fits = self.kind.bare?;
        DELIMITERS.into_iter().find_map(|delimiter| {
            self.cells.cut(first, delimiter);
            let cells: Option<Vec<_>> = self.cells.iter().map(|cell| std::str::from_utf8(cell).ok()).collect();
            let cells = cells.filter(|cells| fits(cells))?;
            let must = self.kind.columns.iter().take_while(|column| column.must).count();
            let slots = (0..self.kind.columns.len()).map(|slot| (slot < must).then_some(slot)).collect();
            Some(Header { delimiter, slots, width: cells.len() })
        })
    }

    /// Puts a record into the block.
    fn take(kind: &Kind, cells: &mut Cells, header: &Header, blocks: &mut Blocks, number: u64, record: &[u8]) {
        cells.cut(record, header.delimiter);
        if cells.len() != header.width {
            let reason = format!("found {} cells, expected {} as in the header", cells.len(), header.width);
            return blocks.broken(number, reason);
        }
        let row: Vec<Option<&[u8]>> = header.slots.iter().map(|slot| slot.map(|column| cells.get(column))).collect();
        blocks.push(kind, number, &row);
    }
}

impl Table for CsvTable {
    fn next(&mut self) -> Result<Next<Block>, Error> {
        if let Some(without) = self.read_header()? {
            return Ok(without);
        }
        let Some(header) = &self.header else { return Ok(Next::End) };
        let mut blocks = Blocks::new(header.slots.iter().map(Option::is_some));
        blocks.decimal_comma = header.delimiter != Delimiter::Byte(b',');
        if let Some((number, record)) = self.first.take() {
            Self::take(self.kind, &mut self.cells, header, &mut blocks, number, &record);
        }
        let delimiter = header.delimiter;
        let otherwise = loop {
            if blocks.full() {
                break Next::Idle;
            }
            match self.text.piece(|bytes, last| record(bytes, last, delimiter))? {
                Piece::Item(0, _) => {
                    blocks.broken(0, CUT_OFF);
                    self.again = true;
                }
                Piece::Item(number, range) => {
                    if std::mem::take(&mut self.again) {
                        let first = self.text.of(range.clone()).to_vec();
                        if let Ok(header) = self.header_of(&first) {
                            self.header = Some(header);
                            break Next::Idle;
                        }
                    }
                    let Some(header) = &self.header else { break Next::End };
                    Self::take(self.kind, &mut self.cells, header, &mut blocks, number, self.text.of(range));
                }
                Piece::Nothing => break Next::Idle,
                Piece::Anew => self.again = true,
                Piece::End => {
                    self.told = self.text.tell_left(&self.notices, self.told);
                    break Next::End;
                }
            }
        };
        Ok(blocks.finish(self.header.as_ref().map(|header| &header.slots[..]), otherwise))
    }

    fn has(&self, slot: usize) -> bool {
        self.header.as_ref().is_some_and(|header| header.slots[slot].is_some())
    }

    fn close(&mut self) {
        self.text.close();
    }
}

/// What a file is whose first line is no text, in words; such bytes are not for a message.
fn no_text(first: &[u8]) -> Option<&'static str> {
    let wide = first.iter().skip(1).step_by(2).take(8).all(|&b| b == 0) && first.len() > 1;
    match first {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16 text"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive, which an Excel workbook is too"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Some("bzip2 data"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd data"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz data"),
        _ if wide => Some("UTF-16 text"),
        _ => first.contains(&0).then_some("bytes that are no text"),
    }
}

/// How far the record reaches that `bytes` begin with. A quotation mark that nothing closes is no reason to swallow the rest of a file: its
/// line is a record of its own. Nothing closes it where, lines below, the next mark has text behind it: that one opens another cell.
fn record(bytes: &[u8], last: bool, delimiter: Delimiter) -> Reach {
    let first = line(bytes, last);
    let Delimiter::Byte(delimiter) = delimiter else { return first };
    let length = if let Reach::Whole(length) = first { length } else { bytes.len() };
    if !bytes[..length].contains(&b'"') {
        return first;
    }
    let (mut at_start, mut quoted, mut at) = (true, false, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' if quoted && bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' if quoted => {
                quoted = false;
                let ends = |next: &u8| *next == delimiter || next.is_ascii_whitespace();
                // A mark behind a backslash is meant as a part of the text, by writers that do not double it.
                let open = at >= length && bytes[at - 1] != b'\\' && bytes.get(at + 1).is_some_and(|next| !ends(next));
                if open {
                    return line(bytes, true);
                }
            }
            b'"' if at_start => quoted = true,
            b'\n' if !quoted => return Reach::Whole(at + 1),
            _ => {}
        }
        at_start = !quoted && byte == delimiter;
        at += 1;
    }
    match quoted {
        true if last || bytes.len() > LONGEST => line(bytes, true),
        false if last => Reach::Whole(bytes.len()),
        _ => Reach::Open,
    }
}

/// The cells of one record.
#[derive(Default)]
struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
    reader: Option<(u8, Box<Reader>)>,
}

impl Cells {
    fn cut(&mut self, record: &[u8], delimiter: Delimiter) {
        self.text.clear();
        self.ends.clear();
        let mut cell = |cell: &[u8]| {
            self.text.extend_from_slice(cell);
            self.ends.push(self.text.len());
        };
        match delimiter {
            Delimiter::Blanks => {
                let mut rest = record.trim_ascii();
                while !rest.is_empty() {
                    let (word, behind) = first_word(rest);
                    cell(word);
                    rest = behind.trim_ascii_start();
                }
            }
            Delimiter::Byte(byte) if !record.contains(&b'"') => record.split(|&b| b == byte).for_each(cell),
            Delimiter::Byte(byte) => self.cut_quoted(record, byte),
        }
    }

    fn cut_quoted(&mut self, record: &[u8], delimiter: u8) {
        if self.reader.as_ref().is_none_or(|(own, _)| *own != delimiter) {
            self.reader = Some((delimiter, Box::new(ReaderBuilder::new().delimiter(delimiter).build())));
        }
        let Some((_, reader)) = &mut self.reader else { return };
        reader.reset();
        let (mut input, mut text, mut ends) = (record, 0, 0);
        self.text.resize(record.len() + 1, 0);
        self.ends.resize(record.len() + 1, 0);
        loop {
            let (result, read, written, fields) =
                reader.read_record(input, &mut self.text[text..], &mut self.ends[ends..]);
            (text, ends) = (text + written, ends + fields);
            input = &input[read..];
            // Room there is for every byte and cell; an empty input ends the record.
            if result != ReadRecordResult::InputEmpty || (input.is_empty() && read == 0) {
                break;
            }
        }
        self.text.truncate(text);
        self.ends.truncate(ends);
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, column: usize) -> &[u8] {
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        &self.text[start..self.ends[column]]
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|column| self.get(column))
    }
}

/// The first of words that blanks divide, and what is behind it. There may be blanks in a word between quotation marks, and marks behind a
/// backslash, as R writes them.
fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let ends = |at: usize| text[at] == b'"' && text.get(at + 1).is_none_or(u8::is_ascii_whitespace);
    let mut marks = (1..text.len()).filter(|&at| text[0] == b'"' && ends(at));
    let first = marks.clone().next();
    match marks.find(|&at| text[at - 1] != b'\\').or(first) {
        Some(mark) => (&text[1..mark], &text[mark + 1..]),
        None => text.split_at(text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len())),
    }
}
