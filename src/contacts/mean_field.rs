//! Mean field: everybody's probabilities of S, E, I and R run forward as if neighbours were independent.
//!
//! Between stamps E and I lose what exponential waiting takes (from E to R takes two stamps); at a stamp `S_i` keeps `Π_j (1 - λ_ij I_j)` of itself and the rest
//! goes to E (to I without a latent state), over all contacts of the stamp. Tests condition forward: at a test the probabilities are
//! multiplied by its likelihood; and a positive person is taken to have been in I since [`DAYS`] before the test, but not before its
//! last negative one. The heuristic of Baker et al., PNAS 118, e2106548118 (2021), on the individual-based mean-field equations.

use super::{Parameters, Risk, RiskModel, RiskOptions, Snapshot, named, seconds, seeded};
use crate::Error;

/// How long before a positive test its person is taken to have been infectious (ns): five days.
const DAYS: i64 = 5 * 86_400 * 1_000_000_000;

/// Mean field.
#[derive(Clone, Debug)]
pub struct MeanField {
    parameters: Parameters,
}

impl MeanField {
    /// Mean field with these parameters.
    ///
    /// # Errors
    /// Those of [`Parameters::check`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.check()?;
        Ok(MeanField { parameters })
    }
}

/// Stamps after which the wish to stop is looked at.
const LOOK: usize = 1024;

/// Probabilities of a person at a time.
#[derive(Clone, Copy)]
struct Person {
    t: i128,
    s: f64,
    e: f64,
    i: f64,
    r: f64,
}

impl Person {
    fn wait(&mut self, t: i64, parameters: &Parameters) {
        let dt = seconds(self.t, t).max(0.0);
        let (onset, end) = (-libm::expm1(-parameters.latency * dt), -libm::expm1(-parameters.recovery * dt));
        let entering = self.e * onset;
        self.r += self.i * end;
        self.i += entering - self.i * end;
        self.e -= entering;
        self.t = self.t.max(t.into());
    }

    fn weigh(&mut self, infected: f64, other: f64) {
        let all = (self.s + self.r) * other + (self.e + self.i) * infected;
        if all > 0.0 {
            (self.s, self.r) = (self.s * other / all, self.r * other / all);
            (self.e, self.i) = (self.e * infected / all, self.i * infected / all);
        }
    }

    fn infect(&mut self) {
        (self.s, self.e, self.i, self.r) = (0.0, 0.0, 1.0, 0.0);
    }
}

/// What happens beside contacts, in the order of a stamp.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Infectious,
    Tested(bool),
}

impl RiskModel for MeanField {
    fn name(&self) -> &'static str {
        "mean-field"
    }

    fn risk(&mut self, snapshot: &Snapshot, options: &RiskOptions) -> Result<Risk, Error> {
        let parameters = &self.parameters;
        let prior = parameters.prior(snapshot.people);
        let start = seeded(snapshot);
        let seed = Person { t: start, s: 1.0 - prior, e: 0.0, i: prior, r: 0.0 };
        let mut people = vec![seed; snapshot.people as usize];
        let events = events(snapshot, start);
        let mut due = events.iter().peekable();
        let mut happen = |people: &mut Vec<Person>, until: Option<i64>| {
            while let Some(&(t, person, event)) = due.next_if(|event| until.is_none_or(|until| event.0 < until)) {
                let person = &mut people[person as usize];
                person.wait(t, parameters);
                let (miss, alarm) = (parameters.false_negative, parameters.false_positive);
                match event {
                    Event::Infectious | Event::Tested(true) if alarm == 0.0 => person.infect(),
                    Event::Infectious => {}
                    Event::Tested(true) => person.weigh(1.0 - miss, alarm),
                    Event::Tested(false) => person.weigh(miss, 1.0 - alarm),
                }
            }
        };
        let mut flows = Vec::new();
        for (number, stamp) in snapshot.contacts.chunk_by(|a, b| a.t == b.t).enumerate() {
            if number % LOOK == 0 {
                options.stop.check()?;
            }
            let t = stamp[0].t;
            happen(&mut people, Some(t));
            let mut spared = Vec::with_capacity(2 * stamp.len());
            for contact in stamp {
                let passes = parameters.passes(contact.duration);
                for (own, other) in [(contact.a, contact.b), (contact.b, contact.a)] {
                    people[other as usize].wait(t, parameters);
                    spared.push((own, other, passes));
                }
            }
            for at in &mut spared {
                at.2 *= people[at.1 as usize].i;
            }
            for &(own, other, infects) in &spared {
                let own_state = &mut people[own as usize];
                let infected = own_state.s * infects;
                own_state.s -= infected;
                if parameters.latency > 0.0 {
                    own_state.e += infected;
                } else {
                    own_state.i += infected;
                }
                flows.push((own, other, infected));
            }
        }
        happen(&mut people, None);
        let mut seen = vec![false; people.len()];
        snapshot.tests.iter().for_each(|test| seen[test.person as usize] |= test.positive);
        for (person, seen) in people.iter_mut().zip(seen) {
            person.wait(snapshot.as_of, parameters);
            if !seen {
                person.weigh(1.0 - parameters.ascertainment, 1.0);
            }
        }
        let score = people.iter().map(|person| (person.e + person.i).clamp(0.0, 1.0)).collect();
        Ok(Risk { score, because: named(people.len(), flows, options.because), converged: true, ..Risk::default() })
    }
}

/// Tests, and when the positive are taken to have become infectious, in order.
fn events(snapshot: &Snapshot, start: i128) -> Vec<(i64, u32, Event)> {
    let mut events = Vec::new();
    let mut cleared = vec![i64::try_from(start).unwrap_or(i64::MIN); snapshot.people as usize];
    for test in &snapshot.tests {
        let cleared = &mut cleared[test.person as usize];
        if test.positive {
            events.push((test.t.saturating_sub(DAYS).max(*cleared), test.person, Event::Infectious));
        } else {
            *cleared = test.t.saturating_add(1);
        }
        events.push((test.t, test.person, Event::Tested(test.positive)));
    }
    events.sort_unstable();
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::{Contact, Test};

    #[test]
    fn two_people_by_hand() {
        let contacts = vec![Contact { t: 0, a: 0, b: 1, duration: 1_000_000_000 }];
        let snapshot = Snapshot { as_of: 0, people: 2, contacts, tests: Vec::new() };
        let parameters = Parameters { rate: core::f64::consts::LN_2, ..Parameters::default() };
        // Each is a seed with 1/2: infected now with 1/2 + 1/2 · 1/2 · 1/2.
        let risk = MeanField::new(parameters).unwrap().risk(&snapshot, &RiskOptions::default()).unwrap();
        assert!(risk.score.iter().all(|score| (score - 0.625).abs() < 1e-15));
        assert!(risk.because.iter().flatten().all(|(_, weight)| (weight - 0.125).abs() < 1e-7));
        // One tested positive was infectious at the contact: the other is infected with 1/2 + 1/2 · 1/2.
        let tests = vec![Test { t: 0, person: 0, positive: true }];
        let risk =
            MeanField::new(parameters).unwrap().risk(&Snapshot { tests, ..snapshot }, &RiskOptions::default()).unwrap();
        assert!((risk.score[0] - 1.0).abs() < 1e-15 && (risk.score[1] - 0.75).abs() < 1e-15);
    }
}
