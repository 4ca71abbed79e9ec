//! Activations, element by element: ReLU, LeakyReLU, ELU, GELU, SiLU, Sigmoid, Tanh, Softplus, ShiftedSoftplus, PReLU.
//!
//! Names, arguments and results as in `torch.nn`; ShiftedSoftplus `ln(1 + eˣ) − ln 2` as in PyG's SchNet. Functions come from
//! `libm`, whose bits are the same on every system.

use super::{Args, Matrix, RowWise};
use crate::Error;

/// An activation with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    ReLU,
    /// `x` where positive, else `negative_slope · x`.
    LeakyReLU {
        /// Slope below 0; PyTorch's default is 0.01.
        negative_slope: f32,
    },
    /// `x` where positive, else `alpha (eˣ − 1)`.
    ELU {
        /// PyTorch's default is 1.
        alpha: f32,
    },
    /// `x Φ(x)`, with the normal distribution's Φ or an approximation by `tanh`.
    GELU {
        /// Whether by `tanh`.
        tanh: bool,
    },
    /// `x σ(x)`.
    SiLU,
    /// `σ(x) = 1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// `tanh x`.
    Tanh,
    /// `ln(1 + e^(beta x)) / beta`, and `x` where `beta x` is above the threshold.
    Softplus {
        /// PyTorch's default is 1.
        beta: f32,
        /// PyTorch's default is 20.
        threshold: f32,
    },
    /// `ln(1 + eˣ) − ln 2`.
    ShiftedSoftplus,
    /// `x` where positive, else `weight · x`: one weight, or one a channel.
    PReLU {
        /// `[1]` or `[channels]`.
        weight: Vec<f32>,
    },
}

/// `1 / (1 + e⁻ˣ)`.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// `ln(1 + e^(beta x)) / beta`, and `x` where `beta x` is above the threshold.
pub(super) fn softplus(x: f32, beta: f32, threshold: f32) -> f32 {
    if x * beta > threshold { x } else { libm::log1pf(libm::expf(x * beta)) / beta }
}

impl Activation {
    /// ReLU.
    ///
    /// # Errors
    /// An argument.
    pub fn relu(args: &Args) -> Result<Self, Error> {
        args.ignore(&["inplace"])?;
        Ok(Activation::ReLU)
    }

    /// LeakyReLU, from `negative_slope` (0.01).
    ///
    /// # Errors
    /// An argument that does not fit.
    pub fn leaky_relu(args: &Args) -> Result<Self, Error> {
        args.ignore(&["inplace"])?;
        Ok(Activation::LeakyReLU { negative_slope: args.number("negative_slope", 0.01)? as f32 })
    }

    /// ELU, from `alpha` (1).
    ///
    /// # Errors
    /// An argument that does not fit.
    pub fn elu(args: &Args) -> Result<Self, Error> {
        args.ignore(&["inplace"])?;
        Ok(Activation::ELU { alpha: args.number("alpha", 1.0)? as f32 })
    }

    /// GELU, from `approximate` (`none`, or `tanh`).
    ///
    /// # Errors
    /// An argument that does not fit.
    pub fn gelu(args: &Args) -> Result<Self, Error> {
        Ok(Activation::GELU { tanh: args.word("approximate", "none", &["none", "tanh"])? == "tanh" })
    }

    /// SiLU.
    ///
    /// # Errors
    /// An argument.
    pub fn silu(args: &Args) -> Result<Self, Error> {
        args.ignore(&["inplace"])?;
        Ok(Activation::SiLU)
    }

    /// Softplus, from `beta` (1) and `threshold` (20).
    ///
    /// # Errors
    /// An argument that does not fit.
    pub fn softplus(args: &Args) -> Result<Self, Error> {
        let (beta, threshold) = (args.number("beta", 1.0)? as f32, args.number("threshold", 20.0)? as f32);
        if beta == 0.0 {
            return Err(args.error("beta", beta, "a number other than 0"));
        }
        Ok(Activation::Softplus { beta, threshold })
    }

    /// PReLU, from the tensor `{prefix}.weight`; `num_parameters` (1) is its length.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn prelu(args: &Args) -> Result<Self, Error> {
        args.ignore(&["init"])?;
        let count = args.maybe_count("num_parameters")?.unwrap_or(1);
        Ok(Activation::PReLU { weight: args.vector("weight", count)? })
    }

    /// The function in place.
    fn run(&self, x: &mut Matrix) {
        let data = &mut *x.data_mut();
        match self {
            Activation::ReLU => each(data, |v| if v > 0.0 { v } else { 0.0 }),
            Activation::LeakyReLU { negative_slope } => {
                each(data, |v| if v > 0.0 { v } else { v * negative_slope });
            }
            Activation::ELU { alpha } => each(data, |v| if v > 0.0 { v } else { alpha * libm::expm1f(v) }),
            Activation::GELU { tanh: false } => {
                each(data, |v| 0.5 * v * (1.0 + libm::erff(v * std::f32::consts::FRAC_1_SQRT_2)));
            }
            Activation::GELU { tanh: true } => each(data, |v| {
                let inner = 0.797_884_6 * (v + 0.044_715 * (v * v * v)); // sqrt(2 / π)
                0.5 * v * (1.0 + libm::tanhf(inner))
            }),
            Activation::SiLU => each(data, |v| v * sigmoid(v)),
            Activation::Sigmoid => each(data, sigmoid),
            Activation::Tanh => each(data, libm::tanhf),
            Activation::Softplus { beta, threshold } => each(data, |v| softplus(v, *beta, *threshold)),
            Activation::ShiftedSoftplus => each(data, |v| softplus(v, 1.0, 20.0) - std::f32::consts::LN_2),
            Activation::PReLU { weight } => {
                let weights = weight.iter().cycle();
                data.iter_mut().zip(weights).for_each(|(v, w)| *v = if *v > 0.0 { *v } else { *v * w });
            }
        }
    }
}

fn each(data: &mut [f32], f: impl Fn(f32) -> f32) {
    data.iter_mut().for_each(|v| *v = f(*v));
}

impl RowWise for Activation {
    fn called(&self) -> &str {
        match self {
            Activation::ReLU => "ReLU",
            Activation::LeakyReLU { .. } => "LeakyReLU",
            Activation::ELU { .. } => "ELU",
            Activation::GELU { .. } => "GELU",
            Activation::SiLU => "SiLU",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
            Activation::Softplus { .. } => "Softplus",
            Activation::ShiftedSoftplus => "ShiftedSoftplus",
            Activation::PReLU { .. } => "PReLU",
        }
    }

    fn takes(&self) -> Option<usize> {
        match self {
            Activation::PReLU { weight } if weight.len() != 1 => Some(weight.len()),
            _ => None,
        }
    }

    fn gives(&self, channels: usize) -> usize {
        channels
    }

    fn apply(&self, mut x: Matrix) -> Result<Matrix, Error> {
        if let Some(takes) = self.takes() {
            Error::unless_same("PReLU: channels of x", x.cols(), takes)?;
        }
        self.run(&mut x);
        Ok(x)
    }
}
