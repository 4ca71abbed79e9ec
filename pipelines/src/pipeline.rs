//! The registry of ready pipelines: one line each.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::Report;
use thalweg::report::Stats;

use crate::{Failure, Settings};

/// What a pipeline needs beside its settings.
pub struct Context {
    /// Set by a signal: read no more, finish, publish.
    pub drain: Arc<AtomicBool>,
    /// Shows the run's counters while it goes on.
    pub watch: Box<dyn Fn(Arc<Stats>)>,
    /// Says something to the person at the terminal.
    pub warn: fn(&str),
}

/// A ready pipeline.
pub struct Ready {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Checks its settings without opening anything.
    pub check: fn(&Settings) -> Result<(), Failure>,
    /// Runs it.
    pub run: fn(&Settings, &Context) -> Result<Report, Failure>,
}

/// All of them.
pub const READY: [Ready; 3] = [crate::segment::READY, crate::knn::READY, crate::risk::READY];

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
