//! GCNConv: `x'_i = b + Σ_j w_ji / sqrt(d_i d_j) · W x_j` over the sources `j` of `i` and `i` itself.
//!
//! From: Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, eq. 2. Parameters and
//! results as PyTorch Geometric's `GCNConv`: `d_i` is the sum of the weights into `i`, the edge to itself included.

use super::aggregate::{add_bias, sum, weighted_sum};
use super::part::{LOOP, Part};
use super::signature::Signature;
use super::{Args, Layer, Linear, Matrix, Mismatch, Of, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, in_channels]`, and if wanted the edge weights `[edges, 1]`; output `[nodes, out_channels]`.
///
/// A row depends on the degrees of its sources too, so it changes when a source gets or loses an edge.
///
/// ```
/// use serde_json::json;
/// use thalweg::layers::{self, Matrix, Neighbors, Rows, Structure, Weights};
///
/// let lin = [2.0f32, 0.0].map(f32::to_le_bytes).concat();
/// let lin = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1, 2], &lin).unwrap();
/// let file = safetensors::serialize([("conv1.lin.weight", lin)], None).unwrap();
/// let weights = Weights::read("example", &file).unwrap();
/// let args = json!({"in_channels": 2, "out_channels": 1, "bias": false});
/// let layer = layers::build(&weights, "conv1", "GCNConv", args.as_object().unwrap()).unwrap();
///
/// let edges = Neighbors::from_edges(2, &[0], &[1]).unwrap();
/// let graph = Structure { edges: &edges, graph: None, graphs: 1 };
/// let x = Matrix::from_rows(2, 2, vec![1.0, 5.0, 4.0, 5.0]).unwrap();
/// let out = layer.forward(&[&x], &graph, Rows::All).unwrap();
/// assert_eq!(out[0].row(0), [2.0]);
/// assert_eq!(out[0].row(1), [2.0 * (0.5f32.sqrt() * 1.0) + 8.0 * (0.5f32.sqrt() * 0.5f32.sqrt())]);
/// ```
#[derive(Clone, Debug)]
pub struct GcnConv {
    linear: Linear,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
    normalize: bool,
    loops: bool,
    /// The weight of an added edge from a node to itself, where edges have weights.
    fill: f32,
}

impl GcnConv {
    /// From `in_channels`, `out_channels`, `improved` (false), `add_self_loops` (as `normalize`), `normalize` (true), `bias` (true), and
    /// the tensors `lin.weight` `[out, in]` and `bias` `[out]`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit; edges from nodes to themselves without normalisation.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&["cached"])?;
        args.word("aggr", "add", &["add", "sum"])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let normalize = args.flag("normalize", true)?;
        let loops = args.flag("add_self_loops", normalize)?;
        if loops && !normalize {
            return Err(args.error("add_self_loops", true, "false where normalize is false"));
        }
        let fill = if args.flag("improved", false)? { 2.0 } else { 1.0 };
        let linear = args.linear("lin", inputs, outputs, false)?;
        Ok(GcnConv { linear, bias: args.bias(outputs)?, inputs, outputs, normalize, loops, fill })
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.inputs).maybe_edges(1)
    }

    /// `1 / sqrt(d)` of each node that is seen.
    fn roots(&self, part: &Part, graph: &Structure, weight: Option<&[f32]>) -> Vec<f32> {
        let degree = |number: usize| {
            let node = part.node(number);
            let (list, edges) = (graph.edges.of(node), graph.edges.edges_of(node));
            let Some(weight) = weight else {
                let others = if self.loops { list.iter().filter(|&&j| j as usize != node).count() } else { list.len() };
                return (others + usize::from(self.loops)) as f32;
            };
            let mut degree = 0.0;
            let mut own = self.fill;
            for (&j, edge) in list.iter().zip(edges) {
                if self.loops && j as usize == node { own = weight[edge] } else { degree += weight[edge] }
            }
            if self.loops { degree + own } else { degree }
        };
        let root = |degree: f32| if degree > 0.0 { 1.0 / degree.sqrt() } else { 0.0 };
        (0..part.nodes()).map(|number| root(degree(number))).collect()
    }

    /// What makes `Σ_j w_ji / sqrt(d_i d_j) x_j` of the row at a place, in zeros.
    fn sums<'s>(
        &'s self,
        part: &'s Part,
        graph: &Structure,
        x: &'s Matrix,
        weight: Option<&'s [f32]>,
    ) -> impl FnMut(usize, &mut [f32]) + 's {
        let roots = if self.normalize { self.roots(part, graph, weight) } else { Vec::new() };
        let (mut list, mut numbers, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        move |place, row| {
            let mut own = None;
            part.ahead(place, x);
            if self.loops {
                own = part.with_loop(place, &mut list, &mut numbers);
            } else {
                list.clear();
                numbers.clear();
                list.extend_from_slice(part.list(place));
                numbers.extend(part.edges(place));
            }
            let weight_of = |number: usize| match weight {
                None => 1.0,
                Some(weight) if number == LOOP => own.map_or(self.fill, |own| weight[own]),
                Some(weight) => weight[number],
            };
            if !self.normalize && weight.is_none() {
                return sum(&list, x.data(), x.cols(), row);
            }
            let at = if self.normalize { roots[part.dst(place)] } else { 1.0 };
            factors.clear();
            factors.extend(list.iter().zip(&numbers).map(|(&j, &number)| match self.normalize {
                true => roots[j as usize] * weight_of(number) * at,
                false => weight_of(number),
            }));
            weighted_sum(&list, &factors, x.data(), x.cols(), row);
        }
    }
}

impl Layer for GcnConv {
    fn name(&self) -> &str {
        "GCNConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.outputs }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let (x, weight) = (part.seen(inputs[0]), inputs.get(1).map(|weight| weight.data()));
        // The product and the sum commute: the sum runs over the narrower rows.
        let mut out = Matrix::zeros(part.rows(), self.outputs);
        if self.outputs < self.inputs {
            let products = self.linear.forward(&x)?;
            let mut make = self.sums(&part, graph, &products, weight);
            (0..part.rows()).for_each(|place| make(place, out.row_mut(place)));
        } else {
            self.linear.add_made(&mut out, self.sums(&part, graph, &x, weight))?;
        }
        add_bias(self.bias.as_deref(), &mut out);
        Ok(vec![out])
    }
}
