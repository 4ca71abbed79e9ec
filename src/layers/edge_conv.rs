//! EdgeConv: `x'_i = aggregate_j nn([x_i, x_j − x_i])`, the aggregate a maximum, a mean or a sum.
//!
//! From: Wang et al., "Dynamic Graph CNN for Learning on Point Clouds", TOG 2019; parameters and results as PyTorch
//! Geometric's `EdgeConv`. Where `nn` begins with a linear layer `W = [Wa, Wb]`, that one is
//! `(Wa − Wb) x_i + b + Wb x_j`: two products a node, none an edge. The layers behind it run on batches of edges.

use super::aggregate::{Folded, add_rows, finish, fold};
use super::part::{BATCH, Edge, Loops, Part};
use super::signature::Signature;
use super::simd::widened;
use super::{
    Aggregation, Args, Layer, Linear, Matrix, Mismatch, Mlp, Neighbors, Of, RowWise, Rows, Shape, Structure, Weights,
};
use crate::Error;

/// The layer. Input: `x` `[nodes, in]`; output `[nodes, out]`, zeros for a node without sources.
#[derive(Clone, Debug)]
pub struct EdgeConv {
    first: Option<First>,
    /// Whether a ReLU follows.
    relu: bool,
    /// The layers that run an edge, behind those.
    rest: Mlp,
    aggregation: Aggregation,
    inputs: usize,
    outputs: usize,
}

/// The first layer, as its two node-level products.
#[derive(Clone, Debug)]
struct First {
    centre: Linear,
    neighbour: Linear,
}

impl EdgeConv {
    /// A layer with this network, which takes `2 in` channels.
    ///
    /// # Errors
    /// [`Error::Shape`] if the network takes an odd number of channels, or any.
    pub fn new(nn: Mlp, aggregation: Aggregation) -> Result<Self, Error> {
        let Some(both) = nn.takes().filter(|channels| channels % 2 == 0) else {
            let (found, expected) = (format!("{:?}", nn.takes()), "an even number".into());
            return Err(Error::Shape { what: "EdgeConv: channels into nn".into(), found, expected });
        };
        let (inputs, outputs) = (both / 2, nn.gives(both));
        let Some((linear, rest)) = nn.split_linear() else {
            return Ok(EdgeConv { first: None, relu: false, rest: nn, aggregation, inputs, outputs });
        };
        let (mut centre, mut neighbour) = (Matrix::zeros(linear.weight().rows(), inputs), Matrix::zeros(0, 0));
        neighbour.clone_from(&centre);
        for o in 0..centre.rows() {
            let (a, b) = linear.weight().row(o).split_at(inputs);
            neighbour.row_mut(o).copy_from_slice(b);
            centre.row_mut(o).iter_mut().zip(a.iter().zip(b)).for_each(|(c, (a, b))| *c = a - b);
        }
        let bias = linear.bias().map(<[f32]>::to_vec);
        let first = First { centre: Linear::new(centre, bias)?, neighbour: Linear::new(neighbour, None)? };
        let (relu, rest) = rest.split_relu();
        Ok(EdgeConv { first: Some(first), relu, rest, aggregation, inputs, outputs })
    }

