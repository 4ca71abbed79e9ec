//! SAGEConv: `x'_i = W1 · aggregate_j x_j + b + W2 x_i`, the aggregate a mean or a maximum.
//!
//! From: Hamilton et al., "Inductive Representation Learning on Large Graphs", NeurIPS 2017, eq. of algorithm 1 with the
//! concatenation written as two products; parameters and results as PyTorch Geometric's `SAGEConv`.

use super::{Linear, Matrix, Neighbors, Weights};
use crate::Error;

/// How the rows of the neighbours become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SageAggregation {
    /// Their mean, summed in ascending order of id.
    Mean,
    /// Their element-wise maximum.
    Max,
}

/// The layer: `lin_l` `[out, in]` with bias, `lin_r` `[out, in]` without.
#[derive(Clone, Debug)]
pub struct SageConv {
    neighbours: Linear,
    root: Linear,
    aggregation: SageAggregation,
}

impl SageConv {
    /// Takes `{name}.lin_l.weight`, `{name}.lin_l.bias` and `{name}.lin_r.weight`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(
        weights: &Weights,
        name: &str,
        inputs: usize,
        outputs: usize,
        aggregation: SageAggregation,
    ) -> Result<Self, Error> {
        Ok(SageConv {
            neighbours: Linear::load(weights, &format!("{name}.lin_l"), inputs, outputs, true)?,
            root: Linear::load(weights, &format!("{name}.lin_r"), inputs, outputs, false)?,
            aggregation,
        })
    }

    /// `[nodes, in]` to `[nodes, out]`; the aggregate of an empty list is zero.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of rows than the graph nodes, or of channels than the layer.
    pub fn forward(&self, x: &Matrix, graph: &Neighbors) -> Result<Matrix, Error> {
        Error::unless_same("SAGEConv: rows of x for the nodes of the graph", x.rows(), graph.nodes())?;
        let mut aggregate = Matrix::zeros(x.rows(), x.cols());
        for i in 0..x.rows() {
            let (list, row) = (graph.of(i), aggregate.row_mut(i));
            if let (SageAggregation::Max, false) = (self.aggregation, list.is_empty()) {
                row.fill(f32::NEG_INFINITY);
            }
            for &j in list {
                for (a, &v) in row.iter_mut().zip(x.row(j as usize)) {
                    *a = match self.aggregation {
                        SageAggregation::Mean => *a + v,
                        SageAggregation::Max => {
                            if v > *a {
                                v
                            } else {
                                *a
                            }
                        }
                    };
                }
            }
            if let (SageAggregation::Mean, false) = (self.aggregation, list.is_empty()) {
                let count = list.len() as f32;
                row.iter_mut().for_each(|a| *a /= count);
            }
        }
        let mut out = self.neighbours.forward(&aggregate)?;
        self.root.add_to(x, &mut out)?;
        Ok(out)
    }
}
