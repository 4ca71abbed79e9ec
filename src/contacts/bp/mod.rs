//! Belief propagation over infection times (Altarelli, Braunstein, Dall'Asta, Ingrosso, Zecchina, PRX 4, 021024, 2014; Baker et al., PNAS
//! 118, e2106548118, 2021) in SI, SIR and SEIR with imperfect tests.
//!
//! On a tree the result is exact, for people whose stamps fit the budget (`course.rs`); on loops it is BP's approximation. `rounds.rs` has
//! the order in which messages are sent, `person/` what one person makes of those it got, `message.rs` what a message says.

mod course;
mod message;
mod network;
mod person;
mod rounds;
mod step;

use crate::Error;
use crate::contacts::{Parameters, Risk, RiskModel, RiskOptions, Snapshot};
use course::Shape;
use network::Network;
use rounds::Rounds;

/// Belief propagation.
#[derive(Clone, Debug)]
pub struct Bp {
    parameters: Parameters,
    tolerance: f64,
    most_rounds: u32,
}

impl Bp {
    /// Belief propagation with tolerance 1e-5 of a message, which leaves about that of a score, and at most 5000 rounds.
    ///
    /// # Errors
    /// Those of [`Parameters::check`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.check()?;
        Ok(Bp { parameters, tolerance: 1e-5, most_rounds: 5000 })
    }

    /// Stops at a largest change below `tolerance`, or after `most_rounds`.
    #[must_use]
    pub fn until(self, tolerance: f64, most_rounds: u32) -> Self {
        Bp { tolerance, most_rounds, ..self }
    }

    fn spread<const Q: usize>(&self, network: &Network, options: &RiskOptions) -> Result<Risk, Error> {
        let mut rounds = Rounds::<Q>::new(network, &self.parameters, self.tolerance, options)?;
        let mut risk = Risk { converged: network.stamp.is_empty(), ..Risk::default() };
        while !risk.converged && !risk.stuck && risk.rounds < self.most_rounds {
            risk.change = rounds.go_on()?;
            risk.rounds += 1;
            risk.converged = risk.change <= self.tolerance;
            risk.stuck = !risk.converged && rounds.stuck();
        }
        rounds.read(&mut risk)?;
        Ok(risk)
    }
}

impl RiskModel for Bp {
    fn name(&self) -> &'static str {
        "bp"
    }

    fn risk(&mut self, snapshot: &Snapshot, options: &RiskOptions) -> Result<Risk, Error> {
        let network = Network::build(snapshot, &self.parameters, &options.stop)?;
        // In SI there is but one window.
        if Shape::new(&self.parameters).is_si() {
            self.spread::<1>(&network, options)
        } else {
            self.spread::<{ course::QUADS }>(&network, options)
        }
    }
}
