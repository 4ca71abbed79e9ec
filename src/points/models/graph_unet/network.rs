//! The network's forward pass: logits `[level-0 nodes, classes]` from a pyramid.

use super::config::{Config, Input};
use super::features::GEOMETRY;
use super::pyramid::{Level, Pyramid};
use crate::Error;
use crate::layers::{Linear, Matrix, PointNetConv, Weights, add_relu, relu};
use crate::networks::Inputs;
use crate::share::over_rows;

/// Rows that go through a block's layers together, while they are in the cache: as many as a dense product takes at once.
const CHUNK: usize = 192;

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

    fn forward(
        &self,
        h: &Matrix,
        level: &Level,
        edge: f64,
        threads: usize,
        spare: &mut Spare,
    ) -> Result<Matrix, Error> {
        let channels = h.cols();
        let mut messages = spare.matrix(h.rows(), channels);
        over_rows(
            threads,
            messages.data_mut(),
            channels,
            CHUNK,
            || (),
            |(), first, out| self.conv.sources().forward_block(h.some_rows(first, out.len() / channels), out),
        )?;
        let mut next = spare.matrix(h.rows(), channels);
        let scratch = || (vec![0.0; CHUNK * channels], vec![0.0; CHUNK * channels], Vec::new());
        over_rows(threads, next.data_mut(), channels, CHUNK, scratch, |(t, most, offsets), first, out| {
            let (t, most) = (&mut t[..out.len()], &mut most[..out.len()]);
            let own = h.some_rows(first, out.len() / channels);
            most.fill(0.0);
            let scale = (1.0 / edge) as f32;
            self.conv.maxima_of(first, &messages, level.positions(), scale, |i| level.list(i), offsets, most)?;
            self.root.forward_block(own, t)?;
            add_relu(t, most);
            self.out.forward_block(t, out)?;
            add_relu(out, own);
            Ok(())
        })?;
        spare.keep(messages);
        Ok(next)
    }
}

/// Memory of matrices that are done with, for those to come: fresh memory costs as much as a tenth of the layers.
#[derive(Default)]
struct Spare(Vec<Vec<f32>>);

impl Spare {
    /// A matrix that holds anything.
    fn matrix(&mut self, rows: usize, cols: usize) -> Matrix {
        let values = rows * cols;
        let fits = (0..self.0.len()).filter(|&i| self.0[i].capacity() >= values);
        let tightest = fits.min_by_key(|&i| self.0[i].capacity());
        let mut data = tightest.map_or_else(|| Vec::with_capacity(values), |i| self.0.swap_remove(i));
        data.resize(values, 0.0);
        Matrix::from_rows(rows, cols, data).unwrap_or_default()
    }

    fn keep(&mut self, matrix: Matrix) {
        self.0.push(matrix.into_data());
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
    weights: Trained,
    /// The weights for frames without intensity, where the file has such.
    bare: Option<Trained>,
}

/// One set of weights.
#[derive(Clone, Debug)]
struct Trained {
    rungs: Vec<Rung>,
    head: (Linear, Linear),
}

impl Trained {
    fn load(weights: &Weights, config: &Config) -> Result<Self, Error> {
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
        Ok(Trained { rungs, head })
    }
}

impl GraphUNet {
    /// Takes the weights that the configuration asks for.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, config: Config) -> Result<Self, Error> {
        let trained = Trained::load(weights, &config)?;
        let bare = match config.without_intensity {
            true => {
                let name = format!("{}, without_intensity", weights.model());
                Some(Trained::load(&weights.part(&name, "without_intensity.")?, &config)?)
            }
            false => None,
        };
        Ok(GraphUNet { inputs: GraphUNet::contract(&config.inputs), config, weights: trained, bare })
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The set of weights that a frame asks for: whether it has intensity stands in its features.
    fn weights_for(&self, pyramid: &Pyramid) -> &Trained {
        let Some(bare) = &self.bare else { return &self.weights };
        let has = self.config.inputs.iter().position(|input| *input == Input::HasIntensity);
        let column = GEOMETRY + self.config.columns.len() + has.unwrap_or(0);
        let features = pyramid.levels.first().map(|level| &level.features);
        let told =
            features.is_some_and(|rows| (0..rows.rows()).any(|i| rows.row(i).get(column).is_some_and(|&v| v != 0.0)));
        if told { &self.weights } else { bare }
    }

