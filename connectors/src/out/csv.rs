//! CSV out: a header, LF line ends, lists as their JSON text.

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cells::{Style, cells, write_lines};
use super::publish::StagedFile;
use super::writer::RecordWriter;
use crate::error::Error;

/// Writes one CSV file.
pub struct CsvWriter {
    file: StagedFile,
}

impl CsvWriter {
    /// Starts the file, under a temporary name, with its header.
    ///
    /// # Errors
    /// See [`StagedFile::create`].
    pub fn create(path: &Path, schema: SchemaRef) -> Result<CsvWriter, Error> {
        let mut file = StagedFile::create(path)?;
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        writeln!(file, "{}", names.join(",")).map_err(|e| Error::io(path, e))?;
        Ok(CsvWriter { file })
    }
}

impl RecordWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let cells = cells(self.file.destination(), batch, Style::Csv)?;
        write_lines(&mut self.file, batch.num_rows(), |row, out| {
            for (column, cell) in cells.iter().enumerate() {
                if column > 0 {
                    out.push(b',');
                }
                cell(row, out);
            }
        })
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.publish()
    }
}
