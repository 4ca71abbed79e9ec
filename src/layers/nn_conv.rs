//! NNConv: `x'_i = W x_i + b + aggregate_j x_j Θ(e_ji)`, the matrix `Θ(e) = nn(e)` `[in, out]` made for each edge.
//!
//! From: Gilmer et al., "Neural Message Passing for Quantum Chemistry", ICML 2017, section 5; parameters and results as PyTorch
//! Geometric's `NNConv` (`ECConv`).

use super::aggregate::{Folded, add_bias};
use super::attention::features;
use super::part::{Loops, Part};
use super::signature::Signature;
use super::{Aggregation, Args, Layer, Linear, Matrix, Mismatch, Mlp, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// Edges of a batch: each has a matrix.
const BATCH: usize = 192;

/// The layer. Inputs: `x` `[nodes, in_channels]` and `edge_attr` `[edges, channels]`; output `[nodes, out_channels]`.
#[derive(Clone, Debug)]
pub struct NnConv {
    nn: Mlp,
    root: Option<Linear>,
    bias: Option<Vec<f32>>,
    aggregation: Aggregation,
    edge_channels: usize,
    inputs: usize,
    outputs: usize,
}

impl NnConv {
    /// From `in_channels`, `out_channels`, `nn`, `aggr` (`add`, or `mean`, `max`), `root_weight` (true), `bias` (true), and the tensors
    /// `lin.weight` `[out, in]` and `bias` `[out]`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let nn = args.mlp("nn")?;
        let edge_channels = args.inputs_of("nn", &nn)?;
        if nn.gives(edge_channels) != inputs * outputs {
            let found = format!("{} channels out", nn.gives(edge_channels));
            return Err(args.error("nn", found, format!("{inputs} x {outputs}")));
        }
        let root = args.flag("root_weight", true)?;
        let root = root.then(|| args.linear("lin", inputs, outputs, false)).transpose()?;
        let (bias, aggregation) = (args.bias(outputs)?, args.aggregation("add")?);
        Ok(NnConv { nn, root, bias, aggregation, edge_channels, inputs, outputs })
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.inputs).edges(self.edge_channels)
    }
}

impl Layer for NnConv {
    fn name(&self) -> &str {
        "NNConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.outputs }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let x = part.seen(inputs[0]);
        let mut folded = Folded::new(self.aggregation, part.rows(), self.outputs);
        part.batches(Loops::AsGiven, BATCH, |edges| {
            let matrices = self.nn.apply(features(edges, inputs[1], None))?;
            let mut messages = Matrix::zeros(edges.len(), self.outputs);
            for (e, edge) in edges.iter().enumerate() {
                let row = messages.row_mut(e);
                for (v, weights) in x.row(edge.src).iter().zip(matrices.row(e).chunks_exact(self.outputs)) {
                    row.iter_mut().zip(weights).for_each(|(m, w)| *m += v * w);
                }
            }
            folded.add(edges, &messages);
            Ok(())
        })?;
        let mut out = folded.finish();
        if let Some(root) = &self.root {
            root.add_to(&part.own(inputs[0]), &mut out)?;
        }
        add_bias(self.bias.as_deref(), &mut out);
        Ok(vec![out])
    }
}
