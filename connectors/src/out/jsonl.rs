//! JSON lines out: one object a line, keys in column order.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cells::{Style, cells, key, object, write_lines};
use super::publish::StagedFile;
use super::writer::RecordWriter;
use crate::error::Error;

/// Writes one file of JSON lines.
pub struct JsonlWriter {
    file: StagedFile,
    keys: Vec<Vec<u8>>,
}

impl JsonlWriter {
    /// Starts the file under a temporary name.
    ///
    /// # Errors
    /// See [`StagedFile::create`].
    pub fn create(path: &Path, schema: SchemaRef) -> Result<JsonlWriter, Error> {
        let keys = schema.fields().iter().map(|f| key(f.name())).collect();
        Ok(JsonlWriter { file: StagedFile::create(path)?, keys })
    }
}

impl RecordWriter for JsonlWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let cells = cells(self.file.destination(), batch, Style::Json)?;
        let members: Vec<_> = self.keys.iter().cloned().zip(cells).collect();
        write_lines(&mut self.file, batch.num_rows(), |row, out| object(&members, row, out))
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.publish()
    }
}
