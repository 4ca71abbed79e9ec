//! Parquet tables of contacts or tests: cells become text, so that a file means the same in every format.

use std::io::Write;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type};

use super::file::Columns;
use super::row::Kind;
use super::table::{Cells, Table};
use super::time::SECOND;
use crate::error::{At, Error};
use crate::files::guard::guarded;
use crate::tables::parquet::Groups;

/// An open Parquet file.
pub(crate) struct ParquetTable {
    groups: Groups,
    /// For each column of the batches the slot it goes to.
    slots: Vec<Option<usize>>,
    ids: Vec<bool>,
    batch: Vec<ArrayRef>,
    rows: usize,
    next: usize,
    first: u64,
}

impl ParquetTable {
    pub(crate) fn open(path: &Path, kind: &'static Kind, columns: &Columns) -> Result<ParquetTable, Error> {
        let names = |schema: &arrow::datatypes::Schema| -> Vec<String> {
            schema.fields().iter().map(|f| f.name().clone()).collect()
        };
        let groups =
            Groups::open(path, |schema| Ok(columns.find(path, kind, &names(schema))?.into_iter().flatten().collect()))?;
        let found = columns.find(path, kind, &names(groups.schema()))?;
        let width = groups.schema().fields().len();
        let (mut slots, mut ids) = (vec![None; width], vec![false; width]);
        for (slot, (column, (_, _, is_id))) in found.into_iter().zip(kind.columns).enumerate() {
            if let Some(column) = column.filter(|&column| column < width) {
                slots[column] = Some(slot);
                ids[column] = *is_id;
            }
        }
        for (field, _) in groups.schema().fields().iter().zip(&slots).filter(|(_, slot)| slot.is_some()) {
            if target(field.data_type()).is_none() {
                let found = field.data_type().to_string();
                return Err(Error::malformed(
                    path,
                    At::Field(field.name().clone()),
                    found,
                    "strings, numbers or times",
                ));
            }
        }
        Ok(ParquetTable { groups, slots, ids, batch: Vec::new(), rows: 0, next: 0, first: 0 })
    }

    /// Fetches a batch; false after the last.
    fn fetch(&mut self) -> Result<bool, Error> {
        while self.next >= self.rows {
            let Some((first, batch)) = self.groups.next_batch()? else { return Ok(false) };
            let path = self.groups.path().to_path_buf();
            let broken =
                |e: arrow::error::ArrowError| Error::malformed(&path, At::Row(first), e.to_string(), "a column");
            self.batch = guarded(&path, "a Parquet file", || {
                let wide = |array: &ArrayRef| cast(array, &target(array.data_type()).unwrap_or(DataType::Utf8));
                batch.columns().iter().map(|array| wide(array).map_err(broken)).collect()
            })?;
            (self.rows, self.next, self.first) = (batch.num_rows(), 0, first);
        }
        Ok(true)
    }
}

/// The widest type of its family, in which a column's cells are read.
fn target(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(DataType::Int64),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Some(DataType::UInt64),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(DataType::Float64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::Dictionary(_, values) => target(values),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Some(DataType::Binary),
        DataType::Timestamp(..) | DataType::Date32 => Some(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        _ => None,
    }
}

impl Table for ParquetTable {
    fn next(&mut self, cells: &mut Cells) -> Result<Option<u64>, Error> {
        if !self.fetch()? {
            return Ok(None);
        }
        let row = self.next;
        self.next += 1;
        cells.clear();
        for ((array, slot), is_id) in self.batch.iter().zip(&self.slots).zip(&self.ids) {
            if let Some(slot) = slot.filter(|_| !array.is_null(row)) {
                cells.put(slot, |out| write(array, row, *is_id, out));
            }
        }
        Ok(Some(self.first + row as u64 + 1))
    }
}

/// Writes a cell of a column that [`target`] knows; what is written into memory cannot fail.
fn write(array: &ArrayRef, row: usize, is_id: bool, out: &mut Vec<u8>) {
    let _ = match array.data_type() {
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => write!(out, "{}", array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            // NaN is how tables of floats say that nothing is there.
            if is_id && value.is_nan() { Ok(()) } else { write!(out, "{value}") }
        }
        DataType::Timestamp(..) => {
            let ns = array.as_primitive::<TimestampNanosecondType>().value(row);
            let (sign, size) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
            write!(out, "{sign}{}.{:09}", size / SECOND.unsigned_abs(), size % SECOND.unsigned_abs())
        }
        DataType::Binary => {
            out.extend_from_slice(array.as_binary::<i32>().value(row));
            Ok(())
        }
        _ => {
            out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
            Ok(())
        }
    };
}
