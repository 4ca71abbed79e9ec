//! Softmax and LogSoftmax over the channels of a row: `e^(x_c − max) / Σ e^(x − max)`, and its logarithm.
//!
//! As `torch.nn.Softmax(dim=-1)` and `torch.nn.LogSoftmax(dim=-1)`.

use super::{Args, Matrix, RowWise};
use crate::Error;

/// The layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// Whether its logarithm is wanted.
    pub log: bool,
}

impl Softmax {
    /// From `dim` (−1, or 1: over the channels).
    ///
    /// # Errors
    /// Another `dim`: a row would depend on the other rows.
    pub fn from_args(args: &Args, log: bool) -> Result<Self, Error> {
        let dim = args.number("dim", -1.0)?;
        if dim != -1.0 && dim != 1.0 {
            return Err(args.error("dim", dim, "-1 or 1, the channels"));
        }
        Ok(Softmax { log })
    }
}

impl RowWise for Softmax {
    fn called(&self) -> &str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn takes(&self) -> Option<usize> {
        None
    }

    fn gives(&self, channels: usize) -> usize {
        channels
    }

    fn apply(&self, mut x: Matrix) -> Result<Matrix, Error> {
        let channels = x.cols().max(1);
        for row in x.data_mut().chunks_exact_mut(channels) {
            let max = row.iter().fold(f32::NEG_INFINITY, |max, &v| if v > max { v } else { max });
            if self.log {
                let sum: f32 = row.iter().map(|&v| libm::expf(v - max)).sum();
                let log = libm::logf(sum);
                row.iter_mut().for_each(|v| *v = (*v - max) - log);
            } else {
                row.iter_mut().for_each(|v| *v = libm::expf(*v - max));
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|v| *v /= sum);
            }
        }
        Ok(x)
    }
}
