//! GATConv: `x'_i = b + Σ_j α_ij W x_j`, `α_ij = softmax_j LeakyReLU(a_src · W x_j + a_dst · W x_i + a_edge · W_e e_ji)`, for each head.
//!
//! From: Veličković et al., "Graph Attention Networks", ICLR 2018, eq. 1 to 6; parameters and results as PyTorch Geometric's
//! `GATConv`. The scores `a · W x` are products of their own with the vectors `Wᵀ a`, folded when the file is read.

use super::attention::{Attention, attend};
use super::part::{LOOP, Part};
use super::signature::Signature;
use super::{Args, Layer, Linear, Matrix, Mismatch, Of, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, in_channels]`, and with `edge_dim` if wanted `edge_attr` `[edges, edge_dim]`; output
/// `[nodes, heads · out_channels]`, or `[nodes, out_channels]` where heads are averaged.
///
/// ```
/// use serde_json::json;
/// use thalweg::layers::{self, Matrix, Neighbors, Rows, Structure, Weights};
///
/// let (one, zero) = (1.0f32.to_le_bytes(), 0.0f32.to_le_bytes());
/// let tensor = |shape: &[usize], bytes| safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.into(), bytes).unwrap();
/// let file = safetensors::serialize([
///     ("gat.lin.weight", tensor(&[1, 1], &one)),
///     ("gat.att_src", tensor(&[1, 1, 1], &zero)),
///     ("gat.att_dst", tensor(&[1, 1, 1], &zero)),
///     ("gat.bias", tensor(&[1], &zero)),
/// ], None).unwrap();
/// let weights = Weights::read("example", &file).unwrap();
/// let args = json!({"in_channels": 1, "out_channels": 1});
/// let layer = layers::build(&weights, "gat", "GATConv", args.as_object().unwrap()).unwrap();
///
/// // Without a preference among them, a node takes the mean of its sources and itself.
/// let edges = Neighbors::from_edges(2, &[0], &[1]).unwrap();
/// let graph = Structure { edges: &edges, graph: None, graphs: 1 };
/// let x = Matrix::from_rows(2, 1, vec![4.0, 8.0]).unwrap();
/// assert_eq!(layer.forward(&[&x], &graph, Rows::All).unwrap()[0].data(), [4.0, 6.0]);
/// ```
#[derive(Clone, Debug)]
pub struct GatConv {
    attention: Attention,
    linear: Linear,
    /// `[2 heads, in]`: the scores of a node as a source, then as a destination.
    scores: Linear,
    /// `[heads, edge_dim]`: the score of an edge.
    edge_scores: Option<Matrix>,
}

impl GatConv {
    /// From `in_channels`, `out_channels`, `heads` (1), `concat` (true), `negative_slope` (0.2), `add_self_loops` (true), `edge_dim`,
    /// `fill_value` (`mean`, or a number), `bias` (true), `residual` (false), and the tensors `lin.weight` `[heads · out, in]`, `att_src`,
    /// `att_dst`, `att_edge` `[1, heads, out]`, `lin_edge.weight` `[heads · out, edge_dim]`, `res.weight`, `bias`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let attention = Attention::from_args(args)?;
        let (heads, outputs, inputs) = (attention.heads, attention.outputs, attention.inputs);
        let linear = args.linear("lin", inputs, heads * outputs, false)?;
        let folded = |name: &str, weight: &Matrix| folded(args, name, heads, outputs, weight);
        let mut both = folded("att_src", linear.weight())?.data().to_vec();
        both.extend_from_slice(folded("att_dst", linear.weight())?.data());
        let mut scores = Matrix::zeros(2 * heads, inputs);
        scores.data_mut().copy_from_slice(&both);
        let edge_scores = match attention.edge_dim {
            None => None,
            Some(dim) => {
                let edge = args.linear("lin_edge", dim, heads * outputs, false)?;
                Some(folded("att_edge", edge.weight())?)
            }
        };
        Ok(GatConv { attention, linear, scores: Linear::new(scores, None)?, edge_scores })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.attention.inputs);
        match self.attention.edge_dim {
            None => signature,
            Some(dim) => signature.maybe_edges(dim),
        }
    }

    /// The score of each edge of a list for one head, the added edge's included.
    fn edge_scores(&self, numbers: &[usize], attr: &Matrix, weight: &[f32], scores: &mut [f32]) {
        let mut sum = 0.0;
        let mut count = 0.0;
        let of = |attr: &[f32]| attr.iter().zip(weight).map(|(a, w)| a * w).sum::<f32>();
        for (score, &number) in scores.iter_mut().zip(numbers) {
            if number != LOOP {
                let own = of(attr.row(number));
                *score += own;
                sum += own;
                count += 1.0;
            }
        }
        // The score of a mean is the mean of the scores.
        let added = match self.attention.fill {
            Some(fill) => weight.iter().map(|w| fill * w).sum(),
            None if count > 0.0 => sum / count,
            None => 0.0,
        };
        for (score, &number) in scores.iter_mut().zip(numbers) {
            if number == LOOP {
                *score += added;
            }
        }
    }
}

/// `Wᵀ a` of each head, `[heads, in]`, summed in f64.
fn folded(args: &Args, name: &str, heads: usize, outputs: usize, weight: &Matrix) -> Result<Matrix, Error> {
    let (shape, vector) = args.weights().flat(&args.tensor(name))?;
    if shape != [1, heads, outputs] {
        return Err(args.weights().error(&args.tensor(name), format!("{shape:?}"), format!("[1, {heads}, {outputs}]")));
    }
    let mut out = Matrix::zeros(heads, weight.cols());
    for head in 0..heads {
        for (c, v) in out.row_mut(head).iter_mut().enumerate() {
            let terms =
                (head * outputs..(head + 1) * outputs).map(|o| f64::from(vector[o]) * f64::from(weight.row(o)[c]));
            *v = terms.sum::<f64>() as f32;
        }
    }
    Ok(out)
}

impl Layer for GatConv {
    fn name(&self) -> &str {
        "GATConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.attention.channels() }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let (attention, heads) = (&self.attention, self.attention.heads);
        let part = Part::new(graph.edges, rows);
        let x = part.seen(inputs[0]);
        let (values, node_scores) = (self.linear.forward(&x)?, self.scores.forward(&x)?);
        let mut out = Matrix::zeros(part.rows(), heads * attention.outputs);
        let (mut list, mut numbers, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..part.rows() {
            if attention.loops {
                part.with_loop(place, &mut list, &mut numbers);
            } else {
                list.clear();
                numbers.clear();
                list.extend_from_slice(part.list(place));
                numbers.extend(part.edges(place));
            }
            let own = node_scores.row(part.dst(place));
            scores.clear();
            for head in 0..heads {
                let first = scores.len();
                scores.extend(list.iter().map(|&j| node_scores.row(j as usize)[head] + own[heads + head]));
                if let (Some(attr), Some(weight)) = (inputs.get(1), &self.edge_scores) {
                    self.edge_scores(&numbers, attr, weight.row(head), &mut scores[first..]);
                }
            }
            scores.iter_mut().for_each(|score| *score = attention.leaky(*score));
            attend(&mut scores, &list, &values, out.row_mut(place), heads);
        }
        Ok(vec![attention.finish(out, &part.own(inputs[0]))?])
    }
}
