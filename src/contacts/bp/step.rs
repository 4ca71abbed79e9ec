//! Transitions over (E, I, R): exponential waiting, tests, and products of them that stay within the range of numbers.
//!
//! Waiting t with the rates a of E→I and b of I→R: `E→I = a (exp(-b t) - exp(-a t)) / (a - b)`, `E→R` what is left. Each is computed without a
//! difference of near numbers, and without a number beyond range, for any t and any rates.

use crate::contacts::Parameters;

/// Weights leave this range only with an exponent beside them.
const SMALL: f64 = 1e-60;
const LARGE: f64 = 1e60;
/// Waiting in units of a mean waiting time is cut here: the ratio of two counts still, no exponential does.
const LONGEST: f64 = 1e150;

/// A positive number `value · 2^lift`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    pub value: f64,
    pub lift: f64,
}

impl Weight {
    pub fn new(value: f64) -> Self {
        Weight { value, lift: 0.0 }
    }

    pub fn times(self, factor: f64) -> Self {
        Weight { value: self.value * factor, ..self }.near()
    }

    fn near(self) -> Self {
        if self.value == 0.0 || (SMALL..LARGE).contains(&self.value) {
            return self;
        }
        let (value, exponent) = libm::frexp(self.value);
        Weight { value, lift: self.lift + f64::from(exponent) }
    }
}

/// Upper triangular transitions over (E, I, R).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub ee: f64,
    pub ei: f64,
    pub er: f64,
    pub ii: f64,
    pub ir: f64,
    pub rr: f64,
}

/// The same, tests included: each row times a power of two of its own, so that none is ever 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Steps {
    row: [[f64; 3]; 3],
    lift: [f64; 3],
}

impl Steps {
    pub const NONE: Steps = Steps { row: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], lift: [0.0; 3] };

    /// Then waiting of `dt` seconds.
    pub fn wait(&mut self, parameters: &Parameters, dt: f64) {
        let Step { ee, ei, er, ii, ir, .. } = waiting(parameters.latency, parameters.recovery, dt);
        for row in &mut self.row {
            let [e, i, r] = *row;
            *row = [e * ee, e * ei + i * ii, e * er + i * ir + r];
        }
    }

    /// Then something that weighs the state reached: E and I by `infected`, R by `other`.
    pub fn weigh(&mut self, infected: f64, other: f64) {
        for (row, lift) in self.row.iter_mut().zip(&mut self.lift) {
            *row = [row[0] * infected, row[1] * infected, row[2] * other];
            let largest = row[0].max(row[1]).max(row[2]);
            if largest < SMALL {
                let exponent = libm::frexp(largest).1;
                *row = row.map(|weight| libm::ldexp(weight, -exponent));
                *lift += f64::from(exponent);
            }
        }
    }

    /// From state `x` of this weight: what each state reached weighs with what `follows` it, as values and their lifts.
    pub fn from(&self, x: usize, weight: Weight, follows: &[Weight; 3]) -> ([f64; 3], [f64; 3]) {
        let reached = [0, 1, 2].map(|y| {
            let Weight { value, lift } =
                Weight { value: weight.value * self.row[x][y], lift: weight.lift + self.lift[x] }.near();
            Weight { value: value * follows[y].value, lift: lift + follows[y].lift }.near()
        });
        (reached.map(|weight| weight.value), reached.map(|weight| weight.lift))
    }

    /// What follows each state before, of what follows each state after; and the probabilities of the steps given all that follows.
    pub fn given(&self, follows: &[Weight; 3]) -> ([Weight; 3], Step) {
        let mut before = [Weight::new(1.0); 3];
        let mut share = [[0.0; 3]; 3];
        for x in 0..3 {
            let (value, lift) = self.from(x, Weight::new(1.0), follows);
            let lifts = value.iter().zip(lift).filter(|(value, _)| **value > 0.0).map(|(_, lift)| lift);
            let top = lifts.fold(f64::NEG_INFINITY, f64::max);
            let near = [0, 1, 2].map(|y| match lift[y] - top {
                0.0 => value[y],
                apart => libm::ldexp(value[y], apart.clamp(-4096.0, 4096.0) as i32),
            });
            let all = near[0] + near[1] + near[2];
            share[x] = near.map(|weight| weight / all);
            before[x] = Weight { value: all, lift: top }.near();
        }
        let [[ee, ei, er], [_, ii, ir], [_, _, rr]] = share;
        (before, Step { ee, ei, er, ii, ir, rr })
    }
}

