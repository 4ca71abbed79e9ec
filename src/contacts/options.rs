//! How a model of risk is run: on how many threads, how much of its reasons it names, and what makes it give up.

use crate::asof::Stop;

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
