//! Graphs over one frame: its nodes, and the k nearest neighbours of each.

use std::sync::Arc;

use crate::Frame;

/// The nodes of one frame's graph: all finite points, or one representative per voxel. Ordered by point index.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// The frame they come from.
    pub frame: Arc<Frame>,
    /// The point in the frame that each node stands at, ascending `[nodes]`.
    pub point: Vec<u32>,
    /// Position in metres, `[nodes]` each.
    pub x: Vec<f32>,
    /// See [`Nodes::x`].
    pub y: Vec<f32>,
    /// See [`Nodes::x`].
    pub z: Vec<f32>,
    /// The node that speaks for each point of the frame, `[points]`; [`Nodes::NONE`] for a non-finite point.
    pub of_point: Vec<u32>,
}

impl Nodes {
    /// The entry of [`Nodes::of_point`] for a point outside the graph.
    pub const NONE: u32 = u32::MAX;

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.point.len()
    }

    /// True if the graph has no node.
    pub fn is_empty(&self) -> bool {
        self.point.is_empty()
    }
}

/// The exact k-nearest-neighbour graph of a frame's nodes.
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
