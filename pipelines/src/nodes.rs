//! `nodes`: what the nodes of a graph over frames are, and the keys that go with it.

use crate::keys::{Key, Keys, Maybe};

/// `nodes`.
pub const NODES: Key = Key {
    name: "nodes",
    default: "sweep",
    expected: "sweep or map",
    what: "sweep: every frame is a graph of its own; map: one graph over the voxels of the last frames (needs poses)",
};

/// `voxel`, with the default of a pipeline.
pub const fn voxel(default: &'static str) -> Key {
    let what = "with nodes=map, the edge of its voxels";
    Key { name: "voxel", default, expected: "a length in metres, above 0", what }
}

/// `window`, with the default of a pipeline.
pub const fn window(default: &'static str) -> Key {
    let what = "with nodes=map, how many of the last frames it holds";
    Key { name: "window", default, expected: "a number of frames, 1 or more", what }
}

/// What the nodes are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nodes {
    /// Every frame is a graph of its own.
    Sweep,
    /// The voxels of a window of posed frames.
    Map {
        /// Edge of a voxel (m); none where the model has one of its own.
        voxel: Option<f64>,
        /// Frames.
        window: usize,
    },
}

impl Nodes {
    /// Frames that a graph retains behind the newest.
    pub fn retained(&self) -> usize {
        match self {
            Nodes::Sweep => 0,
            Nodes::Map { window, .. } => *window,
        }
    }

    /// Takes `nodes`, and `voxel` and `window` where they belong.
    pub fn take(keys: &mut Keys<'_>, voxel: &Key, window: &Key) -> Nodes {
        let nodes: String = keys.take(&NODES, |nodes: &String| nodes == "sweep" || nodes == "map");
        if nodes != "map" {
            keys.refuse(&[voxel, window], "nodes=map beside it: a sweep keeps no voxels of other frames");
            return Nodes::Sweep;
        }
        let length = |v: &Maybe<f64>| v.0.is_some_and(|v| v.is_finite() && v > 0.0);
        Nodes::Map { voxel: keys.take(voxel, length).0, window: keys.take(window, |n| *n > 0) }
    }
}
