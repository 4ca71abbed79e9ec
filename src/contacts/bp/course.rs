//! A person's course of disease without its contacts: the weight of every history as waiting times and its own tests give it.
//!
//! A history is (τ, u, v): infected at stamp number τ (0: the seeding, in I), infectious from epoch `u` until before epoch `v`. Epochs are
//! runs of the person's own stamps, each with a middle stamp where E→I and I→R are looked at; between two middles the waiting is
//! exponential and tests weigh in exactly, as 3 × 3 matrices over (E, I, R) (`step.rs`). With one stamp an epoch nothing is left out; a person
//! with more stamps than the budget allows has onset and recovery rounded to the nearest epoch, its infection still at the exact stamp.
//!
//! Nothing has probability 0: a test is wrong with at least [`WRONG`], a person is seeded, or spared, with at least [`OUTSIDE`].
//! So tests that no history explains have a most likely reading. No sum is ever 0 either, though a chain of wrong tests soon leaves the range
//! of numbers: with `b(x)` the weight of all that follows from state x, kept with an exponent of its own, a step from x to y is given as
//! `step(x, y) b(y) / b(x)`, a probability, and a start in x with `b(x)` in it, relative to the largest. The product along a history is the same.

use super::network::Network;
use super::step::{Step, Steps, Weight};
use crate::Error;
use crate::contacts::{Parameters, Stop, Test, seconds};

/// Lanes of windows worked on at once.
pub(super) const QUAD: usize = 4;
/// Quads of windows worked on together where there are several.
pub(super) const QUADS: usize = 4;

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

