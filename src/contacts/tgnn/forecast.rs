//! What the spread would have done at several rates, each from ¼ to 4 times the given one, and how well each fits the tests.
//!
//! A mean-field filter: probabilities of S, E, I and R run forward as in [`MeanField`](crate::contacts::MeanField), and a test weighs them by
//! its likelihood once it has been predicted. Sums of what was predicted, beside what was seen, tell which rate is the likely one.

use crate::contacts::{Parameters, Snapshot, Test};

/// Lanes: one for each of ¼, ½, 1, 2 and 4 times the given rate.
pub(super) const LANES: usize = 5;
/// Least probability of a result, so that one surprise is a bounded one.
const SURPRISE: f64 = 1e-3;

type Lanes = [f64; LANES];

/// What is forecast, by lane.
pub(super) struct Forecast {
    /// Probability of E or I at the as-of time, for each person.
    pub infected: Vec<Lanes>,
    /// Positive results expected, each just before it came.
    pub expected: Lanes,
    /// log of the probability of all results.
    pub evidence: Lanes,
}

/// One person; S is what the others leave.
#[derive(Clone, Copy)]
struct Person {
    t: i64,
    s: Lanes,
    e: Lanes,
    i: Lanes,
}

impl Person {
    fn wait(&mut self, t: i64, parameters: &Parameters) {
        let dt = (t - self.t).max(0) as f64 * 1e-9;
        self.t = self.t.max(t);
        if dt == 0.0 || (parameters.latency == 0.0 && parameters.recovery == 0.0) {
            return;
        }
        let (onset, end) = (-libm::expm1(-parameters.latency * dt), -libm::expm1(-parameters.recovery * dt));
        for (e, i) in self.e.iter_mut().zip(&mut self.i) {
            let entering = *e * onset;
            *i += entering - *i * end;
            *e -= entering;
        }
    }

    fn infected(&self, lane: usize) -> f64 {
        (self.e[lane] + self.i[lane]).clamp(0.0, 1.0)
    }

    /// Weighs E and I by `infected`, the others by `other`.
    fn weigh(&mut self, infected: f64, other: f64) {
        for lane in 0..LANES {
            let p = self.infected(lane);
            let all = p * infected + (1.0 - p) * other;
            if all > 0.0 {
                (self.e[lane], self.i[lane]) = (self.e[lane] * infected / all, self.i[lane] * infected / all);
                self.s[lane] *= other / all;
            }
        }
    }
}

impl Forecast {
    /// Runs over a snapshot whose seeding is at `seeded`.
    pub fn new(snapshot: &Snapshot, parameters: &Parameters, seeded: i64) -> Self {
        let prior = parameters.prior(snapshot.people).max(1e-6);
        let seed = Person { t: seeded, s: [1.0 - prior; LANES], e: [0.0; LANES], i: [prior; LANES] };
        let people = vec![seed; snapshot.people as usize];
        let (expected, evidence) = ([0.0; LANES], [0.0; LANES]);
        let mut run = Run { parameters, people, expected, evidence };
        // Where testing is told to follow infection at the as-of time, each person is one result.
        let mut tests = if parameters.ascertainment > 0.0 { &[][..] } else { &snapshot.tests[..] };
        for stamp in snapshot.contacts.chunk_by(|a, b| a.t == b.t) {
            let t = stamp[0].t;
            let (before, rest) = tests.split_at(tests.partition_point(|test| test.t < t));
            before.iter().for_each(|test| run.test(test));
            tests = rest;
            for contact in stamp {
                run.people[contact.a as usize].wait(t, parameters);
                run.people[contact.b as usize].wait(t, parameters);
            }
            let passed: Vec<_> = stamp
                .iter()
                .map(|contact| {
                    let passes = passes(parameters.rate * contact.duration as f64 * 1e-9);
                    let gives = |from: u32| -> Lanes {
                        let from = &run.people[from as usize];
                        std::array::from_fn(|lane| passes[lane] * from.i[lane])
                    };
                    (gives(contact.b), gives(contact.a))
                })
                .collect();
            for (contact, (to_a, to_b)) in stamp.iter().zip(&passed) {
                run.infect(contact.a, to_a);
                run.infect(contact.b, to_b);
            }
        }
        tests.iter().for_each(|test| run.test(test));
        run.people.iter_mut().for_each(|person| person.wait(snapshot.as_of, parameters));
        if parameters.ascertainment > 0.0 {
            let mut seen = vec![false; snapshot.people as usize];
            snapshot.tests.iter().for_each(|test| seen[test.person as usize] |= test.positive);
            let a = parameters.ascertainment;
            (0..).zip(seen).for_each(|(person, seen)| run.result(person, seen, a, 0.0));
        }
        let infected = run.people.iter().map(|person| std::array::from_fn(|lane| person.infected(lane))).collect();
        Forecast { infected, expected: run.expected, evidence: run.evidence }
    }
}

