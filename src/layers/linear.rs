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

    /// A layer without bias from its weight `[out_channels, in_channels]`.
    pub fn from_weight(weight: Matrix) -> Self {
        Linear { weight, bias: None }
    }

    /// `[rows, in_channels]` to `[rows, out_channels]`.
    ///
    /// # Panics
    /// If `x` has another number of channels.
    pub fn forward(&self, x: &Matrix) -> Matrix {
        let mut out = Matrix::zeros(x.rows(), self.weight.rows());
        if let Some(bias) = &self.bias {
            out.data_mut().chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
        }
        self.add_to(x, &mut out);
        out
    }

    /// Adds `x Wᵀ` to `out`, the bias left aside.
    ///
    /// # Panics
    /// If a shape does not fit.
    pub fn add_to(&self, x: &Matrix, out: &mut Matrix) {
        let (inputs, outputs) = (self.weight.cols(), self.weight.rows());
        assert_eq!((x.cols(), out.cols(), out.rows()), (inputs, outputs, x.rows()), "shapes of a linear layer");
        gemm::multiply_add(x.rows(), inputs, outputs, x.data(), self.weight.data(), out.data_mut());
    }
}
