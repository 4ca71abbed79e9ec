//! A person's course of disease without its contacts: the weight of every history as waiting times and its own tests give it.
//!
//! A history is (τ, u, v): infected at stamp number τ (0: the seeding, in I), infectious from epoch `u` until before epoch `v`. Epochs are
//! runs of the person's own stamps, each with a middle stamp where E→I and I→R are looked at; between two middles the waiting is
//! exponential and tests weigh in exactly, as 3 × 3 matrices over (E, I, R). With one stamp an epoch nothing is left out; a person with
//! more stamps than the budget allows has onset and recovery rounded to the nearest epoch, its infection still at the exact stamp.
//!
//! Nothing has probability 0: a test is wrong with at least [`WRONG`], a person is seeded, or spared, with at least [`OUTSIDE`].
//! So tests that no history explains have a most likely reading, and no sum is ever 0.

use super::network::{Network, seconds};
use super::person::{QUAD, QUADS};
use crate::contacts::{Parameters, Test};

/// Least probability of infection from outside, at the seeding and relative at each stamp.
pub(super) const OUTSIDE: f64 = 1e-24;
/// Least probability that a test is wrong.
const WRONG: f64 = 1e-36;
/// Lanes that a person's histories may fill, if that leaves it [`FEWEST`] epochs: up to 18 stamps in SEIR and 51 in SIR are exact.
const BUDGET: usize = 3344;
const FEWEST: usize = 5;

/// Which transitions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Whether infection begins in E.
    pub latent: bool,
    /// Whether I ends.
    pub recovers: bool,
}

impl Shape {
    pub fn new(parameters: &Parameters) -> Self {
        Shape { latent: parameters.latency > 0.0, recovers: parameters.recovery > 0.0 }
    }

    /// Whether infectiousness begins with infection and does not end.
    pub fn is_si(self) -> bool {
        !self.latent && !self.recovers
    }

    /// Windows (u, v) over so many epochs: in latent shapes u < v and one without an infectious epoch, else each v; v is the last where nobody
    /// recovers.
    pub fn windows(self, epochs: usize) -> usize {
        match (self.latent, self.recovers) {
            (true, true) => epochs * (epochs + 1) / 2 + 1,
            (false, false) => 1,
            _ => epochs + 1,
        }
    }

    /// Epochs of a person with this many stamps: as many as stamps, if the budget allows.
    pub fn epochs(self, stamps: usize) -> usize {
        if self.is_si() {
            return stamps.min(1);
        }
        let lanes = |epochs: usize| (stamps + 1) * self.windows(epochs).next_multiple_of(QUADS * QUAD);
        let fits = (FEWEST..=stamps).rev().find(|&epochs| lanes(epochs) <= BUDGET);
        fits.unwrap_or(FEWEST.min(stamps))
    }
}

/// Upper triangular transitions over (E, I, R), tests included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub ee: f64,
    pub ei: f64,
    pub er: f64,
    pub ii: f64,
    pub ir: f64,
    pub rr: f64,
}

impl Step {
    const NONE: Step = Step { ee: 1.0, ei: 0.0, er: 0.0, ii: 1.0, ir: 0.0, rr: 1.0 };

    /// Exponential waiting of `dt` seconds.
    fn wait(parameters: &Parameters, dt: f64) -> Self {
        let (latency, recovery) = (parameters.latency, parameters.recovery);
        let ii = libm::exp(-recovery * dt);
        let ir = -libm::expm1(-recovery * dt);
        if latency == 0.0 {
            return Step { ee: 0.0, ii, ir, ..Step::NONE };
        }
        let ee = libm::exp(-latency * dt);
        let apart = (latency - recovery) * dt;
        let mean = if apart.abs() < 1e-12 { 1.0 } else { -libm::expm1(-apart) / apart };
        let ei = latency * dt * ii * mean;
        Step { ee, ei, er: (-libm::expm1(-latency * dt) - ei).max(0.0), ii, ir, rr: 1.0 }
    }

