//! `nodes`: what the nodes of a graph over frames are, and the keys that go with it.

use crate::settings::Keys;

/// What the nodes are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nodes {
    /// Every frame is a graph of its own.
    Sweep,
    /// The voxels of a window of posed frames.
    Map {
        /// Edge of a voxel (m), where it is set.
        voxel: Option<f64>,
        /// Frames, where it is set.
        window: Option<usize>,
    },
}

impl Nodes {
    /// Takes `nodes`, and `voxel` and `window` where they belong.
    pub fn take(keys: &mut Keys<'_>) -> Nodes {
        let nodes = keys.take("nodes", "sweep".to_string(), "sweep or map", |n| n == "sweep" || n == "map");
        if nodes == "sweep" {
            keys.refuse(&["voxel", "window"], "nodes=map beside it: a sweep keeps no voxels of other frames");
            return Nodes::Sweep;
        }
        let voxel = keys.take("voxel", Metres(None), "a length in metres, above 0", |v| v.0.is_some());
        let window = keys.take("window", Frames(None), "a number of frames, 1 or more", |n| n.0.is_some());
        Nodes::Map { voxel: voxel.0, window: window.0 }
    }
}

/// A positive length, or none.
struct Metres(Option<f64>);

impl std::str::FromStr for Metres {
    type Err = std::num::ParseFloatError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Metres(Some(text.parse()?).filter(|v: &f64| v.is_finite() && *v > 0.0)))
    }
}

/// A number of frames above 0, or none.
struct Frames(Option<usize>);

impl std::str::FromStr for Frames {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Frames(Some(text.parse()?).filter(|n| *n > 0)))
    }
}
