//! GRUCell: `h' = (1 − z) n + z h`, as `torch.nn.GRUCell`.
//!
//! From: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014, with PyTorch's place of the reset gate:
//! `r = σ(W_r x + U_r h)`, `z = σ(W_z x + U_z h)`, `n = tanh(W_n x + r (U_n h))`, biases left out here.

use super::activation::sigmoid;
use super::signature::Signature;
use super::{Args, Layer, Linear, Matrix, Mismatch, Rows, Shape, Structure};
use crate::Error;

/// The layer: inputs `x` `[rows, input_size]` and `h` `[rows, hidden_size]`; output `[rows, hidden_size]`.
#[derive(Clone, Debug)]
pub struct GruCell {
    input: Linear,
    hidden: Linear,
    inputs: usize,
    channels: usize,
}

impl GruCell {
    /// From `input_size`, `hidden_size`, `bias` (true), and the tensors `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let (inputs, channels, bias) =
            (args.count("input_size")?, args.count("hidden_size")?, args.flag("bias", true)?);
        let linear = |half: &str, inputs: usize| {
            let weight = args.weights().matrix(&args.tensor(&format!("weight_{half}")), 3 * channels, inputs)?;
            let bias = if bias { Some(args.vector(&format!("bias_{half}"), 3 * channels)?) } else { None };
            Linear::new(weight, bias)
        };
        Ok(GruCell { input: linear("ih", inputs)?, hidden: linear("hh", channels)?, inputs, channels })
    }
}

impl Layer for GruCell {
    fn name(&self) -> &str {
        "GRUCell"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        let signature = Signature::default().rows(Some(self.inputs)).rows(Some(self.channels));
        super::arithmetic::same_rows(&signature, inputs)?;
        Ok(vec![inputs[1]])
    }

    fn forward(&self, inputs: &[&Matrix], _: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        let signature = Signature::default().rows(Some(self.inputs)).rows(Some(self.channels));
        super::arithmetic::same_lengths("GRUCell", &signature, inputs, rows)?;
        let mut out = rows.take(inputs[1]).into_owned();
        let from_input = self.input.forward(&rows.take(inputs[0]))?;
        let from_hidden = self.hidden.forward(&out)?;
        let c = self.channels;
        for i in 0..out.rows() {
            let (a, b) = (from_input.row(i), from_hidden.row(i));
            for (k, h) in out.row_mut(i).iter_mut().enumerate() {
                let reset = sigmoid(a[k] + b[k]);
                let keep = sigmoid(a[c + k] + b[c + k]);
                let candidate = libm::tanhf(a[2 * c + k] + reset * b[2 * c + k]);
                *h = (1.0 - keep) * candidate + keep * *h;
            }
        }
        Ok(vec![out])
    }
}
