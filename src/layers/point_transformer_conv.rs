//! PointTransformerConv: `x'_i = Σ_j α_ij (W x_j + δ_ij)`, `α_ij = softmax_j attn_nn(W_dst x_i − W_src x_j + δ_ij)` channel by channel,
//! `δ_ij = pos_nn(p_i − p_j)`.
//!
//! From: Zhao et al., "Point Transformer", ICCV 2021, eq. 3 and 4; parameters and results as PyTorch Geometric's
//! `PointTransformerConv`.

use super::part::{Edge, Loops, Part};
use super::signature::Signature;
use super::{Args, Layer, Linear, Matrix, Mismatch, Mlp, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, in_channels]` and positions `[nodes, 3]`; output `[nodes, out_channels]`.
#[derive(Clone, Debug)]
pub struct PointTransformerConv {
    value: Linear,
    source: Linear,
    own: Linear,
    positions: Mlp,
    attention: Mlp,
    loops: Loops,
}

impl PointTransformerConv {
    /// From `in_channels`, `out_channels`, `pos_nn` (one linear layer), `attn_nn` (none), `add_self_loops` (true), and the tensors
    /// `lin.weight`, `lin_src.weight`, `lin_dst.weight` `[out, in]`, `pos_nn.weight` `[out, 3]`, `pos_nn.bias` `[out]`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        args.word("aggr", "add", &["add", "sum"])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let positions = match args.maybe_mlp("pos_nn")? {
            Some(positions) => positions,
            None => Mlp::new(vec![std::sync::Arc::new(args.linear("pos_nn", 3, outputs, true)?)])?,
        };
        let attention = args.maybe_mlp("attn_nn")?.unwrap_or_default();
        for (key, nn, takes) in [("pos_nn", &positions, 3), ("attn_nn", &attention, outputs)] {
            if nn.takes().is_some_and(|found| found != takes) || nn.gives(takes) != outputs {
                let found = format!("{:?} to {} channels", nn.takes(), nn.gives(takes));
                return Err(args.error(key, found, format!("{takes} to {outputs}")));
            }
        }
        Ok(PointTransformerConv {
            value: args.linear("lin", inputs, outputs, false)?,
            source: args.linear("lin_src", inputs, outputs, false)?,
            own: args.linear("lin_dst", inputs, outputs, false)?,
            positions,
            attention,
            loops: if args.flag("add_self_loops", true)? { Loops::One } else { Loops::AsGiven },
        })
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.value.weight().cols()).nodes(3)
    }
}

/// `row += Σ_e softmax_e(scores) (values of the source + δ)`, channel by channel, over the edges of one row.
fn attend(edges: &[Edge], scores: &mut Matrix, delta: &Matrix, values: &Matrix, first: usize, row: &mut [f32]) {
    let mut max = vec![f32::NEG_INFINITY; row.len()];
    let mut sum = vec![0.0f32; row.len()];
    for e in first..first + edges.len() {
        max.iter_mut().zip(scores.row(e)).for_each(|(m, &s)| *m = if s > *m { s } else { *m });
    }
    for e in first..first + edges.len() {
        for ((score, max), sum) in scores.row_mut(e).iter_mut().zip(&max).zip(&mut sum) {
            *score = libm::expf(*score - max);
            *sum += *score;
        }
    }
    for (e, edge) in (first..).zip(edges) {
        let (scores, delta, values) = (scores.row(e), delta.row(e), values.row(edge.src));
        for (c, v) in row.iter_mut().enumerate() {
            *v += scores[c] / (sum[c] + 1e-16) * (values[c] + delta[c]);
        }
    }
}

impl Layer for PointTransformerConv {
    fn name(&self) -> &str {
        "PointTransformerConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.value.weight().rows() }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let (x, positions) = (part.seen(inputs[0]), part.seen(inputs[1]));
        let (values, sources) = (self.value.forward(&x)?, self.source.forward(&x)?);
        let own = self.own.forward(&part.own(inputs[0]))?;
        let mut out = Matrix::zeros(part.rows(), values.cols());
        part.lists(self.loops, |batch| {
            let mut offsets = Matrix::zeros(batch.len(), 3);
            for (e, edge) in batch.iter().enumerate() {
                let ends = positions.row(edge.dst).iter().zip(positions.row(edge.src));
                offsets.row_mut(e).iter_mut().zip(ends).for_each(|(d, (own, source))| *d = own - source);
            }
            let delta = self.positions.apply(offsets)?;
            let mut scores = delta.clone();
            for (e, edge) in batch.iter().enumerate() {
                let ends = own.row(edge.place).iter().zip(sources.row(edge.src));
                scores.row_mut(e).iter_mut().zip(ends).for_each(|(s, (own, source))| *s += own - source);
            }
            let mut scores = self.attention.apply(scores)?;
            let mut first = 0;
            for edges in batch.chunk_by(|a, b| a.place == b.place) {
                attend(edges, &mut scores, &delta, &values, first, out.row_mut(edges[0].place));
                first += edges.len();
            }
            Ok(())
        })?;
        Ok(vec![out])
    }
}
