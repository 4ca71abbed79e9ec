//! What belief propagation says at several rates around those given, averaged by how probable each makes the tests.
//!
//! The tests of a whole population tell much about the rates: the evidence of belief propagation ([`Risk::log_evidence`]) at each of a few *lanes*,
//! factors of the rates, weighs what it says there (Bayesian model averaging: Hoeting et al., Statistical Science 14, 382, 1999). A
//! lane's weight is its prior, log-normal around the rates given, times its evidence to the power of [`TEMPER`], since Bethe's
//! evidence counts on loops what it knows more than once.

use crate::Error;
use crate::contacts::{Bp, Parameters, Risk, RiskModel, RiskOptions, Snapshot};

/// Lanes: what infection is multiplied by, and what latency and recovery are.
const FACTORS: [(f64, f64); LANES] =
    [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.25, 1.0), (4.0, 1.0), (0.5, 0.5), (2.0, 2.0)];
/// Number of lanes; the first is that of the rates given.
pub const LANES: usize = 7;
/// The lane that must weigh something for a lane to be asked at all.
const BEFORE: [usize; LANES] = [0, 0, 0, 1, 2, 0, 0];
/// log of the least weight, against the largest so far, that is something.
const SOMETHING: f64 = -12.0;
/// Standard deviation of the logarithm of the factor by which rates are given wrong.
const WRONG: f64 = 0.55;
/// Exponent of the evidence.
const TEMPER: f64 = 0.6;
/// Tolerance and most rounds in lanes other than the first. A lane that does not come to rest weighs nothing: its evidence is none.
const ROUGH: (f64, u32) = (1e-3, 200);

/// Belief propagation at several rates.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Everybody's probability in each lane; in one that weighs nothing since it was not asked or not at rest, that of the lane before it.
    pub lanes: [Vec<f64>; LANES],
    /// log of the evidence less that of the rates given; minus infinity where there is none.
    pub evidence: [f64; LANES],
    /// What each lane weighs; they sum to 1.
    pub weight: [f64; LANES],
    /// Everybody's probability on average `[people]`.
    pub score: Vec<f64>,
    /// What is said with the rates given, but for [`Risk::because`], which is that of the heaviest lane.
    pub risk: Risk,
}

impl Rates {
    /// Asks belief propagation in every lane.
    ///
    /// # Errors
    /// Those of [`Parameters::check`], and [`Error::Interrupted`].
    pub fn new(snapshot: &Snapshot, parameters: &Parameters, options: &RiskOptions) -> Result<Self, Error> {
        let mut risk = Bp::new(*parameters)?.risk(snapshot, options)?;
        let own = risk.log_evidence.unwrap_or(0.0);
        let mut lanes: [Vec<f64>; LANES] = Default::default();
        lanes[0].clone_from(&risk.score);
        let mut evidence = [f64::NEG_INFINITY; LANES];
        let mut log = evidence;
        if risk.converged {
            (log[0], evidence[0]) = (0.0, 0.0);
        }
        let mut most = log[0];
        for (lane, &(infection, clocks)) in FACTORS.iter().enumerate().skip(1) {
            let before = BEFORE[lane];
            let rates = parameters.scaled(infection, clocks);
            let told_apart = clocks == 1.0 || parameters.latency > 0.0 || parameters.recovery > 0.0;
            let near = before == 0 || log[before] - most > SOMETHING;
            let (tolerance, rounds) = ROUGH;
            let asked = told_apart && near && rates.check().is_ok();
            let there = asked.then(|| Bp::new(rates)?.until(tolerance, rounds).risk(snapshot, options)).transpose()?;
            let Some(there) = there.filter(|there| there.converged) else {
                lanes[lane] = lanes[before].clone();
                continue;
            };
            evidence[lane] = there.log_evidence.unwrap_or(own) - own;
            lanes[lane] = there.score;
            log[lane] = TEMPER * evidence[lane] - 0.5 * (libm::log(infection) / WRONG).powi(2);
            if log[lane] > most {
                most = log[lane];
                risk.because = there.because;
            }
        }
        let mut weight = log.map(|log| libm::exp(log - most));
        if most == f64::NEG_INFINITY {
            weight = [0.0; LANES];
            weight[0] = 1.0;
        }
        let all: f64 = weight.iter().sum();
        weight.iter_mut().for_each(|weight| *weight /= all);
        let average = |person: usize| lanes.iter().zip(weight).map(|(lane, weight)| weight * lane[person]).sum();
        let score = (0..risk.score.len()).map(average).collect();
        Ok(Rates { lanes, evidence, weight, score, risk })
    }

    /// The parameters at the mean of the factors' logarithms.
    #[must_use]
    pub fn likely(&self, parameters: &Parameters) -> Parameters {
        let mean = |factor: fn(&(f64, f64)) -> f64| {
            let logs = FACTORS.iter().zip(self.weight).map(|(factors, weight)| weight * libm::log(factor(factors)));
            libm::exp(logs.sum())
        };
        let likely = parameters.scaled(mean(|factors| factors.0), mean(|factors| factors.1));
        if likely.check().is_ok() { likely } else { *parameters }
    }
}
