//! Graphs: nodes with features, and for each node the list of those that it hears from.

mod changes;
mod flow;
mod infer;
mod live;
mod radius;
mod rows;

pub use changes::{GraphChanges, LiveNodes};
pub use flow::Inferred;
pub use infer::{Answer, Answers, InferenceOptions};
pub use live::{LiveGraph, View};
pub use radius::{PeriodicEdge, periodic_radius_graph, radius_graph};
pub use rows::{EdgeRow, GraphRow, NodeRow, Place};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::layers::{Matrix, Neighbors, Structure};

/// A directed graph. Messages go from `src` to `dst`, as in PyTorch Geometric's `edge_index`: the list of a node holds its sources, ascending.
///
/// ```
/// use thalweg::graph::Graph;
/// use thalweg::layers::{Matrix, Neighbors};
///
/// let edges = Neighbors::from_edges(3, &[0, 2, 1], &[1, 1, 2])?;
/// let graph = Graph { id: vec![0, 1, 2], x: Matrix::zeros(3, 4), edges, ..Graph::default() };
/// graph.check()?;
/// assert_eq!((graph.nodes(), graph.edges.of(1)), (3, &[0, 2][..]));
/// # Ok::<(), thalweg::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The number of the frame that it is of, or the as-of time (ns).
    pub frame: i64,
    /// Ids of the nodes, ascending `[nodes]`: indices of points, ids of voxels, numbers of names.
    pub id: Vec<u64>,
    /// Features `[nodes, channels]`.
    pub x: Matrix,
    /// For each node its sources.
    pub edges: Neighbors,
    /// Attributes `[edges, attributes]`, list after list; `None` where edges have none.
    pub edge_attr: Option<Matrix>,
    /// Positions `[nodes, 3]` (m, or Å), where nodes have a place.
    pub pos: Option<Matrix>,
    /// The graph that each node is in `[nodes]`, such as the molecule; `None` where all are in one.
    pub batch: Option<Vec<u32>>,
}

impl Graph {
    /// A graph of numbered nodes with features `[nodes, channels]`, from edges `src[e] → dst[e]` in any order, with attributes
    /// `[edges, attributes]` where there are any: edges by one's own rule.
    ///
    /// # Errors
    /// Ends that are no nodes; another number of attributes than of edges.
    pub fn from_edges(x: Matrix, src: &[u32], dst: &[u32], edge_attr: Option<&Matrix>) -> Result<Graph, Error> {
        let (edges, order) = Neighbors::from_edges_ordered(x.rows(), src, dst)?;
        let edge_attr = edge_attr
            .map(|given| {
                Error::unless_same("graph: rows of edge_attr, for the edges", given.rows(), src.len())?;
                let mut sorted = Matrix::zeros(given.rows(), given.cols());
                for (row, &edge) in order.iter().enumerate() {
                    sorted.row_mut(row).copy_from_slice(given.row(edge as usize));
                }
                Ok::<_, Error>(sorted)
            })
            .transpose()?;
        Ok(Graph { id: (0..x.rows() as u64).collect(), x, edges, edge_attr, ..Graph::default() })
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.x.rows()
    }

    /// Number of graphs in it.
    pub fn graphs(&self) -> usize {
        self.batch.as_ref().map_or(1, |batch| batch.iter().max().map_or(0, |last| *last as usize + 1))
    }

    /// What a layer needs to know of it beside the features.
    pub fn structure(&self) -> Structure<'_> {
        Structure { edges: &self.edges, graph: self.batch.as_deref(), graphs: self.graphs() }
    }

    /// Checks that every column has one entry a node, or an edge.
    ///
    /// # Errors
    /// [`Error::Shape`] with the column.
    pub fn check(&self) -> Result<(), Error> {
        let (nodes, edges) = (self.nodes(), self.edges.edges());
        Error::unless_same("graph: ids, for the rows of x", self.id.len(), nodes)?;
        Error::unless_same("graph: nodes with a list, for the rows of x", self.edges.nodes(), nodes)?;
        let attributes = self.edge_attr.as_ref().map_or(edges, Matrix::rows);
        Error::unless_same("graph: rows of edge_attr, for the edges", attributes, edges)?;
        let places = self.pos.as_ref().map_or([nodes, 3], Matrix::shape);
        Error::unless_same("graph: shape of pos, for the nodes", places, [nodes, 3])?;
        let numbers = self.batch.as_ref().map_or(nodes, Vec::len);
        Error::unless_same("graph: entries of batch, for the nodes", numbers, nodes)
    }
}
