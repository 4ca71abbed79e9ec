//! The origin of a run: what f64 coordinates lose before they become f32.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use thalweg::Frame;

/// What f64 coordinates lose before they become f32, the same for a whole run: clones share one origin.
///
/// The first frame with a finite point among its f64 coordinates decides: `origin = trunc(median / 1000) · 1000` on each axis (m), the
/// lower median (element (n − 1) / 2, sorted) over the points whose three coordinates are finite.
#[derive(Clone, Debug, Default)]
pub struct OriginRule(Arc<OnceLock<[f64; 3]>>);

impl OriginRule {
    /// An origin (m) decided beforehand.
    pub fn fixed(origin: [f64; 3]) -> OriginRule {
        OriginRule(Arc::new(OnceLock::from(origin)))
    }

    /// Decides on an origin (m), unless a frame has before.
    pub(crate) fn decide(&self, origin: [f64; 3]) {
        // One that is decided stays.
        let _ = self.0.set(origin);
    }

    /// The origin (m), once a frame has decided it.
    pub fn get(&self) -> Option<[f64; 3]> {
        self.0.get().copied()
    }

    /// The run's origin (m), decided by these coordinates (m), one slice an axis, if no frame has before. Coordinates without a finite point
    /// decide nothing: their origin is 0.
    pub fn of(&self, xyz: [&[f64]; 3]) -> [f64; 3] {
        let medians = || {
            let finite = |i: &usize| xyz.iter().all(|axis| axis[*i].is_finite());
            let points: Vec<usize> = (0..xyz[0].len()).filter(finite).collect();
            let median = |axis: &[f64]| lower_median(&mut points.iter().map(|&i| axis[i]).collect::<Vec<_>>());
            Ok::<_, Infallible>(median(xyz[0]).zip(median(xyz[1])).zip(median(xyz[2])).map(|((x, y), z)| [x, y, z]))
        };
        self.by(medians).unwrap_or_else(|never| match never {})
    }

    /// The run's origin (m); `medians` is asked if no frame has decided it, and says `None` if there is no finite point.
    pub(crate) fn by<E>(&self, medians: impl FnOnce() -> Result<Option<[f64; 3]>, E>) -> Result<[f64; 3], E> {
        if let Some(origin) = self.get() {
            return Ok(origin);
        }
        Ok(medians()?.map_or([0.0; 3], |medians| *self.0.get_or_init(|| medians.map(whole))))
    }
}

/// Whole kilometres (m), towards 0.
fn whole(median: f64) -> f64 {
    (median / 1000.0).trunc() * 1000.0 + 0.0
}

/// The origin (m) that a frame's points would have decided, had they come together; `None` without a finite point.
pub(crate) fn of_whole(frame: &Frame) -> Option<[f64; 3]> {
    let points: Vec<usize> = (0..frame.len()).filter(|&i| frame.is_finite(i)).collect();
    let mut origin = [0.0; 3];
    for (axis, column) in [&frame.x, &frame.y, &frame.z].into_iter().enumerate() {
        let mut values: Vec<f64> = points.iter().map(|&i| f64::from(column[i]) + frame.origin[axis]).collect();
        origin[axis] = whole(lower_median(&mut values)?);
    }
    Some(origin)
}

/// Element (n − 1) / 2 of the values in ascending order; `None` if there is none.
pub(crate) fn lower_median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_medians_decide_the_origin_of_all_clones() {
        let rule = OriginRule::default();
        let other = rule.clone();
        assert_eq!(rule.of([&[], &[], &[]]), [0.0; 3]);
        assert_eq!(rule.of([&[f64::NAN, 1e6], &[1e6, f64::INFINITY], &[1e6, 1e6]]), [0.0; 3]);
        assert_eq!(rule.get(), None, "no finite point decides");
        // Four finite points, one of them at 0 0 0: the lower median is the second of each axis, sorted.
        let x = [651_234.5, f64::NAN, 0.0, 653_000.0, 655_000.0];
        let y = [-1999.0, 9e9, 0.0, -999.0, -2500.0];
        let z = [-1.0, 0.0, 0.0, -1.0, -1.0];
        assert_eq!(rule.of([&x, &y, &z]), [651_000.0, -1000.0, 0.0]);
        assert_eq!(other.of([&[5000.0], &[5000.0], &[5000.0]]), [651_000.0, -1000.0, 0.0]);
        assert!(OriginRule::default().of([&[-1.0], &[-1.0], &[-1.0]])[0].is_sign_positive());
    }
}