/// One person's course: what waiting and its own tests say of each of its histories.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// For τ = 0..=stamps: weight of all histories infected then, by the state (E, I, R) at the next middle `[stamps + 1]`.
    pub start: Vec<[f64; 3]>,
    /// Probabilities from each middle to the next, the last to the as-of time, given all that follows `[epochs]`.
    pub step: Vec<Step>,
    /// Weight of never being infected.
    pub never: f64,
    /// log2 of what all weights were divided by.
    pub scale: f64,
    evidence: Vec<Evidence>,
    /// `start` before it is brought to one scale, and log2 of what each is to be multiplied by.
    raw: Vec<([f64; 3], [f64; 3])>,
    steps: Vec<Steps>,
    /// b(x) at each middle and at the as-of time `[epochs + 1]`.
    follows: Vec<[Weight; 3]>,
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
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(network: &Network, parameters: &Parameters, stop: &Stop) -> Result<Self, Error> {
        let (mut start, mut step, mut step_start, mut rest) = (Vec::new(), Vec::new(), vec![0], Vec::new());
        let mut course = Course::default();
        for person in 0..network.people() {
            if person % 64 == 0 {
                stop.check()?;
            }
            course.fill(network, parameters, person, true);
            start.extend_from_slice(&course.start);
            step.extend_from_slice(&course.step);
            step_start.push(step.len());
            rest.push((course.never, course.scale));
        }
        Ok(Courses { start, step, step_start, rest })
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
        self.take_tests(if tested { network.tests(person) } else { &[] }, network, parameters, tested);

        let middle = |epoch: usize| {
            let (first, next) = (first_stamp(epoch, stamps, epochs), first_stamp(epoch + 1, stamps, epochs));
            i128::from(times[(first + next - 1) / 2 - 1])
        };
        let end = |epoch: usize| if epoch < epochs { middle(epoch) } else { i128::MAX };
        self.steps.clear();
        let mut from = 0;
        for epoch in 0..epochs {
            from += self.evidence[from..].partition_point(|e| i128::from(e.t) < middle(epoch));
            let steps = self.between(from, middle(epoch), end(epoch + 1), network.as_of, parameters);
            self.steps.push(steps);
        }
        self.look_ahead();

        let prior = parameters.prior(network.people() as u32);
        self.raw.clear();
        let seeded = self.between(0, network.seeded, end(0), network.as_of, parameters);
        let seed = Weight::new(prior.max(OUTSIDE));
        self.raw.push(seeded.from(1, seed, &self.follows[0]));
        let mut spared = Weight::new((1.0 - prior).max(OUTSIDE));
        let (mut from, mut epoch) = (0, 0);
        let infected = usize::from(parameters.latency == 0.0);
        for (number, &t) in times.iter().enumerate() {
            while epoch < epochs && number + 1 >= first_stamp(epoch + 1, stamps, epochs) {
                epoch += 1;
            }
            while let Some(evidence) = self.evidence.get(from).filter(|e| e.t < t) {
                spared = spared.times(evidence.other);
                from += 1;
            }
            let steps = self.between(from, t.into(), end(epoch + 1), network.as_of, parameters);
            self.raw.push(steps.from(infected, spared, &self.follows[epoch + 1]));
        }
        let never = self.evidence[from..].iter().fold(spared, |never, evidence| never.times(evidence.other));
        self.bring_near(never);
    }

    /// From `start` to `end` (or the as-of time, whichever is earlier) with the evidence in between, that at `end` excluded.
    fn between(&self, from: usize, start: i128, end: i128, as_of: i64, parameters: &Parameters) -> Steps {
        let mut steps = Steps::NONE;
        let mut t = start;
        for evidence in self.evidence[from..].iter().take_while(|e| i128::from(e.t) < end) {
            steps.wait(parameters, seconds(t, evidence.t));
            steps.weigh(evidence.infected, evidence.other);
            t = evidence.t.into();
        }
        let end = end.min(as_of.into());
        if end > t {
            steps.wait(parameters, seconds(t, end));
        }
        steps
    }

    fn take_tests(&mut self, tests: &[Test], network: &Network, parameters: &Parameters, tested: bool) {
        let seen = parameters.ascertainment;
        let (miss, alarm) =
            if seen > 0.0 { (0.0, 0.0) } else { (parameters.false_negative, parameters.false_positive) };
        self.evidence.clear();
        for test in tests {
            let (infected, other) = if test.positive { (1.0 - miss, alarm) } else { (miss, 1.0 - alarm) };
            self.evidence.push(Evidence { t: test.t, infected: infected.max(WRONG), other: other.max(WRONG) });
        }
        if seen > 0.0 && tested && !tests.iter().any(|test| test.positive) {
            self.evidence.push(Evidence { t: network.as_of, infected: (1.0 - seen).max(WRONG), other: 1.0 });
        }
    }

    /// Makes probabilities of the steps, each state's given all that follows.
    fn look_ahead(&mut self) {
        let epochs = self.steps.len();
        self.follows.clear();
        self.follows.resize(epochs + 1, [Weight::new(1.0); 3]);
        self.step.clear();
        self.step.resize(epochs, Step::default());
        for epoch in (0..epochs).rev() {
            let (before, step) = self.steps[epoch].given(&self.follows[epoch + 1]);
            (self.follows[epoch], self.step[epoch]) = (before, step);
        }
    }

    /// Brings all weights to one scale, the largest between about 1e-30 and 1e30.
    fn bring_near(&mut self, never: Weight) {
        let lifts = self.raw.iter().flat_map(|(value, lift)| value.iter().zip(lift));
        let mut top = lifts.filter(|(value, _)| **value > 0.0).map(|(_, lift)| *lift).fold(never.lift, f64::max);
        let at = |top: f64, value: f64, lift: f64| {
            if lift == top { value } else { libm::ldexp(value, (lift - top).clamp(-4096.0, 4096.0) as i32) }
        };
        let values = self.raw.iter().flat_map(|(value, lift)| value.iter().zip(lift));
        let largest =
            values.map(|(value, lift)| at(top, *value, *lift)).fold(at(top, never.value, never.lift), f64::max);
        if !(1e-30..1e30).contains(&largest) {
            top += f64::from(libm::frexp(largest).1);
        }
        self.start.clear();
        let brought = |(value, lift): &([f64; 3], [f64; 3])| [0, 1, 2].map(|x| at(top, value[x], lift[x]));
        self.start.extend(self.raw.iter().map(brought));
        (self.never, self.scale) = (at(top, never.value, never.lift), top);
    }
}
