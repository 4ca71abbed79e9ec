//! Spread of infection over contacts: the rows that are live at an as-of time in, a probability for every person out.
//!
//! A [`Snapshot`] is the whole input of a model, in one order, so that a result is a function of the live rows and of nothing else: people
//! are numbered by the bytes of their names, rows are sorted. Models are functions of it ([`RiskModel`]).

mod bp;
mod fits;
mod flow;
pub mod live;
mod mean_field;
mod options;
mod parameters;
mod rows;
pub mod score;
pub mod scoring;
pub mod tgnn;
mod tracing;

use crate::Error;
pub use crate::asof::{AsOf, Names, Stop};
pub use bp::Bp;
pub use fits::{Fit, Fits, Fitted};
pub use mean_field::MeanField;
pub use options::RiskOptions;
pub use parameters::{Parameters, Prior};
pub use rows::{ContactRow, Fact, FactRows, TestRow};
pub use scoring::{Score, Scores, ScoringOptions};
pub use tgnn::Tgnn;
pub use tracing::Tracing;

/// Two people met: infection may pass at `t`, once, in either direction, with probability `1 - exp(-rate * duration)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// Stamp (ns).
    pub t: i64,
    /// The one of smaller number.
    pub a: u32,
    /// The one of larger number.
    pub b: u32,
    /// Duration (ns), 0 or more; rows of one pair and stamp are added up.
    pub duration: i64,
}

/// Somebody was tested; at a stamp tests follow contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Test {
    /// Stamp (ns).
    pub t: i64,
    /// Who.
    pub person: u32,
    /// The result.
    pub positive: bool,
}

/// What is known at one as-of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The as-of time (ns); no row is later.
    pub as_of: i64,
    /// People known: their numbers are `0..people`, in the order of their names' bytes.
    pub people: u32,
    /// Contacts, ascending by (stamp, a, b), each pair and stamp once.
    pub contacts: Vec<Contact>,
    /// Tests, ascending, each once: rows equal in stamp, person and result are one test.
    pub tests: Vec<Test>,
}

/// What a model says about a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Risk {
    /// Probability of being infected (E or I) at the as-of time `[people]`.
    pub score: Vec<f64>,
    /// For each person the contacts that carry the risk, (person, weight), largest first, then by number `[people]`.
    pub because: Vec<Vec<(u32, f32)>>,
    /// Rounds, where the model has any.
    pub rounds: u32,
    /// Whether the rounds came to rest below the tolerance.
    pub converged: bool,
    /// Whether they were given up early, since their changes had stopped falling: rates are far too high for the contacts, as a rule.
    pub stuck: bool,
    /// The largest change of the last round.
    pub change: f64,
    /// People whose tests no history explains, or whose own history the model excludes; their evidence counts nevertheless, as far as it can.
    pub contradictions: u32,
    /// Natural logarithm of the probability of all tests given the parameters, from models that know it: Bethe's approximation, exact on
    /// trees. Sets of parameters for the same rows compare by it; in ascertained data the factors of those seen, equal for all rates, are left out.
    pub log_evidence: Option<f64>,
}

/// A model of risk.
pub trait RiskModel: Send {
    /// The name in outputs.
    fn name(&self) -> &'static str;

    /// Everybody's risk: scores are from 0 to 1, for any stamps and parameters.
    ///
    /// # Errors
    /// Those of the model, and [`Error::Interrupted`] where `options.stop` was raised before it had done; a contradiction in the data is no
    /// error.
    fn risk(&mut self, snapshot: &Snapshot, options: &RiskOptions) -> Result<Risk, Error>;
}

/// When everybody is seeded (ns): one second before the earliest row, contact or test. It can lie before all stamps.
fn seeded(snapshot: &Snapshot) -> i128 {
    let contact = snapshot.contacts.first().map(|contact| contact.t);
    let test = snapshot.tests.iter().map(|test| test.t).min();
    let earliest = contact.into_iter().chain(test).min().unwrap_or(snapshot.as_of);
    i128::from(earliest) - 1_000_000_000
}

/// Seconds from one moment (ns) to another, however far apart.
fn seconds(from: impl Into<i128>, to: impl Into<i128>) -> f64 {
    (to.into() - from.into()) as f64 * 1e-9
}

/// Least weight that `because` names: less is the noise of sums.
const NAMED_FROM: f64 = 1e-9;

/// `because` from (person, contact, weight), in any order: weights of a pair add up, the `most` largest stay.
fn named(people: usize, mut flows: Vec<(u32, u32, f64)>, most: usize) -> Vec<Vec<(u32, f32)>> {
    flows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
    let mut because = vec![Vec::new(); people];
    for of_person in flows.chunk_by(|a, b| a.0 == b.0) {
        let pairs = of_person.chunk_by(|a, b| a.1 == b.1).map(|pair| (pair[0].1, pair.iter().map(|flow| flow.2).sum()));
        because[of_person[0].0 as usize] = largest(pairs, most);
    }
    because
}

/// The `most` largest weights, largest first, then by number.
fn largest(weights: impl Iterator<Item = (u32, f64)>, most: usize) -> Vec<(u32, f32)> {
    let mut weights: Vec<_> = weights.filter(|(_, weight)| *weight >= NAMED_FROM).collect();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    weights.truncate(most);
    weights.into_iter().map(|(person, weight)| (person, weight.min(1.0) as f32)).collect()
}
