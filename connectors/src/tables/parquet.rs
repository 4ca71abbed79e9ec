//! Parquet in.
//!
//! Reading goes by row group and batches of 65,536 rows; the sizes that page headers declare are checked before their pages are
//! decompressed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use thalweg::Next;

use super::options::Opening;
use super::table::{Block, Table};
use super::thrift;
use crate::error::{At, Error};
use crate::files::guard::guarded;
use crate::files::open_regular;

const EXPECTED: &str = "a Parquet file";
const BATCH: usize = 65_536;
/// A page may not unpack to more than this beyond what the file's own length allows; writers aim at 1 MiB a page.
const LARGEST_PAGE: u64 = 16 << 20;

fn malformed(path: &Path, error: ParquetError) -> Error {
    let text = match error {
        ParquetError::General(text) | ParquetError::NYI(text) | ParquetError::EOF(text) => text,
        ParquetError::ArrowError(text) => text,
        other => other.to_string(),
    };
    Error::malformed(path, At::File, text, EXPECTED)
}

/// Record batches of some columns of a Parquet file.
struct Groups {
    path: PathBuf,
    file: File,
    length: u64,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    group: usize,
    reader: Option<(ParquetRecordBatchReader, u64)>,
    row: u64,
}

impl Groups {
    /// Opens the file; `choose` picks columns of its schema, which batches keep in the file's order.
    fn open(path: &Path, choose: impl FnOnce(&Schema) -> Result<Vec<usize>, Error>) -> Result<Groups, Error> {
        let file = open_regular(path)?;
        let io = |e| Error::io(path, e);
        let length = file.metadata().map_err(io)?.len();
        // The Arrow schema stored beside the columns says what Parquet has no type for, such as durations; it may be corrupt where the
        // columns are not.
        let load = |options: ArrowReaderOptions| {
            guarded(path, EXPECTED, || ArrowReaderMetadata::load(&file, options).map_err(|e| malformed(path, e)))
        };
        let bare = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = load(ArrowReaderOptions::new()).or_else(|_| load(bare()))?;
        let mut columns = choose(metadata.schema())?;
        columns.sort_unstable();
        columns.dedup();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
        Ok(Groups { path: path.into(), file, length, metadata, mask, group: 0, reader: None, row: 0 })
    }

    /// Opens the next row group, if there is one.
    fn next_group(&mut self) -> Result<bool, Error> {
        let metadata = self.metadata.metadata().clone();
        if self.group >= metadata.num_row_groups() {
            return Ok(false);
        }
        let group = metadata.row_group(self.group);
        let path = self.path.clone();
        let reader = guarded(&path, EXPECTED, || {
            self.check(group)?;
            let file = self.file.try_clone().map_err(|e| Error::io(&path, e))?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![self.group])
                .with_projection(self.mask.clone())
                .with_batch_size(BATCH)
                .build()
                .map_err(|e| malformed(&path, e))
        })?;
        self.reader = Some((reader, u64::try_from(group.num_rows()).unwrap_or(0)));
        self.group += 1;
        Ok(true)
    }

    /// Checks every size that a row group's columns in use declare against the file.
    fn check(&self, group: &RowGroupMetaData) -> Result<(), Error> {
        let bad =
            |what: String| Error::malformed(&self.path, At::Field(format!("row group {}", self.group)), what, EXPECTED);
        if group.num_rows() < 0 {
            return Err(bad(format!("{} rows", group.num_rows())));
        }
        (0..group.num_columns())
            .filter(|&leaf| self.mask.leaf_included(leaf))
            .try_for_each(|leaf| self.check_pages(group.column(leaf)))
    }

    fn check_pages(&self, chunk: &ColumnChunkMetaData) -> Result<(), Error> {
        let (mut at, length) = chunk.byte_range();
        let end = at.checked_add(length).filter(|&end| end <= self.length);
        let end = end.ok_or_else(|| {
            let found = format!("a column of {length} bytes at {at} in a file of {}", self.length);
            Error::malformed(&self.path, At::Field(chunk.column_path().string()), found, EXPECTED)
        })?;
        let limit = LARGEST_PAGE + 2 * self.length;
        let values = u64::try_from(chunk.num_values()).unwrap_or(0);
        while at < end {
            let page = self.page_header(at, end)?;
            let bad =
                |found: String, expected: String| Err(Error::malformed(&self.path, At::Offset(at), found, expected));
            if page.uncompressed > limit {
                return bad(format!("a page of {} bytes", page.uncompressed), format!("at most {limit}"));
            }
            if page.values > values.max(page.uncompressed) {
                return bad(format!("{} values in a page", page.values), format!("at most {values}"));
            }
            let next = (at + page.header as u64).saturating_add(page.compressed);
            if next > end {
                return bad(
                    format!("a page of {} bytes", page.compressed),
                    format!("an end at or before offset {end}"),
                );
            }
            at = next;
        }
        Ok(())
    }

    /// Reads the header at an offset: a little of the file at first, more if that is not enough.
    fn page_header(&self, at: u64, end: u64) -> Result<thrift::PageHeader, Error> {
        let mut room = 256;
        loop {
            let mut bytes = vec![0; room.min((end - at) as usize)];
            self.file.read_exact_at(&mut bytes, at).map_err(|e| Error::io(&self.path, e))?;
            match thrift::page_header(&bytes) {
                Ok(header) => return Ok(header),
                Err(_) if (bytes.len() as u64) < end - at && room < 1 << 20 => room *= 16,
                Err(broken) => {
                    return Err(Error::malformed(
                        &self.path,
                        At::Offset(at + broken.at as u64),
                        broken.found,
                        "a page header",
                    ));
                }
            }
        }
    }
}

