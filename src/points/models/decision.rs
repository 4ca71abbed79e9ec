//! From logits to a class and the probability of that class.

use super::graph_unet::Config;
use crate::layers::Matrix;

/// (index of the class, its probability) for every row of `logits` `[nodes, classes]`.
///
/// Probabilities are softmax(logits / temperature), `exp` from `libm`. Ties go to the class that stands first.
pub(super) fn decide(logits: &Matrix, config: &Config, groups: Option<&[Vec<usize>]>) -> Vec<(u8, f32)> {
    let inverse = 1.0 / config.temperature;
    let mut p = vec![0f32; logits.cols()];
    (0..logits.rows())
        .map(|i| {
            let row = logits.row(i);
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (p, &logit) in p.iter_mut().zip(row) {
                let e = libm::expf((logit - top) * inverse);
                *p = if e.is_finite() { e } else { 0.0 };
                sum += *p;
            }
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
            let share = if sum > 0.0 { p[class] / sum } else { 1.0 / logits.cols() as f32 };
            (class as u8, share)
        })
        .collect()
}
