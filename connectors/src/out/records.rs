//! Sinks of tables: items become Arrow record batches, and a writer of one format puts them into one file.

use std::path::Path;

use arrow::array::RecordBatch;
pub use arrow::datatypes::SchemaRef;
use thalweg::{BoxError, Epoch, Sink};

use crate::error::Error;

/// Writes record batches of one schema into one file, which appears under its name when [`RecordWriter::finish`] succeeds;
/// a writer dropped before that leaves nothing.
pub trait RecordWriter: Send {
    /// Appends a batch.
    ///
    /// # Errors
    /// A destination that cannot be written.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error>;

    /// Ends the file, makes it durable and gives it its name.
    ///
    /// # Errors
    /// A destination that cannot be written or renamed.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// The writer that a path's ending asks for: `.parquet`, `.arrow`, `.csv` or `.jsonl`.
///
/// # Errors
/// Another ending; a file that cannot be started.
pub fn create(path: &Path, schema: SchemaRef) -> Result<Box<dyn RecordWriter>, Error> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    Ok(match ending.as_deref() {
        Some("parquet") => Box::new(super::parquet::ParquetWriter::create(path, schema)?),
        Some("arrow") => Box::new(super::arrow::ArrowWriter::create(path, schema)?),
        Some("csv") => Box::new(super::csv::CsvWriter::create(path, schema)?),
        Some("jsonl") => Box::new(super::jsonl::JsonlWriter::create(path, schema)?),
        _ => {
            let found = ending.map_or("a name without an ending".into(), |e| format!("the ending .{e}"));
            let expected = "a name ending in .parquet, .arrow, .csv or .jsonl".into();
            return Err(Error::Value { what: "output", found: format!("{} with {found}", path.display()), expected });
        }
    })
}

/// The rows of one item, batch by batch: see [`crate::out::batches`].
pub type Batches<T> = for<'a> fn(&'a T) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a>;

/// A sink that writes every item's rows to one file.
///
/// ```
/// use arrow::array::{Int64Array, RecordBatch};
/// use thalweg::Sink;
/// use thalweg_connectors::Error;
/// use thalweg_connectors::out::records;
///
/// fn rows(n: &i64) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>>> {
///     let columns = [("n", std::sync::Arc::new(Int64Array::from(vec![*n])) as _)];
///     Box::new(std::iter::once(Ok(RecordBatch::try_from_iter(columns).expect("one column"))))
/// }
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.csv");
/// let schema = rows(&0).next().expect("one batch")?.schema();
/// let mut sink = records::TableSink::create(&path, schema, rows)?;
/// sink.write(0, 7)?;
/// sink.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "n\n7\n");
/// # Ok::<(), thalweg::BoxError>(())
/// ```
pub struct TableSink<T> {
    name: String,
    writer: Option<Box<dyn RecordWriter>>,
    batches: Batches<T>,
}

impl<T> TableSink<T> {
    /// A sink in the format that the path's ending names.
    ///
    /// # Errors
    /// See [`create`].
    pub fn create(path: &Path, schema: SchemaRef, batches: Batches<T>) -> Result<TableSink<T>, Error> {
        Ok(TableSink { name: path.display().to_string(), writer: Some(create(path, schema)?), batches })
    }
}

impl<T> Sink<T> for TableSink<T> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn write(&mut self, _: Epoch, item: T) -> Result<(), BoxError> {
        // A writer that failed is dropped here, and its temporary file with it.
        if let Some(mut writer) = self.writer.take() {
            for batch in (self.batches)(&item) {
                writer.write(&batch?)?;
            }
            self.writer = Some(writer);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        match self.writer.take() {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }
}
