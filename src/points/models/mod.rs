//! Trained networks: what a model file holds, and how it becomes a stage.

mod decision;
pub mod domain;
pub mod graph_unet;
mod ground;
mod instances;
mod numbers;
mod segmenter;

pub use numbers::Numbers;
pub use segmenter::SegmentationModel;
