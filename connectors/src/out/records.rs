//! Sinks of tables: items become Arrow record batches, and a writer of one format puts them into one file.

use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use thalweg::{BoxError, Epoch, Sink};

use super::segments::{Roll, SegmentSink};
use super::writer::{Batches, RecordWriter, SchemaRef};
use crate::error::Error;

/// The writer that a path's ending asks for: `.parquet`, `.arrow`, `.csv` or `.jsonl`.
///
/// # Errors
/// Another ending; a file that cannot be started.
pub fn create(path: &Path, schema: SchemaRef) -> Result<Box<dyn RecordWriter>, Error> {
    Ok(match Ending::of(path)? {
        Ending::Parquet => Box::new(super::parquet::ParquetWriter::create(path, schema)?),
        Ending::Arrow => Box::new(super::arrow::ArrowWriter::create(path, schema)?),
        Ending::Csv => Box::new(super::csv::CsvWriter::create(path, schema)?),
        Ending::Jsonl => Box::new(super::jsonl::JsonlWriter::create(path, schema)?),
    })
}

/// The formats of tables that are written, by the endings of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `.parquet`
    Parquet,
    /// `.arrow`
    Arrow,
    /// `.csv`
    Csv,
    /// `.jsonl`
    Jsonl,
}

impl Ending {
    /// That of a path.
    ///
    /// # Errors
    /// Another ending.
    pub fn of(path: &Path) -> Result<Ending, Error> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        Ok(match ending.as_deref() {
            Some("parquet") => Ending::Parquet,
            Some("arrow") => Ending::Arrow,
            Some("csv") => Ending::Csv,
            Some("jsonl") => Ending::Jsonl,
            _ => {
                let found = ending.map_or("a name without an ending".into(), |e| format!("the ending .{e}"));
                let expected = "a name ending in .parquet, .arrow, .csv or .jsonl".into();
                return Err(Error::Value {
                    what: "output",
                    found: format!("{} with {found}", path.display()),
                    expected,
                });
            }
        })
    }
}

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
    path: PathBuf,
    writer: Option<Box<dyn RecordWriter>>,
    batches: Batches<T>,
}

impl<T> TableSink<T> {
    /// A sink in the format that the path's ending names.
    ///
    /// # Errors
    /// See [`create`].
    pub fn create(path: &Path, schema: SchemaRef, batches: Batches<T>) -> Result<TableSink<T>, Error> {
        Ok(TableSink { path: path.into(), writer: Some(create(path, schema)?), batches })
    }
}

impl<T> Sink<T> for TableSink<T> {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn destination(&self) -> Option<&Path> {
        Some(&self.path)
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

/// A sink that turns each item into columns and writes them: for pipelines of one's own. A name ending in `/` is a folder of segments, for
/// runs without end: see [`SegmentSink`]. Any other ending is that of one file: see [`create`].
///
/// ```
/// use std::sync::Arc;
///
/// use thalweg::Sink;
/// use thalweg_connectors::arrow::array::{ArrayRef, UInt64Array};
/// use thalweg_connectors::out::records::ColumnsSink;
///
/// fn columns(items: &[u64]) -> Vec<(&'static str, ArrayRef)> {
///     vec![("n", Arc::new(UInt64Array::from_iter_values(items.iter().copied())))]
/// }
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.csv");
/// let mut sink = ColumnsSink::create(&path, columns)?;
/// sink.write(0, 7)?;
/// sink.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "n\n7\n");
///
/// let mut sink = ColumnsSink::create(&folder.path().join("numbers/"), columns)?;
/// sink.write(0, 7)?;
/// sink.finish()?;
/// assert!(folder.path().join("numbers/manifest.json").exists());
/// # Ok::<(), thalweg::BoxError>(())
/// ```
pub struct ColumnsSink<T, F> {
    sink: Box<dyn Sink<RecordBatch>>,
    columns: F,
    items: std::marker::PhantomData<fn(T)>,
}

impl<T, F: Fn(&[T]) -> Vec<(&'static str, ArrayRef)>> ColumnsSink<T, F> {
    /// A sink in the format that the path's ending names. `columns` turns items into columns of one length; of no item it gives columns
    /// without rows, which say their names and types.
    ///
    /// # Errors
    /// See [`create`] and [`SegmentSink::create`]; columns of unequal length.
    pub fn create(path: &Path, columns: F) -> Result<Self, Error> {
        let schema = batch(columns(&[]))?.schema();
        let sink: Box<dyn Sink<RecordBatch>> = if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            Box::new(SegmentSink::create(path, schema, whole, Roll::default())?)
        } else {
            Box::new(TableSink::create(path, schema, whole)?)
        };
        Ok(ColumnsSink { sink, columns, items: std::marker::PhantomData })
    }
}

/// A batch as the rows of one item.
fn whole(batch: &RecordBatch) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>>> {
    Box::new(std::iter::once(Ok(batch.clone())))
}

fn batch(columns: Vec<(&'static str, ArrayRef)>) -> Result<RecordBatch, Error> {
    RecordBatch::try_from_iter(columns).map_err(|e| Error::Value {
        what: "columns",
        found: e.to_string(),
        expected: "columns of one length".into(),
    })
}

impl<T, F: Fn(&[T]) -> Vec<(&'static str, ArrayRef)> + Send> Sink<T> for ColumnsSink<T, F> {
    fn name(&self) -> String {
        self.sink.name()
    }

    fn destination(&self) -> Option<&Path> {
        self.sink.destination()
    }

    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError> {
        self.sink.write(epoch, batch((self.columns)(&[item]))?)
    }

    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError> {
        self.sink.tick(complete)
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        self.sink.finish()
    }
}
