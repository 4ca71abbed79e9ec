//! What a model of spread is told: rates, the quality of tests, the prior.
//!
//! A contact of duration d passes infection on with probability `1 - exp(-rate · d)`. Waiting times from E to I and from I to R are
//! exponential. At the seeding, one second before the earliest row, each person is in I with the prior's probability, else in S.

use crate::Error;

/// Probability of being infected one second before the earliest row, contact or test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    /// This many seeds among the people known: `seeds / people` each.
    Seeds(f64),
    /// The probability itself.
    Each(f64),
}

/// Parameters of the spread and of the tests; rates are per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Infection: a contact passes it on with probability `1 - exp(-rate * duration)`. No rate fits all contacts: it depends on the disease,
    /// on what counts as a contact and on how its duration is measured. Take it from outbreaks on contacts measured in the same way.
    pub rate: f64,
    /// E to I; 0 means that there is no latent state.
    pub latency: f64,
    /// I to R; 0 means never.
    pub recovery: f64,
    /// Probability that somebody infected (E or I) tests negative.
    pub false_negative: f64,
    /// Probability that somebody who is not (S or R) tests positive.
    pub false_positive: f64,
    /// Probability that somebody infected at the as-of time has been seen by a positive test; 0 means that tests are random.
    pub ascertainment: f64,
    /// The prior.
    pub prior: Prior,
}

/// SI without test errors and one seed. Its `rate` of 1e-3 is a place holder, to be replaced by one that fits the contacts: it suits
/// meetings of some minutes that are few; on the contacts of a whole town it infects everybody.
impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            rate: 1e-3,
            latency: 0.0,
            recovery: 0.0,
            false_negative: 0.0,
            false_positive: 0.0,
            ascertainment: 0.0,
            prior: Prior::Seeds(1.0),
        }
    }
}

impl Parameters {
    /// The prior among `people`.
    pub fn prior(&self, people: u32) -> f64 {
        match self.prior {
            Prior::Each(p) => p,
            Prior::Seeds(seeds) => (seeds / f64::from(people.max(1))).min(1.0),
        }
    }

    /// The same with infection, and the rates of leaving E and I, times a factor each.
    #[must_use]
    pub fn scaled(&self, infection: f64, clocks: f64) -> Self {
        let Parameters { rate, latency, recovery, .. } = *self;
        Parameters { rate: rate * infection, latency: latency * clocks, recovery: recovery * clocks, ..*self }
    }

    /// The probability that a contact of so many ns passes infection on.
    pub(super) fn passes(&self, duration: i64) -> f64 {
        -libm::expm1(-self.rate * duration as f64 * 1e-9)
    }

    /// Checks that rates are finite and not negative, and that probabilities are.
    ///
    /// # Errors
    /// [`Error::Value`], which names the parameter.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what, found: f64, expected: &str| {
            Err(Error::Value { what, found: found.to_string(), expected: expected.into() })
        };
        for (what, rate) in [("rate", self.rate), ("latency", self.latency), ("recovery", self.recovery)] {
            if !(rate.is_finite() && rate >= 0.0) {
                return wrong(what, rate, "a rate per second, 0 or more");
            }
        }
        let (what, each) = match self.prior {
            Prior::Seeds(seeds) if !(seeds.is_finite() && seeds >= 0.0) => return wrong("seeds", seeds, "0 or more"),
            Prior::Seeds(_) => ("seeds", 0.0),
            Prior::Each(p) => ("prior", p),
        };
        let tests = [
            ("false_negative", self.false_negative),
            ("false_positive", self.false_positive),
            ("ascertainment", self.ascertainment),
            (what, each),
        ];
        for (what, p) in tests {
            if !(0.0..=1.0).contains(&p) {
                return wrong(what, p, "a probability, 0 to 1");
            }
        }
        Ok(())
    }
}
