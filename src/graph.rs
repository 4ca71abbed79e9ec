//! Graphs to label a frame with: nodes, and the k nearest neighbours of each.

use std::sync::Arc;

use crate::{Frame, Returns};

/// The nodes of one frame's graph: all finite points, or one representative per voxel, ordered by point index; or the voxels of a
/// map as the frame sees them, ordered by voxel.
#[derive(Clone, Debug)]
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
}

impl Nodes {
    /// The entry of [`Nodes::of_point`] for a point outside the graph, and of [`Nodes::point`] for a node without a point.
    pub const NONE: u32 = u32::MAX;

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// True if the graph has no node.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }
}

/// The exact k-nearest-neighbour graph of such nodes.
#[derive(Clone, Debug)]
pub struct KnnGraph {
    /// Its nodes.
    pub nodes: Arc<Nodes>,
    /// Neighbours a node: `min(k, nodes - 1)`.
    pub k: usize,
    /// Neighbours as node indices, ordered by (`d2`, index), `[nodes, k]` row-major.
    pub dst: Vec<u32>,
    /// Squared distances in m², `[nodes, k]` row-major.
    pub d2: Vec<f32>,
}
