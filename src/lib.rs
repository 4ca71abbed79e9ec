//! Thalweg: streaming geometric deep learning. Exact graphs over spatial streams, and graph networks as dataflow stages.
//!
//! A reader finds the framework first: [`source`], [`stage`], [`sink`], the [`plan`] that joins them, and [`dataflow`], which runs it. Then
//! [`graph`], [`knn`], [`layers`], [`networks`], and [`asof`] for tables as of a time. Beside it stand the domains, which do not know each
//! other: [`points`], [`contacts`] and [`molecules`].
//!
//! The law that every stage keeps: at a closed epoch its output is a function of the live input, bit for bit, whatever the arrival order,
//! the number of workers, or what came before.

pub mod asof;
pub mod cluster;
pub mod contacts;
pub mod dataflow;
pub mod error;
pub mod graph;
pub mod knn;
pub mod layers;
pub mod molecules;
pub mod networks;
pub mod plan;
pub mod points;
pub mod portable;
pub mod report;
mod share;
pub mod sink;
pub mod source;
pub mod stage;

pub use error::{BoxError, Error};
pub use plan::{Flow, Pipeline};
pub use points::{Classes, Frame, KnnGraph, Nodes, Pose, Returns, Segmentation, SegmentationModel, Truth};
pub use portable::Portable;
pub use report::{Dropped, Report};
pub use sink::Sink;
pub use source::{Next, Source};
pub use stage::Stage;

/// Logical time: one frame, one slice of a sweep, or one batch of updates. Totally ordered; event time travels in the data.
pub type Epoch = u64;
