//! GraphConv with one or more weights an edge: `x'_i = W1 x_i + b + Σ_k W2_k · aggregate_j w_ijk x_j`.
//!
//! From: Morris et al., "Weisfeiler and Leman Go Neural", AAAI 2019; with one weight an edge, or none, parameters and results are
//! those of PyTorch Geometric's `GraphConv`. With K weights `lin_rel` takes the K aggregates side by side.

use super::aggregate::{finish, fold, weighted_max, weighted_sum};
use super::part::Part;
use super::signature::Signature;
use super::{Aggregation, Args, Layer, Linear, Matrix, Mismatch, Neighbors, Of, Rows, Shape, Structure, Weights};
use crate::Error;

/// The layer: `lin_rel` `[out, K in]` with bias, `lin_root` `[out, in]` without. Inputs: `x` `[nodes, in]`, and the edge weights
/// `[edges, K]`, which may be left out where K is 1; output `[nodes, out]`.
#[derive(Clone, Debug)]
pub struct GraphConv {
    neighbours: Linear,
    root: Linear,
    aggregation: Aggregation,
    kinds: usize,
}

impl GraphConv {
    /// Takes `{name}.lin_rel.weight`, `{name}.lin_rel.bias` and `{name}.lin_root.weight`; `kinds` is K. Aggregates are sums.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize, kinds: usize) -> Result<Self, Error> {
        Ok(GraphConv {
            neighbours: Linear::load(weights, &format!("{name}.lin_rel"), kinds * inputs, outputs, true)?,
            root: Linear::load(weights, &format!("{name}.lin_root"), inputs, outputs, false)?,
            aggregation: Aggregation::Add,
            kinds,
        })
    }

    /// From `in_channels`, `out_channels`, `aggr` (`add`, or `mean`, `max`), `bias` (true), and the tensors `lin_rel.weight`,
    /// `lin_rel.bias`, `lin_root.weight`; one weight an edge.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        Ok(GraphConv {
            neighbours: args.linear("lin_rel", inputs, outputs, args.flag("bias", true)?)?,
            root: args.linear("lin_root", inputs, outputs, false)?,
            aggregation: args.aggregation("add")?,
            kinds: 1,
        })
    }

    /// `[nodes, in]` to `[nodes, out]`; `weight` is `[edges, K]` in the order of the lists.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of rows than the graph nodes, `weight` than it has edges, or either another number of
    /// columns than the layer asks for.
    pub fn forward(&self, x: &Matrix, graph: &Neighbors, weight: &Matrix) -> Result<Matrix, Error> {
        let graph = Structure { edges: graph, graph: None, graphs: 1 };
        self.rows(&[x, weight], &graph, Rows::All)
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.root.weight().cols());
        if self.kinds == 1 { signature.maybe_edges(1) } else { signature.edges(self.kinds) }
    }

    fn rows(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Matrix, Error> {
        self.signature().matrices("GraphConv", inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let x = part.seen(inputs[0]);
        let channels = x.cols();
        let mut factors = Vec::new();
        let mut out = self.neighbours.start(part.rows());
        self.neighbours.add_made(&mut out, |place, row| {
            let list = part.list(place);
            part.ahead(place, &x);
            if self.aggregation == Aggregation::Max {
                row.fill(f32::NEG_INFINITY);
            }
            match inputs.get(1) {
                None => fold(self.aggregation, list, &x, row),
                Some(weight) => {
                    for (kind, row) in row.chunks_exact_mut(channels.max(1)).enumerate() {
                        factors.clear();
                        factors.extend(part.edges(place).map(|edge| weight.row(edge)[kind]));
                        let along = if self.aggregation == Aggregation::Max { weighted_max } else { weighted_sum };
                        along(list, &factors, x.data(), channels, row);
                    }
                }
            }
            finish(self.aggregation, list.len(), row);
        })?;
        self.root.add_to(&part.own(inputs[0]), &mut out)?;
        Ok(out)
    }
}

impl Layer for GraphConv {
    fn name(&self) -> &str {
        "GraphConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.root.weight().rows() }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        Ok(vec![self.rows(inputs, graph, rows)?])
    }
}