    fn then(self, next: Step) -> Self {
        Step {
            ee: self.ee * next.ee,
            ei: self.ee * next.ei + self.ei * next.ii,
            er: self.ee * next.er + self.ei * next.ir + self.er * next.rr,
            ii: self.ii * next.ii,
            ir: self.ii * next.ir + self.ir * next.rr,
            rr: self.rr * next.rr,
        }
    }

    /// Weighs the state reached: infected by `infected`, R by `other`.
    fn weigh(self, infected: f64, other: f64) -> Self {
        Step {
            ee: self.ee * infected,
            ei: self.ei * infected,
            er: self.er * other,
            ii: self.ii * infected,
            ir: self.ir * other,
            rr: self.rr * other,
        }
    }
}

/// One person's course: what waiting and its own tests say of each of its histories.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// For τ = 0..=stamps: weight of being infected then and in (E, I, R) at the next middle `[stamps + 1]`.
    pub start: Vec<[f64; 3]>,
    /// From each middle to the next, the last to the as-of time `[epochs]`.
    pub step: Vec<Step>,
    /// Weight of never being infected.
    pub never: f64,
    /// log2 of what all weights were divided by.
    pub scale: f64,
    evidence: Vec<Evidence>,
}

/// Everybody's course, tests included, in flat arrays.
pub(super) struct Courses {
    start: Vec<[f64; 3]>,
    step: Vec<Step>,
    step_start: Vec<usize>,
    /// (`never`, `scale`) of each person.
    rest: Vec<(f64, f64)>,
}

impl Courses {
    pub fn new(network: &Network, parameters: &Parameters) -> Self {
        let (mut start, mut step, mut step_start, mut rest) = (Vec::new(), Vec::new(), vec![0], Vec::new());
        let mut course = Course::default();
        for person in 0..network.people() {
            course.fill(network, parameters, person, true);
            start.extend_from_slice(&course.start);
            step.extend_from_slice(&course.step);
            step_start.push(step.len());
            rest.push((course.never, course.scale));
        }
        Courses { start, step, step_start, rest }
    }

    pub fn of(&self, network: &Network, person: usize) -> Weights<'_> {
        let (never, scale) = self.rest[person];
        let stamps = network.stamps(person);
        let step = &self.step[self.step_start[person]..self.step_start[person + 1]];
        // Everybody has one start more than stamps.
        Weights { start: &self.start[stamps.start + person..=stamps.end + person], step, never, scale }
    }
}

/// What a course says, wherever it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    pub start: &'a [[f64; 3]],
    pub step: &'a [Step],
    pub never: f64,
    pub scale: f64,
}

/// A moment that weighs S and R by `other`, E and I by `infected`.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    t: i64,
    infected: f64,
    other: f64,
}

/// First stamp number (from 1) of an epoch; that of epoch `epochs` is one past the last stamp.
pub(super) fn first_stamp(epoch: usize, stamps: usize, epochs: usize) -> usize {
    if epochs == 0 { 1 } else { (epoch * stamps).div_ceil(epochs) + 1 }
}

