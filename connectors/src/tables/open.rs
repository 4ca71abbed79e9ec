//! Opens a table of any format: one that is given, or said by the name's ending, or by the first bytes.

use std::path::Path;

use thalweg::Next;

use super::format::TableFormat;
use super::names::{ColumnNames, Kind};
use super::options::{Opening, TableOptions};
use super::table::{Block, Table};
use super::{arrow, csv, json, parquet, text};
use crate::error::Error;
use crate::files::got::Got;
use crate::files::stream::Stream;
use crate::notices::Notices;

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
