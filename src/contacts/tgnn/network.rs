//! The network: two graph convolutions over who met whom, and what they add to the log odds of belief propagation averaged over rates.
//!
//! ```text
//! g = relu(population.1(relu(population.0(population))))
//! h0 = relu(input(node) + mix(g))
//! h1 = relu(conv.0(h0)), h2 = relu(conv.1(h1))
//! log odds = (1 + a) · base + b + head.1(relu(head.0([h0, h1, h2]))),   [a, b] = scale(g)
//! ```
//! Each edge of a convolution weighs as many times as there are ages ([`AGES`]). With all weights of `scale` and `head.1` 0 it is the average ([`Rates`](super::Rates)).

use safetensors::SafeTensors;
use serde::Deserialize;

use super::inputs::{AGES, Inputs, NODE, POPULATION};
use crate::Error;
use crate::contacts::Stop;
use crate::layers::{GraphConv, Linear, Matrix, Weights};

/// Most channels that a file may ask for.
const MOST_CHANNELS: usize = 1024;

/// The layers.
#[derive(Clone, Debug)]
pub(super) struct Network {
    population: [Linear; 2],
    scale: Linear,
    input: Linear,
    mix: Linear,
    conv: [GraphConv; 2],
    head: [Linear; 2],
}

/// The metadata of a file.
#[derive(Deserialize)]
struct Config {
    architecture: String,
    channels: usize,
    inputs: u32,
}

/// The version of the inputs: a file made for others is refused.
const INPUTS: u32 = 2;

impl Network {
    /// From the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Model`]: bytes that are no such model, or weights that are missing, torn or not finite.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let weights = Weights::read(name, bytes)?;
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| weights.error("header", error, "a safetensors file"))?;
        let text = header.metadata().as_ref().and_then(|map| map.get("thalweg").cloned());
        let text = text.ok_or_else(|| weights.error("metadata thalweg", "none", "a description of the model"))?;
        let config: Config =
            serde_json::from_str(&text).map_err(|error| weights.error("metadata thalweg", error, "its keys"))?;
        if config.architecture != "TemporalGraphNetwork" {
            return Err(weights.error("architecture", config.architecture, "TemporalGraphNetwork"));
        }
        if config.inputs != INPUTS {
            return Err(weights.error("inputs", config.inputs, INPUTS));
        }
        if !(1..=MOST_CHANNELS).contains(&config.channels) {
            return Err(weights.error("channels", config.channels, format!("1 to {MOST_CHANNELS}")));
        }
        let c = config.channels;
        let linear = |name: &str, inputs, outputs| Linear::load(&weights, name, inputs, outputs, true);
        let conv = |name: &str| GraphConv::load(&weights, name, c, c, AGES);
        Ok(Network {
            population: [linear("population.0", POPULATION, c)?, linear("population.1", c, c)?],
            scale: linear("scale", c, 2)?,
            input: linear("input", NODE, c)?,
            mix: Linear::load(&weights, "mix", c, c, false)?,
            conv: [conv("conv.0")?, conv("conv.1")?],
            head: [linear("head.0", 3 * c, c)?, linear("head.1", c, 1)?],
        })
    }

    /// Everybody's log odds `[people]`.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Shape`] if the inputs do not fit together or are not those of this network.
    pub fn forward(&self, inputs: &Inputs, stop: &Stop) -> Result<Vec<f64>, Error> {
        stop.check()?;
        Error::unless_same("inputs of a population", inputs.population.shape(), [1, POPULATION])?;
        Error::unless_same("inputs of people", inputs.node.rows(), inputs.base.len())?;
        let mut people = inputs.population.clone();
        for layer in &self.population {
            people = layer.forward(&people)?.relu();
        }
        let scale = self.scale.forward(&people)?;
        let mixed = self.mix.forward(&people)?;
        let mut h0 = self.input.forward(&inputs.node)?;
        for i in 0..h0.rows() {
            h0.row_mut(i).iter_mut().zip(mixed.row(0)).for_each(|(v, m)| *v += m);
        }
        let h0 = h0.relu();
        stop.check()?;
        let h1 = self.conv[0].forward(&h0, &inputs.graph, &inputs.weight)?.relu();
        stop.check()?;
        let h2 = self.conv[1].forward(&h1, &inputs.graph, &inputs.weight)?.relu();
        stop.check()?;
        let all: Matrix = h0.beside(&h1)?.beside(&h2)?;
        let added = self.head[1].forward(&self.head[0].forward(&all)?.relu())?;
        let (a, b) = (f64::from(scale.data()[0]), f64::from(scale.data()[1]));
        let odds = inputs.base.iter().zip(added.data());
        Ok(odds.map(|(base, added)| (1.0 + a) * base + b + f64::from(*added)).collect())
    }
}
