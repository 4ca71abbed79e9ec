//! CGConv: `x'_i = x_i + aggregate_j σ(z_ij W_f + b_f) softplus(z_ij W_s + b_s)`, `z_ij = [x_i, x_j, e_ji]`.
//!
//! From: Xie and Grossman, "Crystal Graph Convolutional Neural Networks", Physical Review Letters 2018, eq. 5; parameters and
//! results as PyTorch Geometric's `CGConv`. The parts of both products that belong to nodes are done once a node.

use super::activation::{sigmoid, softplus};
use super::aggregate::Folded;
use super::attention::features;
use super::part::{BATCH, Loops, Part};
use super::signature::Signature;
use super::{Aggregation, Args, BatchNorm, Layer, Linear, Matrix, Mismatch, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, channels]`, and with `dim` `edge_attr` `[edges, dim]`; output `[nodes, channels]`.
#[derive(Clone, Debug)]
pub struct CgConv {
    gate: Halves,
    update: Halves,
    norm: Option<BatchNorm>,
    aggregation: Aggregation,
    channels: usize,
    dim: usize,
}

/// A linear layer on `[x_i, x_j, e_ji]`, in parts.
#[derive(Clone, Debug)]
struct Halves {
    own: Linear,
    source: Linear,
    edge: Linear,
}

impl Halves {
    fn load(args: &Args, name: &str, channels: usize, dim: usize, bias: bool) -> Result<Self, Error> {
        let whole = args.linear(name, 2 * channels + dim, channels, bias)?;
        Ok(Halves {
            own: whole.columns(0, channels).with_bias(whole.bias()),
            source: whole.columns(channels, 2 * channels),
            edge: whole.columns(2 * channels, 2 * channels + dim),
        })
    }
}

impl CgConv {
    /// From `channels`, `dim` (0), `aggr` (`add`, or `mean`, `max`), `batch_norm` (false, else with running statistics), `bias` (true), and
    /// the tensors of `lin_f`, `lin_s`, `bn`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let (channels, dim, bias) = (args.count("channels")?, args.index("dim", 0)?, args.flag("bias", true)?);
        let norm = args.flag("batch_norm", false)?;
        Ok(CgConv {
            gate: Halves::load(args, "lin_f", channels, dim, bias)?,
            update: Halves::load(args, "lin_s", channels, dim, bias)?,
            norm: norm.then(|| BatchNorm::load(args, "bn.", channels, 1e-5, true)).transpose()?,
            aggregation: args.aggregation("add")?,
            channels,
            dim,
        })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.channels);
        if self.dim == 0 { signature } else { signature.edges(self.dim) }
    }
}

impl Layer for CgConv {
    fn name(&self) -> &str {
        "CGConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.channels }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let (x, own) = (part.seen(inputs[0]), part.own(inputs[0]));
        let nodes = |halves: &Halves| Ok::<_, Error>((halves.own.forward(&own)?, halves.source.forward(&x)?));
        let (gate, update) = (nodes(&self.gate)?, nodes(&self.update)?);
        let mut folded = Folded::new(self.aggregation, part.rows(), self.channels);
        part.batches(Loops::AsGiven, BATCH, |edges| {
            let edge_part = |halves: &Halves| match inputs.get(1) {
                Some(attr) => halves.edge.forward(&features(edges, attr, None)),
                None => Ok(Matrix::zeros(edges.len(), self.channels)),
            };
            let (mut messages, updates) = (edge_part(&self.gate)?, edge_part(&self.update)?);
            for (e, edge) in edges.iter().enumerate() {
                let (gate_own, gate_source) = (gate.0.row(edge.place), gate.1.row(edge.src));
                let (update_own, update_source) = (update.0.row(edge.place), update.1.row(edge.src));
                let of_edge = updates.row(e);
                for (c, m) in messages.row_mut(e).iter_mut().enumerate() {
                    let gate = *m + gate_own[c] + gate_source[c];
                    let update = of_edge[c] + update_own[c] + update_source[c];
                    *m = sigmoid(gate) * softplus(update, 1.0, 20.0);
                }
            }
            folded.add(edges, &messages);
            Ok(())
        })?;
        let mut out = folded.finish();
        if let Some(norm) = &self.norm {
            out = norm.apply(out)?;
        }
        out.data_mut().iter_mut().zip(own.data()).for_each(|(v, x)| *v += x);
        Ok(vec![out])
    }
}