    /// Logits `[level-0 nodes, classes]`, by `threads` threads.
    ///
    /// # Errors
    /// [`Error::Shape`] if the pyramid is not the one that the network was made for, or does not fit together.
    pub fn forward(&self, pyramid: &Pyramid, threads: usize) -> Result<Matrix, Error> {
        Error::unless_same("levels of the pyramid", pyramid.levels.len(), self.config.levels)?;
        pyramid.check()?;
        let Trained { rungs, head } = self.weights_for(pyramid);
        let mut skips: Vec<Matrix> = Vec::with_capacity(rungs.len());
        let mut spare = Spare::default();
        for (l, (rung, level)) in rungs.iter().zip(&pyramid.levels).enumerate() {
            let below = skips.last().map(|below| (below, Children::of(&pyramid.levels[l - 1].parent, level.len())));
            let mut h = enter(&rung.enter, below, level, threads, &mut spare)?;
            for block in &rung.up {
                let next = block.forward(&h, level, self.config.edge(l), threads, &mut spare)?;
                spare.keep(std::mem::replace(&mut h, next));
            }
            skips.push(h);
        }
        let mut h = skips.pop().unwrap_or_default();
        for (l, (rung, level)) in rungs.iter().zip(&pyramid.levels).enumerate().rev() {
            let (Some((skip, up, blocks)), Some(own)) =
                (&rung.down, if rung.down.is_some() { skips.pop() } else { None })
            else {
                continue;
            };
            let down = descend(skip, up, &own, &h, &level.parent, threads, &mut spare)?;
            spare.keep(own);
            spare.keep(std::mem::replace(&mut h, down));
            for block in blocks {
                let next = block.forward(&h, level, self.config.edge(l), threads, &mut spare)?;
                spare.keep(std::mem::replace(&mut h, next));
            }
        }
        let (hidden, classes) = head;
        let (wide, narrow) = (hidden.weight().rows(), classes.weight().rows());
        Error::unless_same("the input of the head", h.cols(), hidden.weight().cols())?;
        let mut logits = Matrix::zeros(h.rows(), narrow);
        over_rows(
            threads,
            logits.data_mut(),
            narrow,
            CHUNK,
            || vec![0.0; CHUNK * wide],
            |t, first, out| {
                let rows = out.len() / narrow;
                let t = &mut t[..rows * wide];
                hidden.forward_block(h.some_rows(first, rows), t)?;
                relu(t);
                classes.forward_block(t, out)
            },
        )?;
        Ok(logits)
    }
}

/// The nodes below each node of a level, ascending.
struct Children {
    start: Vec<u32>,
    node: Vec<u32>,
}

impl Children {
    /// From the parent, below `count`, of each node below.
    fn of(parent: &[u32], count: usize) -> Children {
        let mut start = vec![0u32; count + 1];
        parent.iter().for_each(|&p| start[p as usize + 1] += 1);
        (0..count).for_each(|p| start[p + 1] += start[p]);
        let (mut next, mut node) = (start.clone(), vec![0u32; parent.len()]);
        for (child, &p) in (0..).zip(parent) {
            node[next[p as usize] as usize] = child;
            next[p as usize] += 1;
        }
        Children { start, node }
    }

    fn of_node(&self, node: usize) -> &[u32] {
        &self.node[self.start[node] as usize..self.start[node + 1] as usize]
    }
}

/// `relu(W [max over the children, features])`; at level 0, where nothing is below, `relu(W features)`.
fn enter(
    layer: &Linear,
    below: Option<(&Matrix, Children)>,
    level: &Level,
    threads: usize,
    spare: &mut Spare,
) -> Result<Matrix, Error> {
    let features = &level.features;
    let pooled = below.as_ref().map_or(0, |(below, _)| below.cols());
    let (width, outputs) = (pooled + features.cols(), layer.weight().rows());
    Error::unless_same("the features of a level", width, layer.weight().cols())?;
    let mut h = spare.matrix(level.len(), outputs);
    over_rows(
        threads,
        h.data_mut(),
        outputs,
        CHUNK,
        || vec![0.0; CHUNK * width],
        |x, first, out| {
            let rows = out.len() / outputs;
            let x = &mut x[..rows * width];
            for (i, x) in (first..).zip(x.chunks_exact_mut(width.max(1))) {
                if let Some((below, children)) = &below {
                    x[..pooled].fill(f32::NEG_INFINITY);
                    for &child in children.of_node(i) {
                        for (best, &v) in x[..pooled].iter_mut().zip(below.row(child as usize)) {
                            *best = if v > *best { v } else { *best };
                        }
                    }
                }
                x[pooled..].copy_from_slice(features.row(i));
            }
            layer.forward_block(x, out)?;
            relu(out);
            Ok(())
        },
    )?;
    Ok(h)
}

/// `relu(skip(own) + up(above)[parent])`.
fn descend(
    skip: &Linear,
    up: &Linear,
    own: &Matrix,
    above: &Matrix,
    parent: &[u32],
    threads: usize,
    spare: &mut Spare,
) -> Result<Matrix, Error> {
    let outputs = skip.weight().rows();
    let mut lifted = spare.matrix(above.rows(), outputs);
    over_rows(
        threads,
        lifted.data_mut(),
        outputs,
        CHUNK,
        || (),
        |(), first, out| up.forward_block(above.some_rows(first, out.len() / outputs), out),
    )?;
    let mut h = spare.matrix(own.rows(), outputs);
    over_rows(
        threads,
        h.data_mut(),
        outputs,
        CHUNK,
        || (),
        |(), first, out| {
            skip.forward_block(own.some_rows(first, out.len() / outputs), out)?;
            for (i, row) in (first..).zip(out.chunks_exact_mut(outputs)) {
                add_relu(row, lifted.row(parent[i] as usize));
            }
            Ok(())
        },
    )?;
    spare.keep(lifted);
    Ok(h)
}
