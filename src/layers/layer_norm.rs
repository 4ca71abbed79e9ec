//! LayerNorm over the channels of a row: `y = (x − mean) / sqrt(var + eps) · weight + bias`.
//!
//! From: Ba et al., "Layer Normalization", 2016; as `torch.nn.LayerNorm(channels)` and PyG's `LayerNorm(mode="node")`. Mean and
//! variance are summed in f64, channel after channel.

use super::{Args, Matrix, RowWise};
use crate::Error;

/// The layer: `weight` and `bias` `[channels]`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f64,
}

impl LayerNorm {
    /// From `in_channels`, `eps` (1e-5), `affine` (true), `mode` (`node`).
    ///
    /// # Errors
    /// `mode` `graph`: a row would depend on the other rows. Tensors that do not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.word("mode", "node", &["node"])?;
        let (channels, eps) = (args.count("in_channels")?, args.number("eps", 1e-5)?);
        let affine = args.flag("affine", true)?;
        let one = |name: &str, value: f32| if affine { args.vector(name, channels) } else { Ok(vec![value; channels]) };
        // Without this PyTorch's layer would give NaN for a row of equal values.
        if eps <= 0.0 {
            return Err(args.error("eps", eps, "a number above 0"));
        }
        let bias = args.flag("bias", true)? && affine;
        let bias = if bias { args.vector("bias", channels)? } else { vec![0.0; channels] };
        Ok(LayerNorm { weight: one("weight", 1.0)?, bias, eps })
    }
}

impl RowWise for LayerNorm {
    fn called(&self) -> &str {
        "LayerNorm"
    }

    fn takes(&self) -> Option<usize> {
        Some(self.weight.len())
    }

    fn gives(&self, channels: usize) -> usize {
        channels
    }

    fn apply(&self, mut x: Matrix) -> Result<Matrix, Error> {
        let channels = self.weight.len();
        Error::unless_same("LayerNorm: channels of x", x.cols(), channels)?;
        for row in x.data_mut().chunks_exact_mut(channels.max(1)) {
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / channels as f64;
            let var = row.iter().map(|&v| (f64::from(v) - mean) * (f64::from(v) - mean)).sum::<f64>() / channels as f64;
            let root = (var + self.eps).sqrt();
            for ((v, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *v = ((f64::from(*v) - mean) / root) as f32 * weight + bias;
            }
        }
        Ok(x)
    }
}
