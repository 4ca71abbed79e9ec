//! How a model of risk is run: on how many threads, how much of its reasons it names, and what makes it give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// A flag that somebody else raises when a model's run is no longer wanted. The default is never raised.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// Stops when `flag` becomes true.
    pub fn when(flag: Arc<AtomicBool>) -> Stop {
        Stop(Some(flag))
    }

    /// True once it is raised.
    pub fn raised(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Looks whether to go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once it is raised.
    pub fn check(&self) -> Result<(), Error> {
        if self.raised() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// What a model is told beside the snapshot.
#[derive(Clone, Debug)]
pub struct RiskOptions {
    /// Threads that it may use; no bit depends on their number.
    pub threads: usize,
    /// Contacts that [`Risk::because`](super::Risk::because) names for each person, at most.
    pub because: usize,
    /// Looked at several times a second: the model gives up when it is raised.
    pub stop: Stop,
}

impl RiskOptions {
    /// On so many threads; the ten largest contacts are named, and nothing stops the model.
    pub fn new(threads: usize) -> Self {
        RiskOptions { threads, because: 10, stop: Stop::default() }
    }
}

impl Default for RiskOptions {
    fn default() -> Self {
        RiskOptions::new(1)
    }
}
