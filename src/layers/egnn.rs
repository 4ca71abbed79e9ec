//! E_GCL, the layer of EGNN: `m_ij = φ_e(h_i, h_j, |p_i − p_j|², e_ij)`, `p'_i = p_i + aggregate_j (p_i − p_j) φ_x(m_ij)`,
//! `h'_i = h_i + φ_h(h_i, Σ_j m_ij)`.
//!
//! From: Satorras et al., "E(n) Equivariant Graph Neural Networks", ICML 2021, eq. 3 to 6; names, arguments and parameters as in the
//! authors' `E_GCL`, whose `row` is our destination `i` and whose `col` is the source `j`.

use super::activation::sigmoid;
use super::aggregate::Folded;
use super::attention::features;
use super::part::{BATCH, Loops, Part};
use super::signature::Signature;
use super::{Activation, Aggregation, Args, Layer, Linear, Matrix, Mismatch, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `h` `[nodes, input_nf]`, positions `[nodes, 3]`, and with `edges_in_d` `edge_attr` `[edges, edges_in_d]`; outputs
/// `[nodes, output_nf]` and positions `[nodes, 3]`.
#[derive(Clone, Debug)]
pub struct EGcl {
    /// The first layer of φ_e in parts: of `h_i`, of `h_j`, of the rest.
    edge_first: [Linear; 3],
    edge_second: Linear,
    node: [Linear; 2],
    coord: [Linear; 2],
    attention: Option<Linear>,
    act: Activation,
    residual: bool,
    normalize: bool,
    coords: Aggregation,
    tanh: bool,
    edge_dim: usize,
}

impl EGcl {
    /// From `input_nf`, `output_nf`, `hidden_nf`, `edges_in_d` (0), `act_fn` (`SiLU`, or `ReLU`, `Tanh`), `residual` (true), `attention`
    /// (false), `normalize` (false), `coords_agg` (`mean`, or `sum`), `tanh` (false), and the tensors of `edge_mlp`, `node_mlp`,
    /// `coord_mlp`, `att_mlp`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit; a residual between different channels.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let (inputs, outputs, hidden) = (args.count("input_nf")?, args.count("output_nf")?, args.count("hidden_nf")?);
        let (edge_dim, residual) = (args.index("edges_in_d", 0)?, args.flag("residual", true)?);
        if residual && inputs != outputs {
            return Err(args.error("residual", true, "false where input_nf is not output_nf"));
        }
        let whole = args.linear("edge_mlp.0", 2 * inputs + 1 + edge_dim, hidden, true)?;
        Ok(EGcl {
            edge_first: [
                whole.columns(0, inputs).with_bias(whole.bias()),
                whole.columns(inputs, 2 * inputs),
                whole.columns(2 * inputs, 2 * inputs + 1 + edge_dim),
            ],
            edge_second: args.linear("edge_mlp.2", hidden, hidden, true)?,
            node: [
                args.linear("node_mlp.0", hidden + inputs, hidden, true)?,
                args.linear("node_mlp.2", hidden, outputs, true)?,
            ],
            coord: [args.linear("coord_mlp.0", hidden, hidden, true)?, args.linear("coord_mlp.2", hidden, 1, false)?],
            attention: args.flag("attention", false)?.then(|| args.linear("att_mlp.0", hidden, 1, true)).transpose()?,
            act: match args.word("act_fn", "SiLU", &["SiLU", "ReLU", "Tanh"])? {
                "ReLU" => Activation::ReLU,
                "Tanh" => Activation::Tanh,
                _ => Activation::SiLU,
            },
            residual,
            normalize: args.flag("normalize", false)?,
            coords: match args.word("coords_agg", "mean", &["mean", "sum"])? {
                "sum" => Aggregation::Add,
                _ => Aggregation::Mean,
            },
            tanh: args.flag("tanh", false)?,
            edge_dim,
        })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.edge_first[0].weight().cols()).nodes(3);
        if self.edge_dim == 0 { signature } else { signature.edges(self.edge_dim) }
    }
}

impl Layer for EGcl {
    fn name(&self) -> &str {
        "E_GCL"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        let outputs = self.node[1].weight().rows();
        Ok(vec![Shape { of: Of::Nodes, channels: outputs }, Shape { of: Of::Nodes, channels: 3 }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let (h, own, positions) = (part.seen(inputs[0]), part.own(inputs[0]), part.seen(inputs[1]));
        let [first_own, first_source, first_edge] = &self.edge_first;
        let (own_part, source_part) = (first_own.forward(&own)?, first_source.forward(&h)?);
        let mut sums = Folded::new(Aggregation::Add, part.rows(), self.edge_second.weight().rows());
        let mut moves = Folded::new(self.coords, part.rows(), 3);
        part.batches(Loops::AsGiven, BATCH, |edges| {
            let mut scalars = Matrix::zeros(edges.len(), 1);
            let mut offsets = Matrix::zeros(edges.len(), 3);
            for (e, edge) in edges.iter().enumerate() {
                let offset = offsets.row_mut(e);
                let ends = positions.row(edge.dst).iter().zip(positions.row(edge.src));
                offset.iter_mut().zip(ends).for_each(|(d, (own, source))| *d = own - source);
                let d2 = offset[0] * offset[0] + offset[1] * offset[1] + offset[2] * offset[2];
                scalars.row_mut(e)[0] = d2;
                if self.normalize {
                    let length = d2.sqrt() + 1e-8;
                    offset.iter_mut().for_each(|d| *d /= length);
                }
            }
            if let Some(attr) = inputs.get(2) {
                scalars = scalars.beside(&features(edges, attr, None))?;
            }
            let mut hidden = first_edge.forward(&scalars)?;
            for (e, edge) in edges.iter().enumerate() {
                let ends = own_part.row(edge.place).iter().zip(source_part.row(edge.src));
                hidden.row_mut(e).iter_mut().zip(ends).for_each(|(v, (own, source))| *v += own + source);
            }
            let second = self.edge_second.forward(&self.act.apply(hidden)?)?;
            let mut messages = self.act.apply(second)?;
            if let Some(attention) = &self.attention {
                let gates = attention.forward(&messages)?;
                for (e, gate) in gates.data().iter().enumerate() {
                    let gate = sigmoid(*gate);
                    messages.row_mut(e).iter_mut().for_each(|v| *v *= gate);
                }
            }
            let steps = self.coord[1].forward(&self.act.apply(self.coord[0].forward(&messages)?)?)?;
            for (e, &step) in steps.data().iter().enumerate() {
                let step = if self.tanh { libm::tanhf(step) } else { step };
                offsets.row_mut(e).iter_mut().for_each(|d| *d *= step);
            }
            sums.add(edges, &messages);
            moves.add(edges, &offsets);
            Ok(())
        })?;
        let hidden = self.act.apply(self.node[0].forward(&own.beside(&sums.finish())?)?)?;
        let mut out = self.node[1].forward(&hidden)?;
        if self.residual {
            out.data_mut().iter_mut().zip(own.data()).for_each(|(v, h)| *v += h);
        }
        let mut moved = part.own(inputs[1]).into_owned();
        moved.data_mut().iter_mut().zip(moves.finish().data()).for_each(|(p, m)| *p += m);
        Ok(vec![out, moved])
    }
}
