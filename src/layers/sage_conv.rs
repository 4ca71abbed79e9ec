//! SAGEConv: `x'_i = W1 · aggregate_j x_j + b + W2 x_i`, the aggregate a mean, a sum or a maximum.
//!
//! From: Hamilton et al., "Inductive Representation Learning on Large Graphs", NeurIPS 2017, eq. of algorithm 1 with the
//! concatenation written as two products; parameters and results as PyTorch Geometric's `SAGEConv`.

use super::aggregate::{add_bias, finish, fold};
use super::part::Part;
use super::signature::Signature;
use super::{Aggregation, Args, Layer, Linear, Matrix, Mismatch, Of, Rows, Shape, Structure};
use crate::Error;

/// The layer. Input: `x` `[nodes, in_channels]`; output `[nodes, out_channels]`. The aggregate of an empty list is zero.
///
/// ```
/// use serde_json::json;
/// use thalweg::layers::{self, Matrix, Neighbors, Rows, Structure, Weights};
///
/// let one = 1.0f32.to_le_bytes();
/// let one = || safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1, 1], &one).unwrap();
/// let file = safetensors::serialize([("sage.lin_l.weight", one()), ("sage.lin_r.weight", one())], None).unwrap();
/// let weights = Weights::read("example", &file).unwrap();
/// let args = json!({"in_channels": 1, "out_channels": 1, "aggr": "max", "bias": false});
/// let layer = layers::build(&weights, "sage", "SAGEConv", args.as_object().unwrap()).unwrap();
///
/// let edges = Neighbors::from_edges(3, &[0, 1], &[2, 2]).unwrap();
/// let graph = Structure { edges: &edges, graph: None, graphs: 1 };
/// let x = Matrix::from_rows(3, 1, vec![5.0, 3.0, 1.0]).unwrap();
/// assert_eq!(layer.forward(&[&x], &graph, Rows::These(&[2])).unwrap()[0].row(0), [6.0]);
/// ```
#[derive(Clone, Debug)]
pub struct SageConv {
    project: Option<Linear>,
    neighbours: Linear,
    root: Option<Linear>,
    aggregation: Aggregation,
    normalize: bool,
}

impl SageConv {
    /// From `in_channels`, `out_channels`, `aggr` (`mean`, or `add`, `max`), `normalize` (false), `root_weight` (true), `project` (false),
    /// `bias` (true), and the tensors `lin_l.weight` `[out, in]`, `lin_l.bias` `[out]`, `lin_r.weight` `[out, in]`, `lin.weight`
    /// `[in, in]`, `lin.bias` `[in]`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&[])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let linear = |wanted: bool, name: &str, outputs: usize, bias: bool| {
            wanted.then(|| args.linear(name, inputs, outputs, bias)).transpose()
        };
        Ok(SageConv {
            project: linear(args.flag("project", false)?, "lin", inputs, true)?,
            neighbours: args.linear("lin_l", inputs, outputs, args.flag("bias", true)?)?,
            root: linear(args.flag("root_weight", true)?, "lin_r", outputs, false)?,
            aggregation: args.aggregation("mean")?,
            normalize: args.flag("normalize", false)?,
        })
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.neighbours.weight().cols())
    }

    /// The aggregate of the sources of the row at `place`, made in zeros.
    fn aggregate(&self, part: &Part, x: &Matrix, place: usize, row: &mut [f32]) {
        let list = part.list(place);
        part.ahead(place, x);
        if self.aggregation == Aggregation::Max {
            row.fill(f32::NEG_INFINITY);
        }
        fold(self.aggregation, list, x, row);
        finish(self.aggregation, list.len(), row);
    }
}

impl Layer for SageConv {
    fn name(&self) -> &str {
        "SAGEConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.neighbours.weight().rows() }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let mut x = part.seen(inputs[0]);
        if let Some(project) = &self.project {
            x = std::borrow::Cow::Owned(project.forward(&x)?.relu());
        }
        let [outputs, width] = self.neighbours.weight().shape();
        // A product and a sum commute: the sum runs over the narrower rows.
        let mut out = if outputs < width && self.aggregation != Aggregation::Max {
            let products = self.neighbours.clone().with_bias(None).forward(&x)?;
            let mut out = Matrix::zeros(part.rows(), outputs);
            (0..part.rows()).for_each(|place| self.aggregate(&part, &products, place, out.row_mut(place)));
            add_bias(self.neighbours.bias(), &mut out);
            out
        } else {
            let mut out = self.neighbours.start(part.rows());
            self.neighbours.add_made(&mut out, |place, row| self.aggregate(&part, &x, place, row))?;
            out
        };
        if let Some(root) = &self.root {
            root.add_to(&part.own(inputs[0]), &mut out)?;
        }
        if self.normalize {
            for row in out.data_mut().chunks_exact_mut(outputs.max(1)) {
                let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                let norm = if norm > 1e-12 { norm } else { 1e-12 };
                row.iter_mut().for_each(|v| *v /= norm);
            }
        }
        Ok(vec![out])
    }
}
