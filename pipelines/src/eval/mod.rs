//! `thalweg eval`: how good a pipeline's answers are, against the truth. One file a pipeline.

pub mod gnn;
pub mod molecule;
mod panoptic;
pub mod pose;
pub mod risk;
pub mod segment;
mod tracks;
mod unlabelled;
