//! The registry of ready pipelines: one line each in [`READY`], with how each is evaluated, where it is.

use crate::failure::Failure;
use crate::pipeline::Ready;
use crate::{eval, gnn, knn, molecule, pose, risk, segment};

/// All of them.
pub static READY: [Ready; 6] = [
    segment::READY.evaluated(eval::segment::EVAL),
    knn::READY,
    risk::READY.evaluated(eval::risk::EVAL),
    gnn::READY.evaluated(eval::gnn::EVAL),
    pose::READY.evaluated(eval::pose::EVAL),
    molecule::READY.evaluated(eval::molecule::EVAL),
];

/// The pipeline of a name.
///
/// # Errors
/// An unknown name (exit 2).
pub fn by_name(name: &str) -> Result<&'static Ready, Failure> {
    READY.iter().find(|ready| ready.name == name).ok_or_else(|| {
        let names: Vec<_> = READY.iter().map(|ready| ready.name).collect();
        Failure::Usage(format!("pipeline: found {name}, expected {}", names.join(", ")))
    })
}
