//! What a format of tables is to the sinks: a writer of record batches.

use arrow::array::RecordBatch;
pub use arrow::datatypes::SchemaRef;

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

/// The rows of one item, batch by batch: see [`crate::out::batches`].
pub type Batches<T> = for<'a> fn(&'a T) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a>;
