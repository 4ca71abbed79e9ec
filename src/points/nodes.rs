//! Graphs to label a frame with: nodes, and the k nearest neighbours of each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Frame, Returns};
use crate::Error;

/// The nodes of one frame's graph: all finite points, or one representative per voxel, ordered by point index; or the voxels of a
/// map as the frame sees them, ordered by voxel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nodes {
    /// The frame they come from.
    pub frame: Arc<Frame>,
    /// The point in the frame that each node stands at, ascending `[nodes]`; of a map, the first point in each voxel, or
    /// [`Nodes::NONE`].
    pub point: Vec<u32>,
    /// Position in metres, `[nodes]` each.
    pub x: Vec<f32>,
    /// See [`Nodes::x`].
    pub y: Vec<f32>,
    /// See [`Nodes::x`].
    pub z: Vec<f32>,
    /// The node that speaks for each point of the frame, `[points]`; [`Nodes::NONE`] for a point outside the graph.
    pub of_point: Vec<u32>,
    /// Reflectivity, 0–1, `[nodes]`; `None` where the frame has none.
    pub intensity: Option<Vec<f32>>,
    /// Return numbers, `[nodes]` each; `None` where the frame has none.
    pub returns: Option<Returns>,
    /// The cell of the world that each node lies in, `[nodes]`: columns wide enough that a thing that stands is in the same few of them
    /// frame after frame. `None` for the nodes of a sweep.
    pub cell: Option<Vec<u64>>,
}

impl Nodes {
    /// The entry of [`Nodes::of_point`] for a point outside the graph, and of [`Nodes::point`] for a node without a point.
    pub const NONE: u32 = u32::MAX;

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// The cell of the world that each node lies in.
    ///
    /// # Errors
    /// [`Error::Value`] for nodes that know of no world.
    pub fn cells(&self) -> Result<&[u64], Error> {
        let (found, expected) = ("the nodes of a sweep".into(), "those of a map, which lie in the world".into());
        self.cell.as_deref().ok_or(Error::Value { what: "numbers that last", found, expected })
    }

    /// True if the graph has no node.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }
}

/// The exact k-nearest-neighbour graph of such nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnnGraph {
    /// Its nodes.
    pub nodes: Arc<Nodes>,
    /// Neighbours a node: `min(k, nodes - 1)`.
    pub k: usize,
    /// Each node's neighbours as node indices, ordered by (`d2`, index), `[nodes, k]` row-major. Messages go from them to the node.
    pub neighbor: Vec<u32>,
    /// Squared distances in m², `[nodes, k]` row-major.
    pub d2: Vec<f32>,
}

impl KnnGraph {
    /// Checks that every column has one entry a node, a list `k`, and that all ends are nodes there are.
    ///
    /// # Errors
    /// [`Error::Shape`] with the column.
    pub fn check(&self) -> Result<(), Error> {
        let (nodes, count) = (&self.nodes, self.nodes.len());
        let edges = count.saturating_mul(self.k);
        let scalars = |v: &Option<Vec<f32>>| v.as_ref().map_or(count, Vec::len);
        let numbers = |pick: fn(&Returns) -> &Vec<u8>| nodes.returns.as_ref().map_or(count, |r| pick(r).len());
        let columns = [
            ("point", nodes.point.len(), count),
            ("y", nodes.y.len(), count),
            ("z", nodes.z.len(), count),
            ("intensity", scalars(&nodes.intensity), count),
            ("return number", numbers(|r| &r.number), count),
            ("number of returns", numbers(|r| &r.count), count),
            ("cell", nodes.cell.as_ref().map_or(count, Vec::len), count),
            ("neighbor", self.neighbor.len(), edges),
            ("d2", self.d2.len(), edges),
        ];
        for (column, found, expected) in columns {
            if found != expected {
                let (found, expected) = (format!("{found} entries"), format!("{expected} for {count} nodes"));
                return Err(Error::Shape { what: format!("kNN graph: {column}"), found, expected });
            }
        }
        // `NONE + 1` is 0, so the largest of these is the last node that a point has, and one.
        let last = nodes.of_point.iter().map(|node| node.wrapping_add(1)).max().unwrap_or(0) as usize;
        let end = self.neighbor.iter().max().map_or(0, |&end| end as usize + 1);
        if last.max(end) > count {
            let (found, expected) = (format!("node {}", last.max(end) - 1), format!("one of {count} nodes"));
            return Err(Error::Shape { what: "kNN graph".into(), found, expected });
        }
        Ok(())
    }
}
