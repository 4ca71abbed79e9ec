//! Weights by their names in a safetensors file, taken with their shapes checked.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use safetensors::{Dtype, SafeTensors};

use super::Matrix;
use crate::Error;

/// The tensors of a model file, f32, under the state_dict's own names.
pub struct Weights<'a> {
    model: String,
    tensors: SafeTensors<'a>,
    /// The names of the tensors that were asked for and are there.
    taken: Mutex<BTreeSet<String>>,
}

impl<'a> Weights<'a> {
    /// Reads the table of a safetensors file; `model` is how messages call it.
    ///
    /// # Errors
    /// Bytes that are no safetensors file.
    pub fn read(model: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::Model {
            name: model.into(),
            place: "header".into(),
            found: error.to_string(),
            expected: "a safetensors file".into(),
        })?;
        Ok(Weights { model: model.into(), tensors, taken: Mutex::default() })
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        let mut names = self.tensors.names();
        names.sort_unstable();
        names
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
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
        let view = self.tensors.tensor(name).map_err(|error| self.error(name, error, "a tensor"))?;
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
