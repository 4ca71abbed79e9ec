//! How wide sigmas are: they grow where the person moves unlike anybody whom the model was trained on.
//!
//! A window's mean row is compared with `places`, the mean rows of training windows drawn together. The distance to the nearest says how
//! strange the window is: 0 up to `near`, 1 from `far` on, linear between. Sigmas are multiplied by `known^(1 - strange) * unknown^strange`.

use serde::Deserialize;

use crate::Error;
use crate::layers::{Matrix, Weights};

/// What the metadata says of sigmas.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Factors {
    /// Factor for windows like those of training, and for those that are unlike any.
    known: f32,
    unknown: f32,
    /// Distances up to which a window counts as known, and from which as unknown.
    near: f32,
    far: f32,
}

/// The calibration of a model.
#[derive(Debug)]
pub(super) struct Calibration {
    factors: Factors,
    /// What the channels of a mean row are multiplied by `[row]`.
    scale: Vec<f32>,
    /// Mean rows of training, scaled `[places, row]`.
    places: Matrix,
}

impl Calibration {
    /// Takes the tensors `familiar.scale` and `familiar.places` of a model whose rows have `row` channels.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape; factors that are not above 0, or distances that do not grow.
    pub fn read(weights: &Weights<'_>, factors: Factors, row: usize) -> Result<Calibration, Error> {
        let Factors { known, unknown, near, far } = factors;
        let positive = [known, unknown, near, far].iter().all(|v| v.is_finite() && *v > 0.0);
        if !positive || near >= far {
            return Err(weights.error("sigma", format!("{factors:?}"), "numbers above 0, and near below far"));
        }
        let scale = weights.vector("familiar.scale", row)?;
        let (shape, data) = weights.flat("familiar.places")?;
        let found = format!("shape {shape:?}");
        let error = || weights.error("familiar.places", &found, format!("shape [1 or more, {row}]"));
        let (&[count, width], false) = (&shape[..], data.is_empty()) else { return Err(error()) };
        let places = Matrix::from_rows(count, width, data).filter(|_| width == row).ok_or_else(error)?;
        Ok(Calibration { factors, scale, places })
    }

    /// The factor of a window with these rows; those of frames without points are zeros and say nothing.
    pub fn factor<'a>(&self, rows: impl Iterator<Item = &'a [f32]>) -> f32 {
        let (mut mean, mut count) = (vec![0.0f32; self.scale.len()], 0.0f32);
        for row in rows.filter(|row| row.iter().any(|v| *v != 0.0)) {
            mean.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
            count += 1.0;
        }
        let Factors { known, unknown, near, far } = self.factors;
        if count == 0.0 {
            return unknown;
        }
        mean.iter_mut().zip(&self.scale).for_each(|(v, scale)| *v *= scale / count);
        let squares = (0..self.places.rows())
            .map(|i| self.places.row(i).iter().zip(&mean).map(|(a, b)| (a - b) * (a - b)).sum::<f32>());
        let distance = libm::sqrtf(squares.fold(f32::INFINITY, f32::min));
        let strange = ((distance - near) / (far - near)).clamp(0.0, 1.0);
        libm::expf(libm::logf(known) * (1.0 - strange) + libm::logf(unknown) * strange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_go_by_the_nearest_place() {
        let factors = Factors { known: 0.5, unknown: 2.0, near: 1.0, far: 3.0 };
        let places = Matrix::from_rows(2, 2, vec![0.0, 0.0, 10.0, 0.0]).unwrap();
        let calibration = Calibration { factors, scale: vec![1.0, 0.5], places };
        let of = |rows: &[[f32; 2]]| calibration.factor(rows.iter().map(|row| &row[..]));
        let close =
            |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        close(of(&[[10.5, 1.0]]), 0.5);
        // The second channel counts half: 2 away is halfway between near and far.
        close(of(&[[0.0, 4.0]]), 1.0);
        close(of(&[[50.0, 0.0]]), 2.0);
        // Rows of zeros are frames without points: neither part of the mean, nor enough alone.
        close(of(&[[0.0, 8.0], [0.0, 0.0], [0.0, 0.0]]), 2.0);
        close(of(&[[0.0, 8.0], [0.0, 0.5], [0.0, 0.0]]), of(&[[0.0, 4.25]]));
        close(of(&[[0.0, 0.0]]), 2.0);
    }
}
