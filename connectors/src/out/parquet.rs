//! Parquet out. Writing is single-threaded, row groups are cut by rows and no time is stamped: the same rows give the same bytes.

use std::path::{Path, PathBuf};

use ::parquet::arrow::arrow_writer::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use super::publish::StagedFile;
use super::writer::RecordWriter;
use crate::error::Error;

/// Writes one Parquet file: zstd level 1, row groups of at most 2^20 rows.
pub struct ParquetWriter {
    writer: ArrowWriter<StagedFile>,
    path: PathBuf,
}

impl ParquetWriter {
    /// Starts the file under a temporary name.
    ///
    /// # Errors
    /// See [`StagedFile::create`].
    pub fn create(path: &Path, schema: SchemaRef) -> Result<ParquetWriter, Error> {
        let file = StagedFile::create(path)?;
        let properties = properties(&schema);
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(|e| failed(path, e))?;
        Ok(ParquetWriter { writer, path: path.into() })
    }

    /// Ends the file, still under its temporary name.
    pub(crate) fn end(self) -> Result<StagedFile, Error> {
        self.writer.into_inner().map_err(|e| failed(&self.path, e))
    }
}

fn failed(path: &Path, error: ParquetError) -> Error {
    Error::io(path, std::io::Error::other(error))
}

impl RecordWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.writer.write(batch).map_err(|e| failed(&self.path, e))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.end()?.publish()
    }
}

/// Encodings by type, chosen by time and size on the kNN table of a 120,000-point frame (2 million rows): integers as bit-packed
/// differences, floats with their bytes apart. The mantissas and the neighbours' ids hardly compress: zstd would spend on them a third of
/// the whole time for 5 % of the bytes, snappy passes over them. Ranks and classes, the same few bytes over and over, zstd shrinks to nothing
/// as they stand: ranks in 6 ms, where differences take 18. (Frame numbers as they stand it does badly: 80 ms, where differences take 15.)
fn properties(schema: &SchemaRef) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(1 << 20))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        let encoding = match field.data_type() {
            DataType::Int8 | DataType::UInt8 => Encoding::PLAIN,
            DataType::Int32 | DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Encoding::DELTA_BINARY_PACKED,
            DataType::Float32 | DataType::Float64 => Encoding::BYTE_STREAM_SPLIT,
            _ => continue,
        };
        builder =
            builder.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column.clone(), encoding);
        if matches!(field.data_type(), DataType::UInt64 | DataType::Float32 | DataType::Float64) {
            builder = builder.set_column_compression(column, Compression::SNAPPY);
        }
    }
    builder.build()
}
