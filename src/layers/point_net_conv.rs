//! PointNetConv: `x'_i = global_nn(aggregate_j local_nn([x_j, p_j − p_i]))`, the local half of PointNet++.
//!
//! From: Qi et al., "PointNet++", NeurIPS 2017; parameters and results as PyTorch Geometric's `PointNetConv`. `local_nn`
//! begins with a linear layer; its feature part `Wn x_j` is a product per node, and only the position part is done per edge.

use super::aggregate::Folded;
use super::part::{AHEAD, BATCH, Loops, Part};
use super::signature::Signature;
use super::simd::widened;
use super::{Aggregation, Args, Layer, Linear, Matrix, Mismatch, Mlp, Of, RowWise, Rows, Shape, Structure, Weights};
use crate::Error;

/// Node positions as three columns, `[nodes]` each.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// Coordinates, in one unit.
    pub x: &'a [f32],
    /// See [`Positions::x`].
    pub y: &'a [f32],
    /// See [`Positions::x`].
    pub z: &'a [f32],
}

/// The layer: `Wn` `[out, in]`, `P` `[out, 3]`, `b` `[out]` or none, and the layers behind. Inputs: `x` `[nodes, in]`, left out where
/// `in` is 0, and positions `[nodes, 3]`; output `[nodes, out]`.
#[derive(Clone, Debug)]
pub struct PointNetConv {
    features: Linear,
    /// Transposed: `[3, out]`.
    positions: Matrix,
    bias: Option<Vec<f32>>,
    outputs: usize,
    /// What of `local_nn` follows its first layer.
    rest: Mlp,
    global: Mlp,
    aggregation: Aggregation,
    loops: Loops,
}

