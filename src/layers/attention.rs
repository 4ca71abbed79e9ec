//! What attention layers share: heads, features of edges, and the edge that is added from a node to itself.

use super::aggregate::{add_bias, softmax, weighted_sum};
use super::part::{Edge, LOOP};
use super::{Args, Linear, Matrix};
use crate::Error;

/// The arguments `heads`, `concat`, `negative_slope`, `add_self_loops`, `edge_dim`, `fill_value`, `bias`, `residual` of GATConv and
/// GATv2Conv, with the tensors `bias` and `res.weight`.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub inputs: usize,
    /// Of one head.
    pub outputs: usize,
    pub heads: usize,
    pub concat: bool,
    pub negative_slope: f32,
    pub loops: bool,
    pub edge_dim: Option<usize>,
    /// The features of an added edge; `None`: the mean of those of the node's other edges.
    pub fill: Option<f32>,
    residual: Option<Linear>,
    bias: Option<Vec<f32>>,
}

impl Attention {
    /// From the arguments.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&["dropout"])?;
        args.word("aggr", "add", &["add", "sum"])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let (heads, concat) = (args.maybe_count("heads")?.unwrap_or(1), args.flag("concat", true)?);
        let all = if concat { heads * outputs } else { outputs };
        let residual = args.flag("residual", false)?;
        Ok(Attention {
            inputs,
            outputs,
            heads,
            concat,
            negative_slope: args.number("negative_slope", 0.2)? as f32,
            loops: args.flag("add_self_loops", true)?,
            edge_dim: args.maybe_count("edge_dim")?,
            fill: args.number_or("fill_value", "mean")?.map(|fill| fill as f32),
            residual: if residual { Some(args.linear("res", inputs, all, false)?) } else { None },
            bias: args.bias(all)?,
        })
    }

    /// Channels of the output.
    pub fn channels(&self) -> usize {
        if self.concat { self.heads * self.outputs } else { self.outputs }
    }

    /// `v`, or `negative_slope · v` below 0.
    #[inline(always)]
    pub fn leaky(&self, v: f32) -> f32 {
        leaky(self.negative_slope, v)
    }

    /// Heads side by side or averaged, with residual and bias; `own` are the wanted rows of x.
    pub fn finish(&self, heads: Matrix, own: &Matrix) -> Result<Matrix, Error> {
        let mut out = if self.concat { heads } else { mean_of_heads(&heads, self.heads) };
        if let Some(residual) = &self.residual {
            residual.add_to(own, &mut out)?;
        }
        add_bias(self.bias.as_deref(), &mut out);
        Ok(out)
    }
}

#[inline(always)]
pub(super) fn leaky(slope: f32, v: f32) -> f32 {
    if v > 0.0 { v } else { v * slope }
}

/// `[rows, heads · channels]` to the mean `[rows, channels]`.
pub(super) fn mean_of_heads(all: &Matrix, heads: usize) -> Matrix {
    let channels = all.cols() / heads;
    let mut out = Matrix::zeros(all.rows(), channels);
    for i in 0..all.rows() {
        let row = out.row_mut(i);
        for head in all.row(i).chunks_exact(channels.max(1)) {
            row.iter_mut().zip(head).for_each(|(v, h)| *v += h);
        }
        row.iter_mut().for_each(|v| *v /= heads as f32);
    }
    out
}

/// Turns the scores of one list, `[heads][list]`, into attention and adds the rows of `values` that it weighs to `row`,
/// `[heads · channels]`.
pub(super) fn attend(scores: &mut [f32], list: &[u32], values: &Matrix, row: &mut [f32], heads: usize) {
    if list.is_empty() {
        return;
    }
    let channels = row.len() / heads;
    let per_head = scores.chunks_exact_mut(list.len()).zip(row.chunks_exact_mut(channels.max(1)));
    for (head, (scores, row)) in per_head.enumerate() {
        softmax(scores);
        let from = values.data().get(head * channels..).unwrap_or_default();
        weighted_sum(list, scores, from, values.cols(), row);
    }
}

/// The features of the edges, `[edges of the batch, channels]`; lists are whole in it. An added edge has `fill`, or the mean of the others
/// of its list, zeros where there is none.
pub(super) fn features(edges: &[Edge], attr: &Matrix, fill: Option<f32>) -> Matrix {
    let mut out = Matrix::zeros(edges.len(), attr.cols());
    let mut e = 0;
    for list in edges.chunk_by(|a, b| a.place == b.place) {
        let others = || list.iter().filter(|edge| edge.number != LOOP);
        for edge in list {
            let row = out.row_mut(e);
            e += 1;
            match (edge.number, fill) {
                (LOOP, Some(fill)) => row.fill(fill),
                (LOOP, None) => {
                    for other in others() {
                        row.iter_mut().zip(attr.row(other.number)).for_each(|(v, a)| *v += a);
                    }
                    let count = others().count().max(1) as f32;
                    row.iter_mut().for_each(|v| *v /= count);
                }
                (number, _) => row.copy_from_slice(attr.row(number)),
            }
        }
    }
    out
}
