//! GINConv: `x'_i = nn((1 + eps) x_i + Σ_j x_j)`, and GINEConv: `x'_i = nn((1 + eps) x_i + Σ_j relu(x_j + W e_ji + b))`.
//!
//! From: Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019, eq. 4.1, and Hu et al., "Strategies for Pre-training Graph
//! Neural Networks", ICLR 2020; parameters and results as PyTorch Geometric's `GINConv` and `GINEConv`.

use super::aggregate::{Folded, finish, fold};
use super::part::{BATCH, Loops, Part};
use super::signature::Signature;
use super::{Aggregation, Args, Layer, Linear, Matrix, Mismatch, Mlp, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// Either layer. Inputs: `x` `[nodes, in]`, and for GINEConv `edge_attr` `[edges, edge_dim]`; output `[nodes, out]`.
#[derive(Clone, Debug)]
pub struct GinConv {
    nn: Mlp,
    eps: f32,
    aggregation: Aggregation,
    inputs: usize,
    edges: Option<EdgeFeatures>,
}

/// What GINEConv does with the features of the edges.
#[derive(Clone, Debug)]
struct EdgeFeatures {
    channels: usize,
    linear: Option<Linear>,
}

impl GinConv {
    /// GINConv from `nn`, `eps` (0), `train_eps` (of training alone), `aggr` (`add`), and the tensor `eps` `[1]`, which overrules the
    /// argument where it is there.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&["train_eps"])?;
        let nn = args.mlp("nn")?;
        let inputs = args.inputs_of("nn", &nn)?;
        let given = args.number("eps", 0.0)? as f32;
        let eps = if args.weights().has(&args.tensor("eps")) { args.vector("eps", 1)?[0] } else { given };
        Ok(GinConv { nn, eps, aggregation: args.aggregation("add")?, inputs, edges: None })
    }

    /// GINEConv from the same, `edge_dim`, and the tensors `lin.weight` `[in, edge_dim]`, `lin.bias` `[in]`; without `edge_dim` edges have
    /// as many channels as nodes.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn with_edges(args: &Args) -> Result<Self, Error> {
        let own = GinConv::from_args(args)?;
        let dim = args.maybe_count("edge_dim")?;
        let linear = dim.map(|dim| args.linear("lin", dim, own.inputs, true)).transpose()?;
        Ok(GinConv { edges: Some(EdgeFeatures { channels: dim.unwrap_or(own.inputs), linear }), ..own })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.inputs);
        match &self.edges {
            None => signature,
            Some(edges) => signature.edges(edges.channels),
        }
    }

    /// `aggregate_j relu(x_j + W e_ji + b)` of the wanted rows.
    fn with_features(&self, part: &Part, x: &Matrix, attr: &Matrix, edges: &EdgeFeatures) -> Result<Matrix, Error> {
        let mut folded = Folded::new(self.aggregation, part.rows(), self.inputs);
        part.batches(Loops::AsGiven, BATCH, |batch| {
            let mut messages = Matrix::zeros(batch.len(), edges.channels);
            batch.iter().enumerate().for_each(|(e, edge)| {
                messages.row_mut(e).copy_from_slice(attr.row(edge.number));
            });
            if let Some(linear) = &edges.linear {
                messages = linear.forward(&messages)?;
            }
            for (e, edge) in batch.iter().enumerate() {
                messages.row_mut(e).iter_mut().zip(x.row(edge.src)).for_each(|(m, v)| *m += v);
            }
            folded.add(batch, &messages.relu());
            Ok(())
        })?;
        Ok(folded.finish())
    }
}

impl Layer for GinConv {
    fn name(&self) -> &str {
        if self.edges.is_some() { "GINEConv" } else { "GINConv" }
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.nn.gives(self.inputs) }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let x = part.seen(inputs[0]);
        let mut sums = match &self.edges {
            Some(edges) => self.with_features(&part, &x, inputs[1], edges)?,
            None => {
                let mut sums = Matrix::zeros(part.rows(), self.inputs);
                for place in 0..part.rows() {
                    let (list, row) = (part.list(place), sums.row_mut(place));
                    part.ahead(place, &x);
                    if self.aggregation == Aggregation::Max {
                        row.fill(f32::NEG_INFINITY);
                    }
                    fold(self.aggregation, list, &x, row);
                    finish(self.aggregation, list.len(), row);
                }
                sums
            }
        };
        for place in 0..part.rows() {
            let own = x.row(part.dst(place));
            sums.row_mut(place).iter_mut().zip(own).for_each(|(v, x)| *v += (1.0 + self.eps) * x);
        }
        Ok(vec![self.nn.apply(sums)?])
    }
}
