//! Linear: `y = x Wᵀ + b`, as `torch.nn.Linear`.

use super::{Args, Matrix, RowWise, Weights, gemm};
use crate::Error;

/// Rows of a block that is made and multiplied: a multiple of the dense kernel's.
const MADE: usize = 192;

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

    /// From the arguments `in_channels`, `out_channels` and `bias` (true).
    ///
    /// # Errors
    /// An argument or a tensor that is missing or does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        Linear::load(args.weights(), args.prefix(), inputs, outputs, args.flag("bias", true)?)
    }

    /// `[out_channels, in_channels]`.
    pub fn weight(&self) -> &Matrix {
        &self.weight
    }

    /// `[out_channels]`, or none.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// The layer of the input channels `from..to` alone, without bias.
    pub(super) fn columns(&self, from: usize, to: usize) -> Self {
        let mut weight = Matrix::zeros(self.weight.rows(), to - from);
        for o in 0..weight.rows() {
            weight.row_mut(o).copy_from_slice(&self.weight.row(o)[from..to]);
        }
        Linear { weight, bias: None }
    }

    /// The same layer with another bias, of the same length.
    pub(super) fn with_bias(self, bias: Option<&[f32]>) -> Self {
        Linear { bias: bias.map(<[f32]>::to_vec), ..self }
    }

    /// `[rows, in_channels]` to `[rows, out_channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of channels.
    pub fn forward(&self, x: &Matrix) -> Result<Matrix, Error> {
        let mut out = self.start(x.rows());
        self.add_to(x, &mut out)?;
        Ok(out)
    }

    /// [`Linear::forward`] for rows given flat: `x` `[rows, in_channels]` into `out` `[rows, out_channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the two have another number of rows or channels.
    pub(crate) fn forward_block(&self, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        match &self.bias {
            Some(bias) => out.chunks_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(&bias[..row.len()])),
            None => out.fill(0.0),
        }
        gemm::multiply_add_block(x, &self.weight, out)
    }

    /// `rows` rows of bias, or of zeros without one: what products are added to.
    pub(super) fn start(&self, rows: usize) -> Matrix {
        let mut out = Matrix::zeros(rows, self.weight.rows());
        if let Some(bias) = &self.bias {
            out.data_mut().chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
        }
        out
    }

    /// Writes `x Wᵀ` over `out`, the bias left aside.
    pub(super) fn product(&self, x: &Matrix, out: &mut Matrix) -> Result<(), Error> {
        gemm::multiply(x, &self.weight, out)
    }

    /// Adds `rows Wᵀ` to `out`, where `make` makes each row in a place that is zero: a block at a time, so that the rows stay in the cache.
    pub(super) fn add_made(&self, out: &mut Matrix, mut make: impl FnMut(usize, &mut [f32])) -> Result<(), Error> {
        let [outputs, inputs] = self.weight.shape();
        let rows = out.rows();
        let mut block = vec![0.0; MADE.min(rows) * inputs];
        for first in (0..rows).step_by(MADE) {
            let count = MADE.min(rows - first);
            let block = &mut block[..count * inputs];
            block.fill(0.0);
            block.chunks_exact_mut(inputs.max(1)).enumerate().for_each(|(i, row)| make(first + i, row));
            gemm::multiply_add_block(block, &self.weight, &mut out.data_mut()[first * outputs..][..count * outputs])?;
        }
        Ok(())
    }

    /// Adds `x Wᵀ` to `out`, the bias left aside.
    ///
    /// # Errors
    /// [`Error::Shape`] if a shape does not fit.
    pub fn add_to(&self, x: &Matrix, out: &mut Matrix) -> Result<(), Error> {
        gemm::multiply_add(x, &self.weight, out)
    }
}

impl RowWise for Linear {
    fn called(&self) -> &str {
        "Linear"
    }

    fn takes(&self) -> Option<usize> {
        Some(self.weight.cols())
    }

    fn gives(&self, _: usize) -> usize {
        self.weight.rows()
    }

    fn apply(&self, x: Matrix) -> Result<Matrix, Error> {
        Linear::forward(self, &x)
    }

    fn apply_to(&self, x: &Matrix) -> Result<Matrix, Error> {
        Linear::forward(self, x)
    }

    fn as_linear(&self) -> Option<&Linear> {
        Some(self)
    }
}
