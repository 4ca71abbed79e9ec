//! Arrow IPC files (Feather version 2) out; batches are left as they come: the same rows give the same bytes.
//!
//! Such a file has one dictionary a column, which may grow from batch to batch: values not seen before are added behind the others.

use std::path::{Path, PathBuf};

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use ::arrow::datatypes::{Int32Type, SchemaRef};
use ::arrow::error::ArrowError;
use ::arrow::ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions};

use super::publish::StagedFile;
use super::writer::RecordWriter;
use crate::error::Error;

/// Writes one Arrow IPC file.
pub struct ArrowWriter {
    writer: FileWriter<StagedFile>,
    path: PathBuf,
    /// The values so far of each column that is a dictionary.
    dictionaries: Vec<Vec<String>>,
}

impl ArrowWriter {
    /// Starts the file under a temporary name.
    ///
    /// # Errors
    /// See [`StagedFile::create`].
    pub fn create(path: &Path, schema: SchemaRef) -> Result<ArrowWriter, Error> {
        let file = StagedFile::create(path)?;
        let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
        let writer = FileWriter::try_new_with_options(file, &schema, options).map_err(|e| failed(path, e))?;
        let dictionaries = vec![Vec::new(); schema.fields().len()];
        Ok(ArrowWriter { writer, path: path.into(), dictionaries })
    }

    /// The batch with its dictionaries put behind what they were before.
    fn grown(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let grow = |(column, known): (&ArrayRef, &mut Vec<String>)| match column.as_dictionary_opt::<Int32Type>() {
            Some(dictionary) => grow(dictionary, known),
            None => Ok(Arc::clone(column)),
        };
        let columns = batch.columns().iter().zip(&mut self.dictionaries).map(grow).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(batch.schema(), columns)
    }
}

/// A dictionary of strings under the keys of `known`, to which its new values are added.
fn grow(dictionary: &DictionaryArray<Int32Type>, known: &mut Vec<String>) -> Result<ArrayRef, ArrowError> {
    let Some(values) = dictionary.values().as_string_opt::<i32>() else { return Ok(Arc::new(dictionary.clone())) };
    let mut key_of = Vec::with_capacity(values.len());
    for value in values.iter().map(Option::unwrap_or_default) {
        let key = known.iter().position(|known| known == value).unwrap_or_else(|| {
            known.push(value.to_string());
            known.len() - 1
        });
        key_of.push(key as i32);
    }
    let keys: Int32Array = dictionary.keys().iter().map(|key| key.map(|key| key_of[key as usize])).collect();
    let values = StringArray::from_iter_values(known.iter());
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
}

fn failed(path: &Path, error: ArrowError) -> Error {
    Error::io(path, std::io::Error::other(error))
}

impl RecordWriter for ArrowWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = self.grown(batch).map_err(|e| failed(&self.path, e))?;
        self.writer.write(&batch).map_err(|e| failed(&self.path, e))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.writer.finish().map_err(|e| failed(&self.path, e))?;
        self.writer.into_inner().map_err(|e| failed(&self.path, e))?.publish()
    }
}
