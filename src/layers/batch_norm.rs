//! BatchNorm with running statistics: `y = (x − mean) / sqrt(var + eps) · weight + bias`, folded into `y = scale · x + shift`.
//!
//! As `BatchNorm1d(...).eval()` and PyG's `BatchNorm`. The two vectors are computed in f64 when the file is read.

use super::{Args, Matrix, RowWise};
use crate::Error;

/// The layer, folded: `[channels]` each.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl BatchNorm {
    /// From `in_channels`, `eps` (1e-5), `affine` (true), and the tensors `running_mean`, `running_var`, `weight`, `bias`, PyG's
    /// below `{prefix}.module`.
    ///
    /// # Errors
    /// `track_running_stats` false: a row would depend on the other rows. Tensors that do not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&["momentum", "allow_single_element"])?;
        let (channels, eps) = (args.count("in_channels")?, args.number("eps", 1e-5)?);
        if !args.flag("track_running_stats", true)? {
            return Err(args.error(
                "track_running_stats",
                false,
                "true: statistics of the rows would tie rows together",
            ));
        }
        let own = args.tensor("");
        let prefix = if args.weights().has(&format!("{own}module.running_mean")) { "module." } else { "" };
        BatchNorm::load(args, prefix, channels, eps, args.flag("affine", true)?)
    }

    /// From the tensors of another layer's `{name}.`.
    pub(super) fn load(args: &Args, name: &str, channels: usize, eps: f64, affine: bool) -> Result<Self, Error> {
        let vector = |tensor: &str| args.vector(&format!("{name}{tensor}"), channels);
        args.weights().ignore(&args.tensor(&format!("{name}num_batches_tracked")));
        let (mean, var) = (vector("running_mean")?, vector("running_var")?);
        let (weight, bias) =
            if affine { (vector("weight")?, vector("bias")?) } else { (vec![1.0; channels], vec![0.0; channels]) };
        let (mut scale, mut shift) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
        for c in 0..channels {
            let root = (f64::from(var[c]) + eps).sqrt();
            if root.is_nan() || root <= 0.0 {
                return Err(args.error("eps", eps, format!("one that makes variance {} positive", var[c])));
            }
            let factor = f64::from(weight[c]) / root;
            scale.push(factor as f32);
            shift.push((f64::from(bias[c]) - f64::from(mean[c]) * factor) as f32);
        }
        Ok(BatchNorm { scale, shift })
    }
}

impl RowWise for BatchNorm {
    fn called(&self) -> &str {
        "BatchNorm"
    }

    fn takes(&self) -> Option<usize> {
        Some(self.scale.len())
    }

    fn gives(&self, channels: usize) -> usize {
        channels
    }

    fn apply(&self, mut x: Matrix) -> Result<Matrix, Error> {
        Error::unless_same("BatchNorm: channels of x", x.cols(), self.scale.len())?;
        for row in x.data_mut().chunks_exact_mut(self.scale.len().max(1)) {
            for ((v, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
                *v = *v * scale + shift;
            }
        }
        Ok(x)
    }
}
