//! Contact tracing: risk from direct contacts with people who tested positive, and nothing else.
//!
//! `score_i = 1 - Π (1 - λ)` over the contacts of i, in the days before the as-of time, with people of a positive test in those days,
//! `λ = 1 - exp(-rate · duration)`; 1 for somebody whose own last test is positive. The heuristic of Baker et al., PNAS 118, e2106548118
//! (2021), which counts such contacts; here they are weighed by their probability of infection.

use super::{Parameters, Risk, RiskModel, RiskOptions, Snapshot, named};
use crate::Error;

/// How far back contacts and positive tests count (ns): seven days.
const DAYS: i64 = 7 * 86_400 * 1_000_000_000;

/// Contact tracing.
#[derive(Clone, Debug)]
pub struct Tracing {
    parameters: Parameters,
}

impl Tracing {
    /// Contact tracing; of the parameters only `rate` counts.
    ///
    /// # Errors
    /// Those of [`Parameters::check`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.check()?;
        Ok(Tracing { parameters })
    }
}

impl RiskModel for Tracing {
    fn name(&self) -> &'static str {
        "tracing"
    }

    fn risk(&mut self, snapshot: &Snapshot, options: &RiskOptions) -> Result<Risk, Error> {
        options.stop.check()?;
        let people = snapshot.people as usize;
        let since = snapshot.as_of.saturating_sub(DAYS);
        let (mut positive, mut last) = (vec![false; people], vec![false; people]);
        for test in &snapshot.tests {
            positive[test.person as usize] |= test.positive && test.t >= since;
            last[test.person as usize] = test.positive;
        }
        let mut flows = Vec::new();
        let mut escape = vec![1.0; people];
        for contact in snapshot.contacts.iter().filter(|contact| contact.t >= since) {
            let spared = libm::exp(-self.parameters.rate * contact.duration as f64 * 1e-9);
            for (own, other) in [(contact.a, contact.b), (contact.b, contact.a)] {
                if positive[other as usize] {
                    escape[own as usize] *= spared;
                    flows.push((own, other, 1.0 - spared));
                }
            }
        }
        let score = last.iter().zip(&escape).map(|(last, escape)| if *last { 1.0 } else { 1.0 - escape });
        Ok(Risk {
            score: score.collect(),
            because: named(people, flows, options.because),
            converged: true,
            ..Risk::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::{Contact, Test};

    #[test]
    fn direct_contacts_of_positives_count() {
        let day = DAYS / 7;
        let contact = |t, a, b| Contact { t, a, b, duration: 1_000_000_000 };
        let contacts = vec![contact(0, 0, 1), contact(5 * day, 0, 1), contact(6 * day, 0, 1), contact(6 * day, 1, 2)];
        let tests = vec![Test { t: 6 * day, person: 0, positive: true }];
        let snapshot = Snapshot { as_of: 8 * day, people: 3, contacts, tests };
        let parameters = Parameters { rate: core::f64::consts::LN_2, ..Parameters::default() };
        let risk = Tracing::new(parameters).unwrap().risk(&snapshot, &RiskOptions::default()).unwrap();
        assert_eq!(risk.score, [1.0, 0.75, 0.0]);
        assert_eq!(risk.because, [vec![], vec![(0, 1.0)], vec![]]);
    }
}
