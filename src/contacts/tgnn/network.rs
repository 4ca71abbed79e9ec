//! The network: two graph convolutions over who met whom, and what they add to the log odds of belief propagation averaged over rates.
//!
//! ```text
//! g = relu(population.1(relu(population.0(population))))
//! h0 = relu(input(node) + mix(g))
//! h1 = relu(conv.0(h0)), h2 = relu(conv.1(h1))
//! log odds = (1 + a) · base + b + head.1(relu(head.0([h0, h1, h2]))),   [a, b] = scale(g)
//! ```
//! As a [`GraphNetwork`] it gives `a`, `b` and the head's part; [`super::Tgnn`] adds them to the base in f64.
//! Each edge of a convolution weighs as many times as there are ages ([`AGES`]). With all weights of `scale` and `head.1` 0 it is the average ([`Rates`](super::Rates)).

use serde::Deserialize;

use super::inputs::{AGES, NODE, POPULATION};
use crate::Error;
use crate::layers::{GraphConv, Linear, Matrix, Of, Shape, Structure, Weights};
use crate::networks::{self, GraphNetwork};

/// Most channels that a file may ask for.
const MOST_CHANNELS: usize = 1024;

/// The layers.
#[derive(Clone, Debug)]
pub(super) struct Network {
    name: String,
    inputs: networks::Inputs,
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
        let text = weights.description();
        let text = text.ok_or_else(|| weights.error("metadata thalweg", "none", "a description of the model"))?;
        let config: Config =
            serde_json::from_str(text).map_err(|error| weights.error("metadata thalweg", error, "its keys"))?;
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
        let inputs =
            networks::Inputs { x: NODE + POPULATION, edge_attr: Some(AGES), columns: None, edge_columns: None };
        Ok(Network {
            name: name.into(),
            inputs,
            population: [linear("population.0", POPULATION, c)?, linear("population.1", c, c)?],
            scale: linear("scale", c, 2)?,
            input: linear("input", NODE, c)?,
            mix: Linear::load(&weights, "mix", c, c, false)?,
            conv: [conv("conv.0")?, conv("conv.1")?],
            head: [linear("head.0", 3 * c, c)?, linear("head.1", c, 1)?],
        })
    }
}

impl GraphNetwork for Network {
    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> &networks::Inputs {
        &self.inputs
    }

    /// What becomes of a person's log odds: `a`, `b` and the head's part.
    fn output(&self) -> Shape {
        Shape { of: Of::Nodes, channels: 3 }
    }

    fn forward(&self, x: &Matrix, edge_attr: Option<&Matrix>, graph: &Structure) -> Result<Matrix, Error> {
        Error::unless_same("tgnn: x", x.shape(), [graph.edges.nodes(), NODE + POPULATION])?;
        let weight = edge_attr.ok_or_else(|| Error::Shape {
            what: "tgnn: edge_attr".into(),
            found: "none".into(),
            expected: format!("{AGES} columns"),
        })?;
        let rows = x.rows();
        let (mut own, mut all) = (Matrix::zeros(rows, NODE), Matrix::zeros(rows.min(1), POPULATION));
        for i in 0..rows {
            own.row_mut(i).copy_from_slice(&x.row(i)[..NODE]);
        }
        if rows > 0 {
            // The population is everybody's: the first row has it.
            all.row_mut(0).copy_from_slice(&x.row(0)[NODE..]);
        }
        for layer in &self.population {
            all = layer.forward(&all)?.relu();
        }
        let (scale, mixed) = (self.scale.forward(&all)?, self.mix.forward(&all)?);
        let mut h0 = self.input.forward(&own)?;
        for i in 0..rows {
            h0.row_mut(i).iter_mut().zip(mixed.row(0)).for_each(|(v, m)| *v += m);
        }
        let h0 = h0.relu();
        let h1 = self.conv[0].forward(&h0, graph.edges, weight)?.relu();
        let h2 = self.conv[1].forward(&h1, graph.edges, weight)?.relu();
        let added = self.head[1].forward(&self.head[0].forward(&h0.beside(&h1)?.beside(&h2)?)?.relu())?;
        let mut out = Matrix::zeros(rows, 3);
        for i in 0..rows {
            out.row_mut(i).copy_from_slice(&[scale.data()[0], scale.data()[1], added.data()[i]]);
        }
        Ok(out)
    }
}
