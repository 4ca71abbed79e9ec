//! Linear: `y = x Wᵀ + b`, as `torch.nn.Linear`.

use super::{Matrix, Weights, gemm};
use crate::Error;

/// A dense layer: weight `[out_channels, in_channels]`, bias `[out_channels]` or none.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Matrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Takes `{name}.weight`, and `{name}.bias` where `bias` says so.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Self, Error> {
        let weight = weights.matrix(&format!("{name}.weight"), outputs, inputs)?;
        let bias = if bias { Some(weights.vector(&format!("{name}.bias"), outputs)?) } else { None };
        Ok(Linear { weight, bias })
    }

    /// A layer from its weight `[out_channels, in_channels]` and bias `[out_channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the bias has another length.
    pub fn new(weight: Matrix, bias: Option<Vec<f32>>) -> Result<Self, Error> {
        if let Some(bias) = &bias {
            Error::unless_same("the bias of a linear layer", bias.len(), weight.rows())?;
        }
        Ok(Linear { weight, bias })
    }

    /// `[rows, in_channels]` to `[rows, out_channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of channels.
    pub fn forward(&self, x: &Matrix) -> Result<Matrix, Error> {
        let mut out = Matrix::zeros(x.rows(), self.weight.rows());
        if let Some(bias) = &self.bias {
            out.data_mut().chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
        }
        self.add_to(x, &mut out)?;
        Ok(out)
    }

    /// Adds `x Wᵀ` to `out`, the bias left aside.
    ///
    /// # Errors
    /// [`Error::Shape`] if a shape does not fit.
    pub fn add_to(&self, x: &Matrix, out: &mut Matrix) -> Result<(), Error> {
        gemm::multiply_add(x, &self.weight, out)
    }
}
