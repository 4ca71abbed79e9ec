//! How a model did, as-of time by as-of time: kept beside a run for whoever started it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

/// Fits that are kept, the last ones.
const KEPT: usize = 1000;

/// How the model did at one as-of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The as-of time (s, rounded down).
    pub as_of: i64,
    /// People known.
    pub people: u32,
    /// Contacts that count.
    pub contacts: u64,
    /// Tests.
    pub tests: u64,
    /// Rounds, where the model has any.
    pub rounds: u32,
    /// Whether the rounds came to rest below the tolerance.
    pub converged: bool,
    /// Whether they were given up early: see [`Risk::stuck`](super::Risk::stuck).
    pub stuck: bool,
    /// The largest change of the last round.
    pub change: f64,
    /// People whose tests no history explains.
    pub contradictions: u32,
    /// log of the probability of all tests, from models that know it: see [`Risk::log_evidence`](super::Risk::log_evidence).
    pub log_evidence: Option<f64>,
    /// Time the model took (s).
    pub seconds: f64,
}

/// Sums over fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitted {
    /// How many there were.
    pub fits: u64,
    /// People known, over all as-of times scored.
    pub people: u64,
    /// Contacts that counted, over all as-of times scored.
    pub contacts: u64,
    /// How many had not come to rest.
    pub not_converged: u64,
}

/// The fits of a run; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Fits(Arc<Mutex<(VecDeque<Fit>, Fitted)>>);

impl Fits {
    fn lock(&self) -> MutexGuard<'_, (VecDeque<Fit>, Fitted)> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn add(&self, fit: Fit) {
        let (fits, sums) = &mut *self.lock();
        sums.fits += 1;
        sums.people += u64::from(fit.people);
        sums.contacts += fit.contacts;
        sums.not_converged += u64::from(!fit.converged);
        if fits.len() == KEPT {
            fits.pop_front();
        }
        fits.push_back(fit);
    }

    /// The last 1,000 fits.
    pub fn last(&self) -> Vec<Fit> {
        self.lock().0.iter().cloned().collect()
    }

    /// What all of them add up to.
    pub fn sums(&self) -> Fitted {
        self.lock().1
    }
}
