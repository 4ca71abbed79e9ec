//! CFConv: `x'_i = W2 Σ_j (W1 x_j) ∘ nn(e_ji) · ½ (cos(π d_ji / cutoff) + 1) + b`, the continuous-filter convolution.
//!
//! From: Schütt et al., "SchNet", NeurIPS 2017, section 4; parameters and results as `CFConv` in PyTorch Geometric's SchNet.

use super::aggregate::Folded;
use super::attention::features;
use super::part::{BATCH, Loops, Part};
use super::signature::Signature;
use super::{Aggregation, Args, Layer, Linear, Matrix, Mismatch, Mlp, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, in_channels]`, distances `[edges, 1]` in the cutoff's unit, `edge_attr` `[edges, channels]`, the
/// distances smeared over Gaussians; output `[nodes, out_channels]`.
#[derive(Clone, Debug)]
pub struct CfConv {
    first: Linear,
    second: Linear,
    nn: Mlp,
    edge_channels: usize,
    cutoff: f32,
}

impl CfConv {
    /// From `in_channels`, `out_channels`, `num_filters`, `nn`, `cutoff`, and the tensors `lin1.weight`, `lin2.weight`, `lin2.bias`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let filters = args.count("num_filters")?;
        let nn = args.mlp("nn")?;
        let edge_channels = args.inputs_of("nn", &nn)?;
        if nn.gives(edge_channels) != filters {
            return Err(args.error("nn", format!("{} channels out", nn.gives(edge_channels)), filters));
        }
        let cutoff = args.needed_number("cutoff")? as f32;
        if cutoff <= 0.0 {
            return Err(args.error("cutoff", cutoff, "a number above 0"));
        }
        let (first, second) =
            (args.linear("lin1", inputs, filters, false)?, args.linear("lin2", filters, outputs, true)?);
        Ok(CfConv { first, second, nn, edge_channels, cutoff })
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.first.weight().cols()).edges(1).edges(self.edge_channels)
    }
}

impl Layer for CfConv {
    fn name(&self) -> &str {
        "CFConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.second.weight().rows() }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let x = self.first.forward(&part.seen(inputs[0]))?;
        let mut folded = Folded::new(Aggregation::Add, part.rows(), x.cols());
        part.batches(Loops::AsGiven, BATCH, |edges| {
            let mut messages = self.nn.apply(features(edges, inputs[2], None))?;
            for (e, edge) in edges.iter().enumerate() {
                let distance = inputs[1].row(edge.number)[0];
                let fade = 0.5 * (libm::cosf(distance * std::f32::consts::PI / self.cutoff) + 1.0);
                messages.row_mut(e).iter_mut().zip(x.row(edge.src)).for_each(|(m, x)| *m = x * (*m * fade));
            }
            folded.add(edges, &messages);
            Ok(())
        })?;
        Ok(vec![self.second.forward(&folded.finish())?])
    }
}