impl Course {
    pub fn weights(&self) -> Weights<'_> {
        Weights { start: &self.start, step: &self.step, never: self.never, scale: self.scale }
    }

    /// Fills in the course of one person; `tested` false leaves its tests out.
    pub fn fill(&mut self, network: &Network, parameters: &Parameters, person: usize, tested: bool) {
        let times = network.times(person);
        let (stamps, epochs) = (times.len(), Shape::new(parameters).epochs(times.len()));
        self.weigh_tests(if tested { network.tests(person) } else { &[] }, network, parameters, tested);

        let middle = |epoch: usize| {
            let (first, next) = (first_stamp(epoch, stamps, epochs), first_stamp(epoch + 1, stamps, epochs));
            times[(first + next - 1) / 2 - 1]
        };
        let end = |epoch: usize| if epoch < epochs { middle(epoch) } else { i64::MAX };
        self.step.clear();
        let mut from = 0;
        for epoch in 0..epochs {
            from += self.evidence[from..].partition_point(|e| e.t < middle(epoch));
            let step = self.between(from, middle(epoch), end(epoch + 1), network.as_of, parameters);
            self.step.push(step);
        }

        let prior = parameters.prior(network.people() as u32);
        self.start.clear();
        let seeded = self.between(0, network.seeded, end(0), network.as_of, parameters);
        let seed = prior.max(OUTSIDE);
        self.start.push([0.0, seed * seeded.ii, seed * seeded.ir]);
        let mut spared = (1.0 - prior).max(OUTSIDE);
        let (mut from, mut epoch) = (0, 0);
        for (number, &t) in times.iter().enumerate() {
            while epoch < epochs && number + 1 >= first_stamp(epoch + 1, stamps, epochs) {
                epoch += 1;
            }
            while self.evidence.get(from).is_some_and(|e| e.t < t) {
                spared *= self.evidence[from].other;
                from += 1;
            }
            let step = self.between(from, t, end(epoch + 1), network.as_of, parameters);
            self.start.push(if parameters.latency > 0.0 {
                [spared * step.ee, spared * step.ei, spared * step.er]
            } else {
                [0.0, spared * step.ii, spared * step.ir]
            });
        }
        self.never = spared * self.evidence[from..].iter().map(|e| e.other).product::<f64>();
    }

    /// From `start` to `end` (or the as-of time, whichever is earlier) with the evidence in between, that at `end` excluded.
    fn between(&self, from: usize, start: i64, end: i64, as_of: i64, parameters: &Parameters) -> Step {
        let mut step = Step::NONE;
        let mut t = start;
        for evidence in self.evidence[from..].iter().take_while(|e| e.t < end) {
            step = step.then(Step::wait(parameters, seconds(evidence.t - t))).weigh(evidence.infected, evidence.other);
            t = evidence.t;
        }
        let end = end.min(as_of);
        if end > t { step.then(Step::wait(parameters, seconds(end - t))) } else { step }
    }

    /// Turns tests into evidence, each divided by about its probability given those before, so that products stay near 1.
    fn weigh_tests(&mut self, tests: &[Test], network: &Network, parameters: &Parameters, tested: bool) {
        let seen = parameters.ascertainment;
        let (miss, alarm) =
            if seen > 0.0 { (0.0, 0.0) } else { (parameters.false_negative, parameters.false_positive) };
        self.evidence.clear();
        self.scale = 0.0;
        for test in tests {
            let (infected, other) = if test.positive { (1.0 - miss, alarm) } else { (miss, 1.0 - alarm) };
            let (infected, other) = (infected.max(WRONG), other.max(WRONG));
            self.evidence.push(Evidence { t: test.t.max(network.seeded), infected, other });
        }
        if seen > 0.0 && tested && !tests.iter().any(|test| test.positive) {
            self.evidence.push(Evidence { t: network.as_of, infected: (1.0 - seen).max(WRONG), other: 1.0 });
        }
        let turn = 0.1 / (self.evidence.len() as f64 + 1.0);
        let recovers = if parameters.recovery > 0.0 { turn } else { 0.0 };
        let [mut s, mut i, mut r] = [1.0 - turn, turn, 0.0];
        for evidence in &mut self.evidence {
            let expected = (s + r) * evidence.other + i * evidence.infected;
            evidence.infected /= expected;
            evidence.other /= expected;
            self.scale += libm::log2(expected);
            [s, i, r] = [s * evidence.other, i * evidence.infected, r * evidence.other];
            [s, i, r] = [s * (1.0 - turn), i * (1.0 - recovers) + s * turn, r + i * recovers];
        }
    }
}