impl PointNetConv {
    /// Takes the two halves of the weight from `{name}.nbr.weight` and `{name}.pos.weight`, without bias.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load_halves(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let features = Linear::load(weights, &format!("{name}.nbr"), inputs, outputs, false)?;
        let halves = weights.matrix(&format!("{name}.pos.weight"), outputs, 3)?;
        let mut positions = Matrix::zeros(3, outputs);
        for o in 0..outputs {
            (0..3).for_each(|axis| positions.row_mut(axis)[o] = halves.row(o)[axis]);
        }
        Ok(PointNetConv::max(features, positions, None))
    }

    /// Takes PyG's own `{name}.local_nn.weight` `[out, in + 3]` and `{name}.local_nn.bias` `[out]`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let linear = Linear::load(weights, &format!("{name}.local_nn"), inputs + 3, outputs, true)?;
        let (features, positions) = halves(&linear, inputs);
        Ok(PointNetConv::max(features, positions, linear.bias().map(<[f32]>::to_vec)))
    }

    /// The layer with one linear layer, a maximum, and the lists as they are.
    fn max(features: Linear, positions: Matrix, bias: Option<Vec<f32>>) -> Self {
        let (rest, global, outputs) = (Mlp::default(), Mlp::default(), positions.cols());
        let (aggregation, loops) = (Aggregation::Max, Loops::AsGiven);
        PointNetConv { features, positions, bias, outputs, rest, global, aggregation, loops }
    }

    /// From `local_nn`, which takes `in + 3` channels, `global_nn` (none), `add_self_loops` (true), `aggr` (`max`, or `mean`, `add`).
    ///
    /// # Errors
    /// An argument or a tensor that does not fit; a `local_nn` that does not begin with a linear layer.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let local = args.mlp("local_nn")?;
        let Some((first, rest)) = local.split_linear().filter(|(first, _)| first.weight().cols() >= 3) else {
            return Err(args.error("local_nn", "another network", "one that begins with a Linear of in_channels + 3"));
        };
        let (features, positions) = halves(first, first.weight().cols() - 3);
        let outputs = local.gives(first.weight().cols());
        let global = args.maybe_mlp("global_nn")?.unwrap_or_default();
        if let Some(takes) = global.takes().filter(|&takes| takes != outputs) {
            return Err(args.error("global_nn", format!("{takes} channels in"), format!("{outputs}")));
        }
        let loops = if args.flag("add_self_loops", true)? { Loops::One } else { Loops::AsGiven };
        let bias = first.bias().map(<[f32]>::to_vec);
        Ok(PointNetConv {
            features,
            positions,
            bias,
            outputs,
            rest,
            global,
            aggregation: args.aggregation("max")?,
            loops,
        })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default();
        match self.features.weight().cols() {
            0 => signature.nodes(3),
            channels => signature.nodes(channels).nodes(3),
        }
    }

    /// Each wanted row's maximum over `Wn x_j + P (p_j − p_i)`, with the bias.
    fn maxima(&self, part: &Part, messages: &Matrix, positions: &Matrix) -> Matrix {
        let mut out = Matrix::zeros(part.rows(), self.outputs);
        let (mut list, mut numbers, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..part.rows() {
            if self.loops == Loops::One {
                part.with_loop(place, &mut list, &mut numbers);
            } else {
                list.clear();
                list.extend_from_slice(part.list(place));
            }
            if list.is_empty() {
                continue;
            }
            let own = positions.row(part.dst(place));
            offsets.clear();
            offsets.extend(list.iter().map(|&j| offset(positions.row(j as usize), own)));
            part.ahead(place, messages);
            let row = out.row_mut(place);
            edge_max(&list, &offsets, messages.data(), self.positions.data(), row);
            if let Some(bias) = &self.bias {
                row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
            }
        }
        out
    }

    /// Each wanted row's aggregate, edge after edge.
    fn aggregates(&self, part: &Part, messages: &Matrix, positions: &Matrix) -> Result<Matrix, Error> {
        let mut folded = Folded::new(self.aggregation, part.rows(), self.outputs);
        part.batches(self.loops, BATCH, |edges| {
            let mut hidden = Matrix::zeros(edges.len(), messages.cols());
            for (e, edge) in edges.iter().enumerate() {
                let [dx, dy, dz] = offset(positions.row(edge.src), positions.row(edge.dst));
                let row = hidden.row_mut(e);
                for (c, v) in row.iter_mut().enumerate() {
                    let moved =
                        self.positions.row(0)[c] * dx + self.positions.row(1)[c] * dy + self.positions.row(2)[c] * dz;
                    *v = messages.row(edge.src)[c] + moved;
                }
                if let Some(bias) = &self.bias {
                    row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
                }
            }
            folded.add(edges, &self.rest.apply(hidden)?);
            Ok(())
        })?;
        Ok(folded.finish())
    }

    /// `x` `[nodes, in]`, positions multiplied by `scale`, neighbour lists through `lists(i)`; `[nodes, out]`.
    /// A node without neighbours gets zeros.
    ///
    /// # Errors
    /// [`Error::Shape`] if positions or lists are not those of the rows of `x`, or `x` has another number of channels than the layer.
    pub fn forward<'l>(
        &self,
        x: &Matrix,
        positions: Positions<'_>,
        scale: f32,
        lists: impl Fn(usize) -> &'l [u32],
    ) -> Result<Matrix, Error> {
        let Positions { x: px, y: py, z: pz } = positions;
        let rows = [x.rows(); 3];
        Error::unless_same("PointNetConv: positions of the rows of x", [px.len(), py.len(), pz.len()], rows)?;
        let messages = self.features.forward(x)?;
        let mut out = Matrix::zeros(x.rows(), self.outputs);
        self.maxima_of(0, &messages, positions, scale, lists, &mut Vec::new(), out.data_mut())?;
        Ok(out)
    }

    /// `Wn x`, the part of a message that belongs to its source: the input of [`PointNetConv::maxima_of`].
    pub(crate) fn sources(&self) -> &Linear {
        &self.features
    }

    /// The rows of [`PointNetConv::forward`] from `first` on, as many as `out` `[rows, out]`, which holds zeros, has; `offsets` is memory
    /// to use again.
    ///
    /// # Errors
    /// [`Error::Shape`] if a list holds what is no node.
    #[expect(clippy::too_many_arguments, reason = "the inner loop of a layer that others are fused with")]
    pub(crate) fn maxima_of<'l>(
        &self,
        first: usize,
        messages: &Matrix,
        positions: Positions<'_>,
        scale: f32,
        lists: impl Fn(usize) -> &'l [u32],
        offsets: &mut Vec<[f32; 3]>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let Positions { x: px, y: py, z: pz } = positions;
        for (i, row) in (first..).zip(out.chunks_exact_mut(self.outputs.max(1))) {
            let list = lists(i);
            if i + AHEAD < px.len() {
                messages.ahead(lists(i + AHEAD));
            }
            if let Some(j) = list.iter().find(|&&j| j as usize >= px.len()) {
                let (found, expected) = (format!("neighbour {j}"), format!("one of {} nodes", px.len()));
                return Err(Error::Shape { what: format!("PointNetConv: list of node {i}"), found, expected });
            }
            let own = [px[i], py[i], pz[i]];
            offsets.clear();
            offsets.extend(list.iter().map(|&j| {
                let j = j as usize;
                [(px[j] - own[0]) * scale, (py[j] - own[1]) * scale, (pz[j] - own[2]) * scale]
            }));
            if !list.is_empty() {
                edge_max(list, offsets, messages.data(), self.positions.data(), row);
                if let Some(bias) = &self.bias {
                    row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
                }
            }
        }
        Ok(())
    }
}

