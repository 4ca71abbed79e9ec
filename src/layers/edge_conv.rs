//! EdgeConv with one linear layer: `x'_i = max_j (W [x_i, x_j − x_i] + b)`.
//!
//! From: Wang et al., "Dynamic Graph CNN for Learning on Point Clouds", TOG 2019; parameters and results as PyTorch
//! Geometric's `EdgeConv(nn=Linear(2 in, out), aggr="max")`. With `W = [Wa, Wb]` the message is
//! `(Wa − Wb) x_i + b + Wb x_j`: two products a node, none an edge, and a maximum over `Wb x_j`.

use super::{Linear, Matrix, Neighbors, Weights};
use crate::Error;

/// The layer, as its two node-level products.
#[derive(Clone, Debug)]
pub struct EdgeConv {
    centre: Linear,
    neighbour: Linear,
}

impl EdgeConv {
    /// Takes `{name}.nn.weight` `[out, 2 in]` and `{name}.nn.bias` `[out]`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let whole = weights.matrix(&format!("{name}.nn.weight"), outputs, 2 * inputs)?;
        let bias = weights.vector(&format!("{name}.nn.bias"), outputs)?;
        let (mut centre, mut neighbour) = (Matrix::zeros(outputs, inputs), Matrix::zeros(outputs, inputs));
        for o in 0..outputs {
            let (a, b) = whole.row(o).split_at(inputs);
            neighbour.row_mut(o).copy_from_slice(b);
            centre.row_mut(o).iter_mut().zip(a.iter().zip(b)).for_each(|(c, (a, b))| *c = a - b);
        }
        Ok(EdgeConv { centre: Linear::new(centre, Some(bias))?, neighbour: Linear::new(neighbour, None)? })
    }

    /// `[nodes, in]` to `[nodes, out]`; a node without neighbours gets zeros.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of rows than the graph nodes, or of channels than the layer.
    pub fn forward(&self, x: &Matrix, graph: &Neighbors) -> Result<Matrix, Error> {
        Error::unless_same("EdgeConv: rows of x for the nodes of the graph", x.rows(), graph.nodes())?;
        let mut out = self.centre.forward(x)?;
        let messages = self.neighbour.forward(x)?;
        let mut best = vec![0.0; out.cols()];
        for i in 0..x.rows() {
            let (list, row) = (graph.of(i), out.row_mut(i));
            if list.is_empty() {
                row.fill(0.0);
                continue;
            }
            best.fill(f32::NEG_INFINITY);
            for &j in list {
                for (b, &v) in best.iter_mut().zip(messages.row(j as usize)) {
                    *b = if v > *b { v } else { *b };
                }
            }
            row.iter_mut().zip(&best).for_each(|(v, b)| *v += b);
        }
        Ok(out)
    }
}
