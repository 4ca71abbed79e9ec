//! From logits to a class and the probability of that class.

use super::graph_unet::Config;
use crate::layers::Matrix;

/// What was decided of each node.
pub(super) struct Decided<'a> {
    logits: &'a Matrix,
    inverse: f32,
    /// Index of the class.
    pub(super) class: Vec<u8>,
    /// Its probability.
    pub(super) share: Vec<f32>,
}

impl Decided<'_> {
    /// Probabilities of all classes at a node: softmax(logits / temperature), `exp` from `libm`.
    pub(super) fn probabilities(&self, node: usize, p: &mut [f32]) {
        let sum = weights(self.logits.row(node), self.inverse, p);
        let classes = p.len() as f32;
        p.iter_mut().for_each(|p| *p = if sum > 0.0 { *p / sum } else { 1.0 / classes });
    }
}

/// The numerators of the softmax, and their sum.
fn weights(row: &[f32], inverse: f32, p: &mut [f32]) -> f32 {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (p, &logit) in p.iter_mut().zip(row) {
        let e = libm::expf((logit - top) * inverse);
        *p = if e.is_finite() { e } else { 0.0 };
        sum += *p;
    }
    sum
}

/// The class of every row of `logits` `[nodes, classes]`. Ties go to the class that stands first.
pub(super) fn decide<'a>(logits: &'a Matrix, config: &Config, groups: Option<&[Vec<usize>]>) -> Decided<'a> {
    let inverse = 1.0 / config.temperature;
    let mut p = vec![0f32; logits.cols()];
    let (mut classes, mut shares) = (Vec::with_capacity(logits.rows()), Vec::with_capacity(logits.rows()));
    for i in 0..logits.rows() {
        let sum = weights(logits.row(i), inverse, &mut p);
        let first_best = |values: &mut dyn Iterator<Item = (usize, f32)>| {
            values.fold((0, f32::NEG_INFINITY), |best, (c, v)| if v > best.1 { (c, v) } else { best }).0
        };
        let class = match groups {
            None => first_best(&mut p.iter().copied().enumerate()),
            Some(groups) => {
                let mass = |group: &[usize]| group.iter().map(|&c| p[c]).sum::<f32>();
                let group = first_best(&mut groups.iter().map(|group| mass(group)).enumerate());
                first_best(&mut groups[group].iter().map(|&c| (c, p[c])))
            }
        };
        classes.push(class as u8);
        shares.push(if sum > 0.0 { p[class] / sum } else { 1.0 / logits.cols() as f32 });
    }
    Decided { logits, inverse, class: classes, share: shares }
}
