//! Points in space, checked once.

use crate::Error;

/// Points as three columns of equal length, all coordinates finite.
#[derive(Clone, Copy, Debug)]
pub struct Points3<'a> {
    x: &'a [f32],
    y: &'a [f32],
    z: &'a [f32],
}

impl<'a> Points3<'a> {
    /// The most points that one index holds: an index must fit a `u32`, and the largest is no point's.
    pub const MAX_LEN: usize = u32::MAX as usize;

    /// Points from their coordinates, `[n]` each.
    ///
    /// # Errors
    /// [`Error::Value`] if the lengths differ, a coordinate is not finite (the message has its index), or there are more than
    /// [`Points3::MAX_LEN`] points.
    pub fn new(x: &'a [f32], y: &'a [f32], z: &'a [f32]) -> Result<Self, Error> {
        let wrong = |what, found, expected| Err(Error::Value { what, found, expected });
        if x.len() != y.len() || x.len() != z.len() {
            let found = format!("{}, {} and {}", x.len(), y.len(), z.len());
            return wrong("lengths of x, y and z", found, "one length".into());
        }
        if x.len() > Self::MAX_LEN {
            return wrong("points", x.len().to_string(), format!("up to {}", Self::MAX_LEN));
        }
        // One pass that the compiler can vectorise; where it fails, a second one finds the place.
        let finite = |column: &[f32]| column.iter().fold(true, |all, v| all & v.is_finite());
        if !(finite(x) && finite(y) && finite(z)) {
            let bad = (0..x.len()).find(|&i| !(x[i].is_finite() && y[i].is_finite() && z[i].is_finite()));
            let i = bad.unwrap_or_default();
            return wrong("point", format!("({}, {}, {}) at {i}", x[i], y[i], z[i]), "finite coordinates".into());
        }
        Ok(Points3 { x, y, z })
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// True without points.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// Coordinates of a point.
    ///
    /// # Panics
    /// If there is no such point.
    #[inline(always)]
    pub fn get(&self, i: usize) -> [f32; 3] {
        [self.x[i], self.y[i], self.z[i]]
    }
}
