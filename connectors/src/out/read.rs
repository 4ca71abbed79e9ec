//! The rows of a folder of segments as one file, the same bytes however they were cut into segments.

use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::batches::ROWS;
use super::records;
use super::segment::check;
use super::segments::Manifest;
use super::store::Store;
use crate::error::Error;

/// Writes the published rows of `folder` to `output`, in the order of the segments; how many there are.
///
/// # Errors
/// A folder without a manifest, a segment that is missing or has changed, an output that cannot be written.
pub fn rows(folder: &Path, output: &Path) -> Result<u64, Error> {
    let store = Store::at(folder)?;
    let manifest = Manifest::listed(&store)?;
    manifest.has_all(&store)?;
    let Some(first) = manifest.segments.first() else {
        let expected = "segments: those of a run that wrote rows";
        return Err(Error::unsupported(folder, "a manifest without segments", expected));
    };
    store.fetch(&first.file)?;
    let schema = open(&store.local(&first.file))?.schema().clone();
    let (schema, plain) = (schema.clone(), of_texts(&schema));
    let mut writer = records::create(output, schema.clone())?;
    let (mut held, mut rows, mut written): (Vec<RecordBatch>, usize, u64) = (Vec::new(), 0, 0);
    let mut flush = |held: &mut Vec<RecordBatch>, rows: &mut usize, all: bool| -> Result<(), Error> {
        while *rows >= ROWS || (all && *rows > 0) {
            let whole = concat_batches(&plain, held.iter()).map_err(|e| failed(folder, e))?;
            let count = whole.num_rows().min(ROWS);
            writer.write(&with_dictionaries(&whole.slice(0, count), &schema).map_err(|e| failed(folder, e))?)?;
            written += count as u64;
            *rows = whole.num_rows() - count;
            *held = if *rows > 0 { vec![whole.slice(count, *rows)] } else { Vec::new() };
        }
        Ok(())
    };
    for segment in &manifest.segments {
        let path = store.path(&segment.file);
        check(&store, &segment.file, segment)?;
        let reader = open(&store.local(&segment.file))?.with_batch_size(ROWS).build().map_err(|e| failed(&path, e))?;
        for batch in reader {
            let batch = batch.and_then(|batch| with_dictionaries(&batch, &plain)).map_err(|e| failed(&path, e))?;
            rows += batch.num_rows();
            held.push(batch);
            flush(&mut held, &mut rows, false)?;
        }
        store.release(&segment.file);
    }
    flush(&mut held, &mut rows, true)?;
    writer.finish()?;
    Ok(written)
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, Error> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed(path, e))
}

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::io(path, std::io::Error::other(error))
}

/// The same columns, with texts where dictionaries of texts are: which values a dictionary holds would depend on how rows were cut.
fn of_texts(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, value) => Field::new(field.name(), (**value).clone(), field.is_nullable()),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// The rows with the types of `schema`.
fn with_dictionaries(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<ArrayRef>, _>>()?)
}
