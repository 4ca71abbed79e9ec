//! The ready pipelines of Thalweg: one file each, and what they share (settings, inputs, outputs, models, exit codes).

pub mod draw;
pub mod durable;
pub mod eval;
pub mod failure;
pub mod finish;
pub mod follower;
pub mod gnn;
pub mod identity;
pub mod input;
pub mod keys;
pub mod knn;
pub mod list;
pub mod logs;
pub mod marked;
pub mod models;
pub mod molecule;
pub mod nodes;
pub mod options;
pub mod output;
pub mod pipeline;
pub mod plot;
pub mod pose;
pub mod processes;
pub mod quarantine;
pub mod registry;
pub mod risk;
pub mod rows;
pub mod secret;
pub mod segment;
pub mod serve;
pub mod settings;
pub mod sims;
pub mod supervise;
pub mod supervised;
pub mod written;

pub use failure::Failure;
pub use settings::Settings;

/// README.md, whose example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// docs/map.md, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/map.md")]
pub struct MapMode;

/// docs/branches.md, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/branches.md")]
pub struct Branches;
