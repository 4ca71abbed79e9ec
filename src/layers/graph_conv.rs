//! GraphConv with one or more weights an edge: `x'_i = W1 x_i + b + Σ_k W2_k Σ_j w_ijk x_j`.
//!
//! From: Morris et al., "Weisfeiler and Leman Go Neural", AAAI 2019; with one weight an edge parameters and results are those of PyTorch
//! Geometric's `GraphConv` with `edge_weight`. With K weights `lin_rel` takes the K sums side by side.

use super::{Linear, Matrix, Neighbors, Weights};
use crate::Error;

/// The layer: `lin_rel` `[out, K in]` with bias, `lin_root` `[out, in]` without.
#[derive(Clone, Debug)]
pub struct GraphConv {
    neighbours: Linear,
    root: Linear,
}

impl GraphConv {
    /// Takes `{name}.lin_rel.weight`, `{name}.lin_rel.bias` and `{name}.lin_root.weight`; `kinds` is K.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize, kinds: usize) -> Result<Self, Error> {
        Ok(GraphConv {
            neighbours: Linear::load(weights, &format!("{name}.lin_rel"), kinds * inputs, outputs, true)?,
            root: Linear::load(weights, &format!("{name}.lin_root"), inputs, outputs, false)?,
        })
    }

    /// `[nodes, in]` to `[nodes, out]`; `weight` is `[edges, K]` in the order of the lists. Sums go along the lists.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of rows than the graph nodes, `weight` than it has edges, or either another number of
    /// columns than the layer asks for.
    pub fn forward(&self, x: &Matrix, graph: &Neighbors, weight: &Matrix) -> Result<Matrix, Error> {
        Error::unless_same("GraphConv: rows of x for the nodes of the graph", x.rows(), graph.nodes())?;
        Error::unless_same("GraphConv: rows of weights for the edges of the graph", weight.rows(), graph.edges())?;
        let channels = x.cols();
        let mut sums = Matrix::zeros(x.rows(), weight.cols() * channels);
        for i in 0..x.rows() {
            let row = sums.row_mut(i);
            for (&j, edge) in graph.of(i).iter().zip(graph.edges_of(i)) {
                for (sum, &w) in row.chunks_exact_mut(channels.max(1)).zip(weight.row(edge)) {
                    for (s, &v) in sum.iter_mut().zip(x.row(j as usize)) {
                        *s += w * v;
                    }
                }
            }
        }
        let mut out = self.neighbours.forward(&sums)?;
        self.root.add_to(x, &mut out)?;
        Ok(out)
    }
}
