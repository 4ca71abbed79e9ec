//! Arrow IPC files (Feather version 2) out; batches are left as they come: the same rows give the same bytes.

use std::path::{Path, PathBuf};

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use ::arrow::error::ArrowError;
use ::arrow::ipc::writer::FileWriter;

use super::publish::StagedFile;
use super::records::RecordWriter;
use crate::error::Error;

/// Writes one Arrow IPC file.
pub struct ArrowWriter {
    writer: FileWriter<StagedFile>,
    path: PathBuf,
}

impl ArrowWriter {
    /// Starts the file under a temporary name.
    ///
    /// # Errors
    /// See [`StagedFile::create`].
    pub fn create(path: &Path, schema: SchemaRef) -> Result<ArrowWriter, Error> {
        let file = StagedFile::create(path)?;
        let writer = FileWriter::try_new(file, &schema).map_err(|e| failed(path, e))?;
        Ok(ArrowWriter { writer, path: path.into() })
    }
}

fn failed(path: &Path, error: ArrowError) -> Error {
    Error::io(path, std::io::Error::other(error))
}

impl RecordWriter for ArrowWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.writer.write(batch).map_err(|e| failed(&self.path, e))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.writer.finish().map_err(|e| failed(&self.path, e))?;
        self.writer.into_inner().map_err(|e| failed(&self.path, e))?.publish()
    }
}