/// Exponential waiting of `dt` seconds.
fn waiting(latency: f64, recovery: f64, dt: f64) -> Step {
    let (a, b) = ((latency * dt).min(LONGEST), (recovery * dt).min(LONGEST));
    let (ii, ir) = (libm::exp(-b), -libm::expm1(-b));
    if latency == 0.0 {
        return Step { ee: 1.0, ei: 0.0, er: 0.0, ii, ir, rr: 1.0 };
    }
    let ee = libm::exp(-a);
    let (short, long) = (a.min(b), a.max(b));
    // (exp(-short) - exp(-long)) / (long - short)
    let apart = long - short;
    let mean = if apart < 1e-12 { 1.0 } else { -libm::expm1(-apart) / apart };
    let between = if a < b { ee } else { ii } * mean;
    let er = if long > 1.0 { (-libm::expm1(-short) - short * between).max(0.0) } else { both(short, long) };
    Step { ee, ei: a * between, er, ii, ir, rr: 1.0 }
}

/// The probability that two waitings, one after the other, are over by times so `short` and `long` (at most 1) in units of their means:
/// `short long Σ (-1)^n h_n / (n + 2)!`, where h_n is the sum of all products of n factors, each one of the two.
fn both(short: f64, long: f64) -> f64 {
    let (mut sum, mut h, mut power, mut factor) = (0.0f64, 1.0, 1.0, 0.5);
    for n in 0..24 {
        let term: f64 = factor * h;
        sum += term;
        if term.abs() < 1e-17 * sum {
            break;
        }
        power *= short;
        h = long * h + power;
        factor /= -f64::from(n + 3);
    }
    short * long * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_a_probability_for_any_time_and_rates() {
        let times = [0.0, 1e-9, 1.0, 3600.0, 86_400.0, 1e7, 3e9, 1.8e10];
        let rates = [0.0, 1e-300, 1e-12, 1e-9, 1e-5, 1.0000001e-5, 0.3, 1e3, 1e300, f64::MAX];
        for dt in times {
            for (a, b) in rates.iter().flat_map(|a| rates.map(|b| (*a, b))) {
                let Step { ee, ei, er, ii, ir, .. } = waiting(a, b, dt);
                for p in [ee, ei, er, ii, ir] {
                    assert!((0.0..=1.0 + 1e-15).contains(&p), "{a} {b} {dt}: {ee} {ei} {er} {ii} {ir}");
                }
                assert!((ee + ei + er - 1.0).abs() < 1e-14 && (ii + ir - 1.0).abs() < 1e-15, "{a} {b} {dt}");
            }
        }
    }

    #[test]
    fn small_probabilities_have_all_their_digits() {
        // Both within a second at 1e-12 a second: 1e-24 / 2. One slow and one fast: the slow one's.
        let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-11, "{found} {expected}");
        close(waiting(1e-12, 1e-12, 1.0).er, 0.5e-24);
        close(waiting(1e-12, 1e3, 1.0).er, 1e-12 * (1.0 - 1e-3));
        close(waiting(1e3, 1e-12, 1.0).er, 1e-12 * (1.0 - 1e-3));
        close(waiting(1e3, 1e-12, 1.0).ei, 1.0);
        close(waiting(1e-12, 1e3, 1e6).ei, 1e-15 * libm::exp(-1e-6));
        // Where the series ends: 1 - (b exp(-a) - a exp(-b)) / (b - a).
        close(waiting(0.3, 1.0, 1.0).er, 1.0 - (libm::exp(-0.3) - 0.3 * libm::exp(-1.0)) / 0.7);
        close(waiting(1.0, 1.0, 1.0).er, 1.0 - 2.0 * libm::exp(-1.0));
    }
}
