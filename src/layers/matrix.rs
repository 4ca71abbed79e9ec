//! A dense matrix of f32, row-major: one row a node, one column a channel.

use serde::{Deserialize, Serialize};

use super::simd::ahead;
use crate::Error;

/// `[rows, cols]`, row-major.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// All zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Matrix { rows, cols, data: vec![0.0; rows * cols] }
    }

    /// From row-major data; `None` unless `data` has `rows * cols` entries.
    pub fn from_rows(rows: usize, cols: usize, data: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(cols)? == data.len()).then_some(Matrix { rows, cols, data })
    }

    /// `[rows, cols]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`, `[cols]`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`, `[cols]`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// `count` rows from `first` on, `[count, cols]`.
    ///
    /// # Panics
    /// If there are no such rows.
    pub(crate) fn some_rows(&self, first: usize, count: usize) -> &[f32] {
        &self.data[first * self.cols..][..count * self.cols]
    }

    /// Everything, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Asks for the memory of rows that are read soon; those that are not there are passed over.
    pub(crate) fn ahead(&self, rows: &[u32]) {
        rows.iter().filter_map(|&row| self.data.get(row as usize * self.cols..)).for_each(|row| ahead(row, self.cols));
    }

    /// Its memory.
    pub(crate) fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// Everything, row-major.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The rows `rows`, in that order.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn take(&self, rows: &[u32]) -> Self {
        let mut data = Vec::with_capacity(rows.len() * self.cols);
        rows.iter().for_each(|&row| data.extend_from_slice(self.row(row as usize)));
        Matrix { rows: rows.len(), cols: self.cols, data }
    }

    /// `max(v, 0)` in place.
    pub fn relu(mut self) -> Self {
        relu(&mut self.data);
        self
    }

    /// Adds `other` and keeps what is positive.
    ///
    /// # Errors
    /// [`Error::Shape`] if `other` has another shape.
    pub fn add_relu(mut self, other: &Matrix) -> Result<Self, Error> {
        Error::unless_same("a sum of matrices", other.shape(), self.shape())?;
        add_relu(&mut self.data, &other.data);
        Ok(self)
    }

    /// Columns of `self`, then of `other`, row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] if `other` has another number of rows.
    pub fn beside(&self, other: &Matrix) -> Result<Self, Error> {
        Error::unless_same("matrices side by side", other.shape(), [self.rows, other.cols])?;
        let mut data = Vec::with_capacity(self.data.len() + other.data.len());
        for i in 0..self.rows {
            data.extend_from_slice(self.row(i));
            data.extend_from_slice(other.row(i));
        }
        Ok(Matrix { rows: self.rows, cols: self.cols + other.cols, data })
    }
}

/// `max(v, 0)` over all of `a`.
pub(crate) fn relu(a: &mut [f32]) {
    a.iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { 0.0 });
}

/// `max(a + b, 0)`, over `a`.
pub(crate) fn add_relu(a: &mut [f32], b: &[f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        let sum = *a + b;
        *a = if sum > 0.0 { sum } else { 0.0 };
    }
}

/// Rows one after the other.
///
/// ```
/// use thalweg::layers::Matrix;
///
/// let x: Matrix = (0..3).map(|i| [i as f32, 1.0]).collect();
/// assert_eq!((x.shape(), x.row(2)), ([3, 2], &[2.0, 1.0][..]));
/// ```
impl<const COLS: usize> FromIterator<[f32; COLS]> for Matrix {
    fn from_iter<I: IntoIterator<Item = [f32; COLS]>>(rows: I) -> Self {
        let mut matrix = Matrix { rows: 0, cols: COLS, data: Vec::new() };
        for row in rows {
            matrix.rows += 1;
            matrix.data.extend_from_slice(&row);
        }
        matrix
    }
}
