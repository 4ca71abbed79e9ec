//! Weights by their names in a safetensors file, taken with their shapes checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::Matrix;
use crate::Error;

/// The name and the bytes of a model file.
///
/// # Errors
/// [`Error::Model`]: a file that cannot be read.
pub(crate) fn model_file(path: &Path) -> Result<(String, Vec<u8>), Error> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| Error::Model {
        name: name.clone(),
        place: "file".into(),
        found: error.to_string(),
        expected: "a readable model file".into(),
    })?;
    Ok((name, bytes))
}

/// The tensors of a model file, f32, under the state_dict's own names; or of a part of it, whose names begin alike.
pub struct Weights<'a> {
    model: String,
    bytes: &'a [u8],
    tensors: SafeTensors<'a>,
    /// What stands before the names of the part's tensors.
    prefix: String,
    description: Option<String>,
    /// The names of the tensors that were asked for and are there.
    taken: Mutex<BTreeSet<String>>,
}

impl<'a> Weights<'a> {
    /// Reads the table of a safetensors file; `model` is how messages call it.
    ///
    /// # Errors
    /// Bytes that are no safetensors file.
    pub fn read(model: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        Weights::with_prefix(model, bytes, "")
    }

    /// The tensors whose names begin with `prefix`, under the rest of their names, as a model of its own that messages call `model`.
    ///
    /// # Errors
    /// See [`Weights::read`].
    pub fn part(&self, model: &str, prefix: &str) -> Result<Self, Error> {
        Weights::with_prefix(model, self.bytes, prefix)
    }

    fn with_prefix(model: &str, bytes: &'a [u8], prefix: &str) -> Result<Self, Error> {
        let wrong = |error: SafeTensorError| Error::Model {
            name: model.into(),
            place: "header".into(),
            found: error.to_string(),
            expected: "a safetensors file".into(),
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let description = header.metadata().as_ref().and_then(|keys| keys.get("thalweg").cloned());
        let (model, prefix) = (model.into(), prefix.into());
        Ok(Weights { model, bytes, tensors, prefix, description, taken: Mutex::default() })
    }

    /// The metadata key `thalweg`: what the file says of itself.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        let names = self.tensors.names();
        let mut names: Vec<_> = names.into_iter().filter_map(|name| name.strip_prefix(self.prefix.as_str())).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.view(name).is_ok()
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>, SafeTensorError> {
        self.tensors.tensor(&format!("{}{name}", self.prefix))
    }

    /// How messages call the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The names of the tensors that nobody has taken, in alphabetical order.
    pub fn untaken(&self) -> Vec<&str> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.names().into_iter().filter(|name| !taken.contains(*name)).collect()
    }

    /// Counts a tensor as taken that holds nothing for us, where it is there.
    pub fn ignore(&self, name: &str) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into());
    }

    /// An error about `place` in this model.
    pub fn error(&self, place: &str, found: impl ToString, expected: impl ToString) -> Error {
        let (found, expected) = (found.to_string(), expected.to_string());
        Error::Model { name: self.model.clone(), place: place.into(), found, expected }
    }

    /// A tensor of any shape, flat.
    ///
    /// # Errors
    /// A tensor that is missing, is not f32, or holds NaN or an infinity.
    pub fn flat(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Error> {
        let view = self.view(name).map_err(|error| self.error(name, error, "a tensor"))?;
        self.ignore(name);
        if view.dtype() != Dtype::F32 {
            return Err(self.error(name, format!("{:?}", view.dtype()), "F32"));
        }
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match values.iter().find(|value| !value.is_finite()) {
            Some(bad) => Err(self.error(name, bad, "finite weights")),
            None => Ok((view.shape().to_vec(), values)),
        }
    }

    /// A matrix of exactly this shape.
    ///
    /// # Errors
    /// Those of [`Weights::flat`]; another shape.
    pub fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, Error> {
        let (shape, data) = self.flat(name)?;
        if shape != [rows, cols] {
            return Err(self.error(name, format!("{shape:?}"), format!("[{rows}, {cols}]")));
        }
        Matrix::from_rows(rows, cols, data)
            .ok_or_else(|| self.error(name, "a torn tensor", format!("[{rows}, {cols}]")))
    }

    /// A vector of exactly this length.
    ///
    /// # Errors
    /// Those of [`Weights::flat`]; another shape.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, Error> {
        let (shape, data) = self.flat(name)?;
        if shape != [length] {
            return Err(self.error(name, format!("{shape:?}"), format!("[{length}]")));
        }
        Ok(data)
    }
}