impl Groups {
    /// Goes on behind the row group at hand, or that which could not be opened.
    fn pass(&mut self) {
        let metadata = self.metadata.metadata();
        let left = match self.reader.take() {
            Some((_, left)) => left,
            None if self.group < metadata.num_row_groups() => {
                let rows = metadata.row_group(self.group).num_rows();
                self.group += 1;
                u64::try_from(rows).unwrap_or(0)
            }
            None => 0,
        };
        self.row = self.row.saturating_add(left);
    }

    /// The next batch, and the place of its first row in the file; `None` after the last.
    fn next_batch(&mut self) -> Result<Option<(u64, RecordBatch)>, Error> {
        loop {
            if let Some((reader, left)) = &mut self.reader {
                let path = &self.path;
                let batch =
                    guarded(path, EXPECTED, || reader.next().transpose().map_err(|e| malformed(path, e.into())))?;
                if let Some(batch) = batch {
                    *left = left.saturating_sub(batch.num_rows() as u64);
                    let first = self.row;
                    self.row += batch.num_rows() as u64;
                    return Ok(Some((first, batch)));
                }
                if *left > 0 {
                    let (at, found) = (At::Row(self.row), format!("an end {left} rows early"));
                    return Err(Error::malformed(path, at, found, "as many rows as the footer says"));
                }
                self.reader = None;
            }
            if !self.next_group()? {
                return Ok(None);
            }
        }
    }
}

/// An open Parquet file.
pub(super) struct ParquetTable {
    groups: Groups,
    slots: Vec<Option<usize>>,
}

impl ParquetTable {
    pub(super) fn open(path: &Path, opening: Opening) -> Result<ParquetTable, Error> {
        let (kind, names) = (opening.kind, &opening.options.columns);
        let find = |schema: &Schema| {
            let all: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            names.find(path, kind, &all)
        };
        let mut chosen = Vec::new();
        let groups = Groups::open(path, |schema| {
            chosen = find(schema)?;
            Ok(chosen.iter().flatten().copied().collect())
        })?;
        // Batches keep the chosen columns in the file's order.
        let mut order: Vec<usize> = chosen.iter().flatten().copied().collect();
        order.sort_unstable();
        order.dedup();
        let slots = chosen.into_iter().map(|column| column.and_then(|column| order.binary_search(&column).ok()));
        Ok(ParquetTable { groups, slots: slots.collect() })
    }
}

impl Table for ParquetTable {
    fn next(&mut self) -> Result<Next<Block>, Error> {
        loop {
            let Some((first, batch)) = self.groups.next_batch()? else { return Ok(Next::End) };
            if batch.num_rows() > 0 {
                return Ok(Next::Item(Block::of_batch(&batch, &self.slots, first)));
            }
        }
    }

    fn has(&self, slot: usize) -> bool {
        self.slots[slot].is_some()
    }

    fn pass(&mut self) -> bool {
        self.groups.pass();
        true
    }
}
