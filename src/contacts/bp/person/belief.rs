//! What one person's weighed histories come to: its risk, the evidence, and who infected it.

use super::{Room, total};
use crate::contacts::bp::course::{OUTSIDE, QUAD, Shape, Weights};

/// What a person's histories come to.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::contacts::bp) struct Belief {
    /// Probability of being E or I at the as-of time.
    pub now: f64,
    /// The weight of all histories, up to a scale, and its log2.
    pub all: f64,
    pub evidence: f64,
}

impl<const Q: usize> Room<Q> {
    /// What the histories of a weighed person come to.
    pub fn belief(&self, shape: Shape, course: Weights) -> Belief {
        let epochs = course.step.len();
        let infected = |e: f64, i: f64, r: f64| if e + i > 0.0 { (e + i) / (e + i + r) } else { 0.0 };
        let share = course.step.last().map_or(0.0, |step| infected(0.0, step.ii, step.ir));
        let next = |tau: usize| if tau == 0 { 0 } else { self.epoch[tau - 1] + 1 };
        let (mut now, mut ever) = (0.0, 0.0);
        for (number, window) in self.windows.each.iter().enumerate() {
            let weight =
                |tau: usize| self.d[number / (Q * QUAD) * (self.stamps + 1) + tau].as_flattened()[number % (Q * QUAD)];
            if !(shape.latent && window.u == epochs) {
                for tau in 0..=self.stamps {
                    ever += weight(tau);
                    if window.v == epochs {
                        let [e, i, r] = course.start[tau];
                        now += weight(tau) * if next(tau) == epochs { infected(e, i, r) } else { share };
                    }
                }
                continue;
            }
            let (mut still, mut all, mut reached) = (1.0, 1.0, epochs);
            let mut rest = 1.0;
            for tau in (0..=self.stamps).rev() {
                let [e, i, r] = course.start[tau];
                while reached > next(tau) {
                    reached -= 1;
                    let step = &course.step[reached];
                    if reached + 1 == epochs {
                        (still, all) = (step.ee + step.ei, step.ee + step.ei + step.er);
                    } else {
                        (still, all) = (step.ee * still, step.ee * all + step.er * rest);
                    }
                    rest *= step.rr;
                }
                ever += weight(tau);
                now += weight(tau)
                    * if reached == epochs {
                        infected(e, i, r)
                    } else {
                        let sum = e * all + r * rest;
                        if sum > 0.0 { e * still / sum } else { 0.0 }
                    };
            }
        }
        let all = ever + self.never;
        Belief { now: (now / all).clamp(0.0, 1.0), all, evidence: libm::log2(all) - self.raised + course.scale }
    }

    /// log2 of what the person's pairs gain by what is said in both directions, its half of each, once messages are sent.
    pub fn shared(&self, belief: &Belief) -> f64 {
        self.without.iter().map(|without| 0.5 * libm::log2(belief.all / without)).sum()
    }

    /// The probability of having been infected at each slot's contact by its other end; gives that of a history that the model excludes:
    /// infection from outside, a seed or none against a certain `prior`.
    pub fn infected_by(&self, shape: Shape, prior: f64, weights: &mut Vec<f64>) -> f64 {
        let (slots, rows, strips) = (self.owner.len(), self.stamps + 1, self.windows.strips);
        let all = self.d.as_flattened().as_flattened().iter().sum::<f64>() + self.never;
        let seeds = (0..strips).map(|strip| total(&self.d[strip * rows])).sum::<f64>();
        let mut excluded = if prior < OUTSIDE { seeds } else { 0.0 };
        if 1.0 - prior < OUTSIDE {
            excluded += all - seeds;
        }
        weights.clear();
        weights.resize(slots, 0.0);
        for strip in 0..strips {
            let inverse = |slot: usize| match shape.latent {
                true => &self.between[strip * (slots + self.arcs.len()) + slot + self.owner[slot]],
                false => &self.at[strip * slots + slot],
            };
            for tau in 1..rows {
                let met = &self.by_stamp[self.stamp_start[tau]..self.stamp_start[tau + 1]];
                let mut share = [[OUTSIDE; QUAD]; Q];
                for &slot in met {
                    share
                        .as_flattened_mut()
                        .iter_mut()
                        .zip(inverse(slot).as_flattened())
                        .for_each(|(sum, inverse)| *sum += self.inbox[slot].infects * inverse);
                }
                share
                    .as_flattened_mut()
                    .iter_mut()
                    .zip(self.d[strip * rows + tau].as_flattened())
                    .for_each(|(share, d)| *share = d / *share);
                excluded += total(&share) * OUTSIDE;
                for &slot in met {
                    let by = share
                        .as_flattened()
                        .iter()
                        .zip(inverse(slot).as_flattened())
                        .map(|(share, inverse)| share * inverse);
                    weights[slot] += by.sum::<f64>() * self.inbox[slot].infects;
                }
            }
        }
        weights.iter_mut().for_each(|weight| *weight /= all);
        excluded / all
    }
}
