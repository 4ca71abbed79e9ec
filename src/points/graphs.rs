//! Graphs of a frame's nodes for layers: by nearest neighbours, or by radius.

use std::sync::Arc;

use super::{KnnGraph, Nodes};
use crate::Error;
use crate::graph::{Graph, radius_graph};
use crate::knn::Points3;
use crate::layers::{Matrix, Neighbors};
use crate::plan::Flow;
use crate::stage::Map;

/// The nodes of a frame, with the given lists and features.
fn of_nodes(nodes: &Nodes, x: Matrix, edges: Neighbors) -> Result<Graph, Error> {
    let mut pos = Matrix::zeros(nodes.len(), 3);
    for i in 0..nodes.len() {
        pos.row_mut(i).copy_from_slice(&[nodes.x[i], nodes.y[i], nodes.z[i]]);
    }
    let id = nodes.point.iter().map(|&point| u64::from(point)).collect();
    let graph = Graph { frame: nodes.frame.id, id, x, edges, pos: Some(pos), ..Graph::default() };
    graph.check()?;
    Ok(graph)
}

impl KnnGraph {
    /// The same graph for layers: messages go from each of a node's nearest to the node. `x` are the nodes' features `[nodes, channels]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of rows.
    pub fn to_graph(&self, x: Matrix) -> Result<Graph, Error> {
        self.check()?;
        let mut src = self.neighbor.clone();
        src.chunks_mut(self.k.max(1)).for_each(<[u32]>::sort_unstable);
        let offset = (0..=self.nodes.len()).map(|node| node * self.k).collect();
        of_nodes(&self.nodes, x, Neighbors::from_lists(offset, src)?)
    }
}

impl<'p> Flow<'p, KnnGraph> {
    /// The graph for layers, with features `[nodes, channels]` of the nodes.
    pub fn features<F>(self, features: F) -> Flow<'p, Graph>
    where
        F: Fn(&Nodes) -> Matrix + Send + Sync + Clone + 'static,
    {
        self.map("features", move |knn| Ok(knn.to_graph(features(&knn.nodes))?))
    }
}

impl<'p> Flow<'p, Nodes> {
    /// The exact graph of all nodes within `r` (m) of one another, with features `[nodes, channels]`.
    pub fn radius_graph<F>(self, r: f64, features: F) -> Flow<'p, Graph>
    where
        F: Fn(&Nodes) -> Matrix + Send + Sync + Clone + 'static,
    {
        self.stage(move |stats| {
            let (stats, features) = (Arc::clone(stats), features.clone());
            Map::new("radius_graph", move |nodes: Nodes| {
                let points = Points3::new(&nodes.x, &nodes.y, &nodes.z)?;
                let edges = stats.time("radius_graph", || radius_graph(points, r))?;
                stats.edges(edges.edges() as u64);
                Ok(of_nodes(&nodes, features(&nodes), edges)?)
            })
        })
    }
}