    /// From `nn` and `aggr` (`max`, or `mean`, `add`).
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let nn = args.mlp("nn")?;
        let aggregation = args.aggregation("max")?;
        EdgeConv::new(nn, aggregation).map_err(|error| args.error("nn", error, "a network of 2 in_channels"))
    }

    /// The layer with one linear layer and a maximum, from `{name}.nn.weight` `[out, 2 in]` and `{name}.nn.bias` `[out]`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let linear = Linear::load(weights, &format!("{name}.nn"), 2 * inputs, outputs, true)?;
        EdgeConv::new(Mlp::new(vec![std::sync::Arc::new(linear)])?, Aggregation::Max)
    }

    /// All rows: `[nodes, in]` to `[nodes, out]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of rows than the graph nodes, or of channels than the layer.
    pub fn forward(&self, x: &Matrix, graph: &Neighbors) -> Result<Matrix, Error> {
        self.rows(&[x], &Structure { edges: graph, graph: None, graphs: 1 }, Rows::All)
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.inputs)
    }

    fn rows(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Matrix, Error> {
        self.signature().matrices("EdgeConv", inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let x = part.seen(inputs[0]);
        let Some(first) = &self.first else {
            return self.edges(&part, 2 * self.inputs, |edge, row| {
                let (own, difference) = row.split_at_mut(self.inputs);
                own.copy_from_slice(x.row(edge.dst));
                for ((d, a), b) in difference.iter_mut().zip(x.row(edge.src)).zip(x.row(edge.dst)) {
                    *d = a - b;
                }
            });
        };
        let mut centre = first.centre.forward(&part.own(inputs[0]))?;
        let neighbour = first.neighbour.forward(&x)?;
        if self.relu || !self.rest.is_empty() {
            return self.edges(&part, centre.cols(), |edge, row| {
                sum_of(centre.row(edge.place), neighbour.row(edge.src), self.relu, row);
            });
        }
        // `aggregate_j (c + m_j)` is `c + aggregate_j m_j`, and `count · c` where it is a sum.
        let mut aggregate = vec![0.0; self.outputs];
        for place in 0..part.rows() {
            let (list, row) = (part.list(place), centre.row_mut(place));
            part.ahead(place, &neighbour);
            if list.is_empty() {
                row.fill(0.0);
                continue;
            }
            aggregate.fill(if self.aggregation == Aggregation::Max { f32::NEG_INFINITY } else { 0.0 });
            fold(self.aggregation, list, &neighbour, &mut aggregate);
            finish(self.aggregation, list.len(), &mut aggregate);
            if self.aggregation == Aggregation::Add {
                row.iter_mut().for_each(|v| *v *= list.len() as f32);
            }
            add_rows(row, &aggregate);
        }
        Ok(centre)
    }

    /// The aggregate of `rest` on the rows that `fill` makes of the edges.
    fn edges(&self, part: &Part, width: usize, fill: impl Fn(&Edge, &mut [f32])) -> Result<Matrix, Error> {
        let mut folded = Folded::new(self.aggregation, part.rows(), self.outputs);
        let (mut hidden, mut messages) = (Matrix::zeros(0, width), Matrix::zeros(0, self.outputs));
        let last = self.rest.split_last();
        part.batches(Loops::AsGiven, BATCH, |edges| {
            if hidden.rows() != edges.len() {
                (hidden, messages) = (Matrix::zeros(edges.len(), width), Matrix::zeros(edges.len(), self.outputs));
            }
            edges.iter().enumerate().for_each(|(e, edge)| fill(edge, hidden.row_mut(e)));
            match &last {
                None => folded.add(edges, &self.rest.apply(hidden.clone())?),
                Some((before, linear)) => {
                    if before.is_empty() {
                        linear.product(&hidden, &mut messages)?;
                    } else {
                        linear.product(&before.apply(hidden.clone())?, &mut messages)?;
                    }
                    folded.add(edges, &messages);
                }
            }
            Ok(())
        })?;
        Ok(folded.finish_with(last.and_then(|(_, linear)| linear.bias())))
    }
}

widened! {
    /// `out = a + b`, or `max(a + b, 0)`.
    fn sum_of(a: &[f32], b: &[f32], relu: bool, out: &mut [f32]) {
        let sums = out.iter_mut().zip(a).zip(b);
        if relu {
            sums.for_each(|((out, a), b)| *out = if a + b > 0.0 { a + b } else { 0.0 });
        } else {
            sums.for_each(|((out, a), b)| *out = a + b);
        }
    }
}

impl Layer for EdgeConv {
    fn name(&self) -> &str {
        "EdgeConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.outputs }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        Ok(vec![self.rows(inputs, graph, rows)?])
    }
}