/// `p_j − p_i`.
fn offset(source: &[f32], own: &[f32]) -> [f32; 3] {
    [source[0] - own[0], source[1] - own[1], source[2] - own[2]]
}

/// The columns for features, as a layer without bias, and those for positions, transposed.
fn halves(linear: &Linear, inputs: usize) -> (Linear, Matrix) {
    let outputs = linear.weight().rows();
    let mut positions = Matrix::zeros(3, outputs);
    for o in 0..outputs {
        (0..3).for_each(|axis| positions.row_mut(axis)[o] = linear.weight().row(o)[inputs + axis]);
    }
    (linear.columns(0, inputs), positions)
}

impl Layer for PointNetConv {
    fn name(&self) -> &str {
        "PointNetConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.global.gives(self.outputs) }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(Layer::name(self), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let (x, positions) = match inputs {
            [x, positions] => (part.seen(x), part.seen(positions)),
            [positions] => (std::borrow::Cow::Owned(Matrix::zeros(part.nodes(), 0)), part.seen(positions)),
            _ => return Ok(Vec::new()),
        };
        let messages = self.features.forward(&x)?;
        let out = if self.rest.is_empty() && self.aggregation == Aggregation::Max {
            self.maxima(&part, &messages, &positions)
        } else {
            self.aggregates(&part, &messages, &positions)?
        };
        Ok(vec![self.global.apply(out)?])
    }
}

widened! {
    /// `out[c] = max_j (messages[j, c] + (P[0, c] dx + P[1, c] dy + P[2, c] dz))`, in registers as long as they last.
    fn edge_max(list: &[u32], offsets: &[[f32; 3]], messages: &[f32], positions: &[f32], out: &mut [f32]) {
        let mut start = 0;
        while start + WIDE <= out.len() {
            channels_max::<WIDE>(list, offsets, messages, positions, start, out);
            start += WIDE;
        }
        while start < out.len() {
            channels_max::<NARROW>(list, offsets, messages, positions, start, out);
            start += NARROW;
        }
    }
}

/// Channels at a time: two registers of AVX2 share what is made once an edge; one for what is left.
const WIDE: usize = 16;
const NARROW: usize = 8;

/// `LANES` channels of [`edge_max`] from `start` on, or as many as there are.
#[inline(always)]
fn channels_max<const LANES: usize>(
    list: &[u32],
    offsets: &[[f32; 3]],
    messages: &[f32],
    positions: &[f32],
    start: usize,
    out: &mut [f32],
) {
    let channels = out.len();
    let lanes = LANES.min(channels - start);
    let load = |from: &[f32]| -> [f32; LANES] {
        match from[start..].first_chunk::<LANES>() {
            Some(whole) => *whole,
            None => std::array::from_fn(|l| from.get(start + l).copied().unwrap_or(0.0)),
        }
    };
    let (px, rest) = positions.split_at(channels);
    let (py, pz) = rest.split_at(channels);
    let (px, py, pz) = (load(px), load(py), load(pz));
    let mut best = [f32::NEG_INFINITY; LANES];
    for (&j, d) in list.iter().zip(offsets) {
        let a = load(&messages[j as usize * channels..][..channels]);
        for l in 0..LANES {
            let v = a[l] + (px[l] * d[0] + py[l] * d[1] + pz[l] * d[2]);
            best[l] = if v > best[l] { v } else { best[l] };
        }
    }
    out[start..start + lanes].copy_from_slice(&best[..lanes]);
}
