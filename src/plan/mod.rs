//! The plan: a graph of flows, written once and installed on every worker.
//!
//! A [`Flow`] is not data but a handle to a node of the plan. Each method appends a node. A flow may be cloned and used twice: what it stands
//! for is computed once. [`Pipeline::run`] installs the plan on the workers and drives it to the end of its sources.

mod erased;
mod flow;
mod fold;
mod join;
mod nodes;
mod pipeline;
mod query;

pub(crate) use erased::{AnySink, AnySource, AnyStage, CopyItem, Item};
pub use flow::Flow;
pub(crate) use nodes::{Node, Plan, Work};
pub use pipeline::{Chain, Pipeline};
pub use query::Delta;
