//! CSV out: a header, LF line ends, lists as their JSON text.

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cells::{Style, cells};
use super::publish::StagedFile;
use super::records::RecordWriter;
use crate::error::Error;

/// Writes one CSV file.
pub struct CsvWriter {
    file: StagedFile,
    out: Vec<u8>,
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
        Ok(CsvWriter { file, out: Vec::new() })
    }
}

impl RecordWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let cells = cells(self.file.destination(), batch, Style::Csv)?;
        for row in 0..batch.num_rows() {
            for (column, cell) in cells.iter().enumerate() {
                if column > 0 {
                    self.out.push(b',');
                }
                cell(row, &mut self.out);
            }
            self.out.push(b'\n');
            if self.out.len() >= 1 << 16 || row + 1 == batch.num_rows() {
                self.file.write_all(&self.out).map_err(|e| Error::io(self.file.destination(), e))?;
                self.out.clear();
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.file.publish()
    }
}
