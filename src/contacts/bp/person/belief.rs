//! What one person's weighed histories come to: its risk, the evidence, and who infected it.

use super::Room;
use crate::contacts::bp::course::{OUTSIDE, Shape};

/// What a person's histories come to.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::contacts::bp) struct Belief {
    /// Probability of being E or I at the as-of time.
    pub now: f64,
    /// log2 of the weight of all histories.
    pub evidence: f64,
}

impl Room {
    /// What the histories of a weighed person come to.
    pub fn belief(&mut self, shape: Shape) -> Belief {
        let (course, epochs) = (&self.course, self.epochs);
        let infected = |e: f64, i: f64, r: f64| if e + i > 0.0 { (e + i) / (e + i + r) } else { 0.0 };
        let share = course.step.last().map_or(0.0, |step| infected(0.0, step.ii, step.ir));
        let next = |tau: usize| if tau == 0 { 0 } else { self.epoch[tau - 1] + 1 };
        let (mut now, mut ever) = (0.0, 0.0);
        let windows = self.panels.len() - usize::from(shape.latent);
        for panel in &self.panels[..windows] {
            for (tau, d) in self.d[panel.offset..][..panel.len].iter().enumerate() {
                ever += d;
                if panel.v == epochs {
                    let [e, i, r] = course.start[tau];
                    now += d * if next(tau) == epochs { infected(e, i, r) } else { share };
                }
            }
        }
        if let Some(panel) = self.panels.get(windows) {
            let (mut still, mut all, mut reached) = (1.0, 1.0, epochs);
            let mut rest = 1.0;
            for tau in (0..panel.len).rev() {
                let [e, i, r] = course.start[tau];
                let d = self.d[panel.offset + tau];
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
                ever += d;
                now += d * if reached == epochs {
                    infected(e, i, r)
                } else {
                    let sum = e * all + r * rest;
                    if sum > 0.0 { e * still / sum } else { 0.0 }
                };
            }
        }
        let all = ever + self.never;
        Belief { now: now / all, evidence: libm::log2(all) - self.raised + self.course.scale }
    }

    /// The probability of having been infected at each slot's contact by its other end, to be called before [`Room::send`]; gives that
    /// of a history that the model excludes: infection from outside, a seed or none against a certain `prior`.
    pub fn infected_by(&mut self, prior: f64, weights: &mut Vec<f64>) -> f64 {
        let width = self.panels.len();
        let all = self.d.iter().sum::<f64>() + self.never;
        let seeds = self.panels.iter().map(|panel| self.d[panel.offset]).sum::<f64>();
        let mut excluded = if prior < OUTSIDE { seeds } else { 0.0 };
        if 1.0 - prior < OUTSIDE {
            excluded += all - seeds;
        }
        weights.clear();
        weights.resize(self.infects.len(), 0.0);
        for tau in 1..=self.stamps {
            let slots = &self.by_stamp[self.stamp_start[tau]..self.stamp_start[tau + 1]];
            self.row.clear();
            self.row.resize(width, OUTSIDE);
            for &slot in slots {
                let at = &self.at[slot * width..][..width];
                self.row.iter_mut().zip(at).for_each(|(sum, at)| *sum += self.infects[slot] * at);
            }
            let reached = self.panels.iter().zip(&self.row).filter(|(panel, _)| tau < panel.len);
            excluded += reached.map(|(panel, sum)| self.d[panel.offset + tau] * OUTSIDE / sum).sum::<f64>();
            for &slot in slots {
                let at = &self.at[slot * width..][..width];
                for ((panel, sum), at) in self.panels.iter().zip(&self.row).zip(at) {
                    if tau < panel.len {
                        weights[slot] += self.d[panel.offset + tau] * self.infects[slot] * at / sum;
                    }
                }
                weights[slot] /= all;
            }
        }
        excluded / all
    }
}
