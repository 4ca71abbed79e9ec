//! The one place that knows timely and differential: how sources, stages and sinks become operators.
//!
//! - `mail`: what travels between operators, one batch addressed to one shard;
//! - `phases`: a [`crate::Stage`] as a chain of operators, one a phase;
//! - `ingest`, `egress`: where source and sink threads meet the workers;
//! - `query`: a stage's output as a differential collection;
//! - `remote`: the links with other processes;
//! - `run`: workers, back-pressure, and how a run ends, well or badly.

mod control;
mod egress;
mod ingest;
mod mail;
mod phases;
mod query;
mod remote;
mod run;

pub use differential_dataflow::{ExchangeData, VecCollection, operators};

pub(crate) use control::Control;
pub(crate) use mail::MailStream;
use phases::phases;
pub(crate) use query::query;
pub(crate) use run::run;
