//! Read-outs, a row a graph: `global_add_pool`, `global_mean_pool`, `global_max_pool` over the graph's nodes.
//!
//! As PyG's functions of these names: sums run in ascending order of the nodes, and a graph without nodes gets zeros.

use super::signature::Signature;
use super::{Aggregation, Layer, Matrix, Mismatch, Of, Rows, Shape, Structure, aggregate};
use crate::Error;

/// The layer: `[nodes, channels]` to `[graphs, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool(pub Aggregation);

impl Layer for GlobalPool {
    fn name(&self) -> &str {
        match self.0 {
            Aggregation::Add => "global_add_pool",
            Aggregation::Mean => "global_mean_pool",
            Aggregation::Max => "global_max_pool",
        }
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        Signature::default().any_nodes().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Graphs, ..inputs[0] }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        let name = self.name();
        Signature::default().any_nodes().matrices(name, inputs, graph, rows, Of::Graphs)?;
        let (x, graphs) = (inputs[0], graph.graphs);
        let error = |found: String, expected: String| Error::Shape { what: format!("{name}: graphs"), found, expected };
        match graph.graph {
            Some(of) if of.len() != x.rows() => {
                return Err(error(format!("{} numbers", of.len()), format!("one for each of {} nodes", x.rows())));
            }
            Some(of) => {
                if let Some(bad) = of.iter().find(|&&of| of as usize >= graphs) {
                    return Err(error(bad.to_string(), format!("a number below {graphs}")));
                }
            }
            None if graphs == 0 && x.rows() > 0 => return Err(error("0".into(), "1 or more".into())),
            None => {}
        }
        // Where each graph's row stands in the output.
        let mut place = vec![usize::MAX; graphs];
        let count = rows.count(graphs);
        (0..count).for_each(|at| place[rows.at(at)] = at);
        let mut out = Matrix::zeros(count, x.cols());
        if self.0 == Aggregation::Max {
            out.data_mut().fill(f32::NEG_INFINITY);
        }
        let mut members = vec![0; count];
        for node in 0..x.rows() {
            let at = place[graph.graph.map_or(0, |of| of[node] as usize)];
            if at != usize::MAX {
                members[at] += 1;
                aggregate::fold(self.0, &[node as u32], x, out.row_mut(at));
            }
        }
        for (at, &members) in members.iter().enumerate() {
            aggregate::finish(self.0, members, out.row_mut(at));
        }
        Ok(vec![out])
    }
}
