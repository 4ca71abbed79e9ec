//! Trained networks: what a model file holds, and how it becomes a stage.

mod decision;
pub mod domain;
pub mod graph_unet;
mod ground;
mod instances;
mod segmenter;

pub use segmenter::SegmentationModel;
