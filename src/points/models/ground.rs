//! The ground around a sensor: how high it lies, and how much of what is seen lies on it.

use crate::layers::Positions;

/// What lies lowest around the sensor.
///
/// Mirrors `ground_level` of training/graph.py.
pub(super) struct Ground {
    /// The median of the lowest nodes of all columns of 1 m within 20 m of the sensor (m, in the sensor's frame); 0 without any.
    pub(super) height: f32,
    /// Share of these columns whose lowest node is within 0.5 m of that; 0 where there are fewer than 30 columns.
    pub(super) flatness: f64,
}

impl Ground {
    /// Reach (m) and columns of 1 m along a side.
    const REACH: f32 = 20.0;
    const SIDE: usize = 40;
    const FEWEST: usize = 30;
    /// The ground under KITTI's sensor (m), where none is found.
    const USUAL: f32 = -1.73;

    pub(super) fn of(nodes: Positions<'_>) -> Ground {
        let mut lowest = vec![f32::INFINITY; Self::SIDE * Self::SIDE];
        for ((&x, &y), &z) in nodes.x.iter().zip(nodes.y).zip(nodes.z) {
            if x * x + y * y < Self::REACH * Self::REACH {
                let place = ((x + Self::REACH) as usize).min(Self::SIDE - 1) * Self::SIDE
                    + ((y + Self::REACH) as usize).min(Self::SIDE - 1);
                lowest[place] = lowest[place].min(z);
            }
        }
        lowest.retain(|z| z.is_finite());
        if lowest.is_empty() {
            return Ground { height: 0.0, flatness: 0.0 };
        }
        let middle = lowest.len() / 2;
        let height = *lowest.select_nth_unstable_by(middle, f32::total_cmp).1;
        let flat = lowest.iter().filter(|z| (f64::from(**z) - f64::from(height)).abs() < 0.5).count();
        let flatness = if lowest.len() < Self::FEWEST { 0.0 } else { flat as f64 / lowest.len() as f64 };
        Ground { height, flatness }
    }

    /// The height to measure from (m): the usual one where half of the columns are not flat.
    pub(super) fn level(&self) -> f32 {
        if self.flatness >= 0.5 { self.height } else { Self::USUAL }
    }
}
