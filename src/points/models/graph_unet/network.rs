//! The network's forward pass: logits `[level-0 nodes, classes]` from a pyramid.

use super::config::Config;
use super::features::GEOMETRY;
use super::pyramid::{Level, Pyramid};
use crate::Error;
use crate::layers::{Linear, Matrix, PointNetConv, Weights};
use crate::networks::Inputs;

/// `t = relu(Wr h + PointNetConv(h) + b)`, `h = relu(h + W2 t + b2)`.
#[derive(Clone, Debug)]
struct Block {
    root: Linear,
    conv: PointNetConv,
    out: Linear,
}

impl Block {
    fn load(weights: &Weights, name: &str, channels: usize) -> Result<Self, Error> {
        Ok(Block {
            root: Linear::load(weights, &format!("{name}.root"), channels, channels, true)?,
            conv: PointNetConv::load_halves(weights, name, channels, channels)?,
            out: Linear::load(weights, &format!("{name}.out"), channels, channels, true)?,
        })
    }

    fn forward(&self, h: Matrix, level: &Level, edge: f64) -> Result<Matrix, Error> {
        let messages = self.conv.forward(&h, level.positions(), (1.0 / edge) as f32, |i| level.list(i))?;
        let t = self.root.forward(&h)?.add_relu(&messages)?;
        self.out.forward(&t)?.add_relu(&h)
    }
}

/// What one level of the U needs.
#[derive(Clone, Debug)]
struct Rung {
    /// Into the level, going up: the stem at level 0.
    enter: Linear,
    up: Vec<Block>,
    /// (skip, up) and blocks of the way down; none at the top.
    down: Option<(Linear, Linear, Vec<Block>)>,
}

/// A GraphUNet with its weights.
#[derive(Clone, Debug)]
pub struct GraphUNet {
    pub(super) inputs: Inputs,
    config: Config,
    rungs: Vec<Rung>,
    head: (Linear, Linear),
}

impl GraphUNet {
    /// Takes the weights that the configuration asks for.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, config: Config) -> Result<Self, Error> {
        let features = GEOMETRY + config.columns.len();
        let blocks = |way: &str, l: usize, count: usize, channels: usize| {
            (0..count)
                .map(|b| Block::load(weights, &format!("{way}.{l}.block.{b}"), channels))
                .collect::<Result<_, _>>()
        };
        let mut rungs = Vec::with_capacity(config.levels);
        for l in 0..config.levels {
            let channels = config.channels[l];
            let enter = match l {
                0 => Linear::load(weights, "stem", features + config.inputs.len(), channels, true)?,
                _ => Linear::load(weights, &format!("enc.{l}.in"), config.channels[l - 1] + features, channels, true)?,
            };
            let down = if l + 1 < config.levels {
                let out = config.dec_channels[l];
                let above = config.dec_channels.get(l + 1).copied().unwrap_or(config.channels[l + 1]);
                let skip = Linear::load(weights, &format!("dec.{l}.skip"), channels, out, true)?;
                let up = Linear::load(weights, &format!("dec.{l}.up"), above, out, false)?;
                Some((skip, up, blocks("dec", l, config.dec_blocks[l], out)?))
            } else {
                None
            };
            rungs.push(Rung { enter, up: blocks("enc", l, config.blocks[l], channels)?, down });
        }
        let bottom = config.dec_channels.first().copied().unwrap_or(config.channels[0]);
        let head = (
            Linear::load(weights, "head.0", bottom, config.head, true)?,
            Linear::load(weights, "head.1", config.head, config.classes.len(), true)?,
        );
        Ok(GraphUNet { inputs: GraphUNet::contract(&config.inputs), config, rungs, head })
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Logits `[level-0 nodes, classes]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the pyramid is not the one that the network was made for, or does not fit together.
    pub fn forward(&self, pyramid: &Pyramid) -> Result<Matrix, Error> {
        Error::unless_same("levels of the pyramid", pyramid.levels.len(), self.rungs.len())?;
        pyramid.check()?;
        let mut skips: Vec<Matrix> = Vec::with_capacity(self.rungs.len());
        for (l, (rung, level)) in self.rungs.iter().zip(&pyramid.levels).enumerate() {
            let mut h = match skips.last() {
                None => rung.enter.forward(&level.features)?.relu(),
                Some(below) => {
                    let pooled = pool(below, &pyramid.levels[l - 1].parent, level.len());
                    rung.enter.forward(&pooled.beside(&level.features)?)?.relu()
                }
            };
            for block in &rung.up {
                h = block.forward(h, level, self.config.edge(l))?;
            }
            skips.push(h);
        }
        let mut h = skips.pop().unwrap_or_default();
        for (l, (rung, level)) in self.rungs.iter().zip(&pyramid.levels).enumerate().rev() {
            let (Some((skip, up, blocks)), Some(own)) =
                (&rung.down, if rung.down.is_some() { skips.pop() } else { None })
            else {
                continue;
            };
            h = lift_add_relu(skip.forward(&own)?, &up.forward(&h)?, &level.parent);
            for block in blocks {
                h = block.forward(h, level, self.config.edge(l))?;
            }
        }
        self.head.1.forward(&self.head.0.forward(&h)?.relu())
    }
}

/// Element-wise maximum over the children of each of `count` nodes; every node has one.
fn pool(h: &Matrix, parent: &[u32], count: usize) -> Matrix {
    let mut out = Matrix::zeros(count, h.cols());
    out.data_mut().fill(f32::NEG_INFINITY);
    for (i, &parent) in parent.iter().enumerate() {
        for (best, &v) in out.row_mut(parent as usize).iter_mut().zip(h.row(i)) {
            *best = if v > *best { v } else { *best };
        }
    }
    out
}

/// `relu(own + above[parent])`.
fn lift_add_relu(mut own: Matrix, above: &Matrix, parent: &[u32]) -> Matrix {
    for (i, &parent) in parent.iter().enumerate() {
        for (v, &a) in own.row_mut(i).iter_mut().zip(above.row(parent as usize)) {
            let sum = *v + a;
            *v = if sum > 0.0 { sum } else { 0.0 };
        }
    }
    own
}
