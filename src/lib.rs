//! Thalweg: streaming geometric deep learning. Exact graphs over spatial streams, and graph networks as dataflow stages.
//!
//! The data path, in the order a frame takes it: [`source`] → [`frame`] → graph → [`stage`] → layer → model → [`sink`].
//! The law that every stage keeps: at a closed epoch its output is a function of the live input, bit for bit, whatever the
//! arrival order, the number of workers, or what came before.

pub mod changes;
pub mod contacts;
pub mod dataflow;
pub mod error;
pub mod frame;
pub mod graph;
pub mod knn;
pub mod layers;
pub mod map;
pub mod models;
pub mod pipeline;
pub mod report;
pub mod segmentation;
pub mod sink;
pub mod source;
pub mod stage;
mod sweep;
pub mod voxel;

pub use changes::Changes;
pub use error::{BoxError, Error};
pub use frame::{Frame, Pose, Returns, Truth};
pub use graph::{KnnGraph, Nodes};
pub use models::Model;
pub use pipeline::{Flow, Pipeline};
pub use report::{Dropped, Report};
pub use segmentation::{Classes, Segmentation};
pub use sink::Sink;
pub use source::{Next, Source};
pub use stage::Stage;

/// Logical time: one frame, one slice of a sweep, or one batch of updates. Totally ordered; event time travels in the data.
pub type Epoch = u64;