/// The state of a run.
struct Run<'a> {
    parameters: &'a Parameters,
    people: Vec<Person>,
    expected: Lanes,
    evidence: Lanes,
}

impl Run<'_> {
    fn infect(&mut self, person: u32, by: &Lanes) {
        let person = &mut self.people[person as usize];
        let to = if self.parameters.latency > 0.0 { &mut person.e } else { &mut person.i };
        for lane in 0..LANES {
            let infected = person.s[lane] * by[lane];
            person.s[lane] -= infected;
            to[lane] += infected;
        }
    }

    fn test(&mut self, test: &Test) {
        self.people[test.person as usize].wait(test.t, self.parameters);
        self.result(test.person, test.positive, 1.0 - self.parameters.false_negative, self.parameters.false_positive);
    }

    /// A result that is positive with probability `found` for the infected and `alarm` for others: predicted, then believed.
    fn result(&mut self, person: u32, positive: bool, found: f64, alarm: f64) {
        let person = &mut self.people[person as usize];
        let (found, alarm) = (found.clamp(SURPRISE, 1.0 - SURPRISE), alarm.clamp(SURPRISE, 1.0 - SURPRISE));
        for lane in 0..LANES {
            let p = person.infected(lane);
            let positives = p * found + (1.0 - p) * alarm;
            self.expected[lane] += positives;
            self.evidence[lane] += libm::log(if positive { positives } else { 1.0 - positives });
        }
        let (infected, other) = if positive { (found, alarm) } else { (1.0 - found, 1.0 - alarm) };
        person.weigh(infected, other);
    }
}

/// Probability that a contact of so many mean infections at the given rate passes it on, by lane.
fn passes(mean: f64) -> Lanes {
    let quarter = libm::exp(-0.25 * mean);
    let half = quarter * quarter;
    let one = half * half;
    let two = one * one;
    [1.0 - quarter, 1.0 - half, 1.0 - one, 1.0 - two, 1.0 - two * two]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::{Contact, Prior};

    #[test]
    fn a_hand_calculation() {
        let second = 1_000_000_000;
        let contacts = vec![Contact { t: second, a: 0, b: 1, duration: second }];
        let tests = vec![Test { t: 0, person: 0, positive: true }, Test { t: 2 * second, person: 1, positive: false }];
        let snapshot = Snapshot { as_of: 2 * second, people: 2, contacts, tests };
        let prior = Prior::Each(0.1);
        let parameters =
            Parameters { rate: 0.5, false_negative: 0.2, false_positive: 0.1, prior, ..Default::default() };
        let forecast = Forecast::new(&snapshot, &parameters, 0);
        for (lane, factor) in [0.25f64, 0.5, 1.0, 2.0, 4.0].into_iter().enumerate() {
            // Bayes for 0, then one contact, then Bayes for 1.
            let first = 0.1 * 0.8 + 0.9 * 0.1;
            let zero = 0.1 * 0.8 / first;
            let one = 0.1 + 0.9 * zero * (1.0 - (-0.5 * factor).exp());
            let second = one * 0.8 + (1.0 - one) * 0.1;
            assert!((forecast.expected[lane] - first - second).abs() < 1e-12);
            assert!((forecast.evidence[lane] - first.ln() - (1.0 - second).ln()).abs() < 1e-12);
            assert!((forecast.infected[0][lane] - (zero + (1.0 - zero) * one_from(0.1, factor))).abs() < 1e-12);
            assert!((forecast.infected[1][lane] - one * 0.2 / (1.0 - second)).abs() < 1e-12);
        }
        fn one_from(p: f64, factor: f64) -> f64 {
            p * (1.0 - (-0.5 * factor).exp())
        }
    }
}
