//! Frames of points: sweeps and maps as graphs, and their segmentation.
//!
//! - `frame`: the points that a sensor delivered together, as columns;
//! - `sweep`: sweep mode, every frame a graph of its own; `nodes`, `voxel`, `graphs`: its nodes and their graphs;
//! - `map`: map mode, the voxels of a window of posed frames as one graph;
//! - `radar`: human pose from sparse clouds;
//! - `models`: segmentation networks; `segmentation`: what they say.

pub mod frame;
mod graphs;
pub mod map;
pub mod models;
mod nodes;
pub mod radar;
pub mod segmentation;
mod sweep;
pub mod voxel;

pub use frame::{Frame, Pose, Returns, Truth};
pub use models::SegmentationModel;
pub use nodes::{KnnGraph, Nodes};
pub use segmentation::{Classes, Segmentation};
