//! A frame: the points that a sensor delivered together, as struct-of-arrays columns from the reader to the kernel.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::report::Dropped;

/// One frame of points. Every column has one entry per point, in the order in which the points were read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Frame {
    /// The input's own frame number, else the position from 0 in name order.
    pub id: i64,
    /// Event time, in nanoseconds, where the input has one.
    pub time_ns: Option<i64>,
    /// Coordinates in metres, less [`Frame::origin`]; may hold non-finite values, which no graph sees.
    pub x: Vec<f32>,
    /// See [`Frame::x`].
    pub y: Vec<f32>,
    /// See [`Frame::x`].
    pub z: Vec<f32>,
    /// Reflectivity scaled to 0–1, where the format defines that scale; `None` where there is none to trust.
    pub intensity: Option<Vec<f32>>,
    /// Return number and number of returns of each point's pulse.
    pub returns: Option<Returns>,
    /// Other columns by name, values as they were read, such as `doppler` (m/s).
    pub columns: BTreeMap<Arc<str>, Vec<f32>>,
    /// The labels found beside the input.
    pub truth: Option<Truth>,
    /// Where the sensor stood.
    pub pose: Option<Pose>,
    /// What was subtracted from f64 coordinates before they became f32 (m).
    pub origin: [f64; 3],
    /// The file that the frame came from.
    pub path: Option<Arc<Path>>,
    /// What the reader dropped while reading this frame, by reason (`malformed`, …).
    pub dropped: BTreeMap<Cow<'static, str>, Dropped>,
    /// True for a frame that is read again for the state that stages retain. What it gives was written by a run before this one, so a stage
    /// may give less for it.
    pub again: bool,
}

/// Return number and number of returns, one entry per point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returns {
    /// 1 = first return.
    pub number: Vec<u8>,
    /// Returns of the pulse.
    pub count: Vec<u8>,
}

/// Labels beside the input, one entry per point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// SemanticKITTI train id (0 = ignored) or ASPRS code.
    pub class: Vec<u8>,
    /// Object number within the recording, 0 = none.
    pub instance: Vec<u32>,
}

/// A rigid transform `world_from_sensor`, row-major `[3, 4]`, metres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pose(pub [[f64; 4]; 3]);

impl Pose {
    /// The transform that moves nothing.
    pub const IDENTITY: Pose = Pose([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);

    /// `self · other`: first `other`, then `self`. Sums run left to right, without fused multiply-add.
    pub fn then_after(&self, other: &Pose) -> Pose {
        let (a, b) = (&self.0, &other.0);
        let mut out = [[0.0; 4]; 3];
        for (row, a) in out.iter_mut().zip(a) {
            for (column, cell) in row.iter_mut().enumerate() {
                *cell = a[0] * b[0][column] + a[1] * b[1][column] + a[2] * b[2][column];
            }
            row[3] += a[3];
        }
        Pose(out)
    }

    /// The point `p` (m) carried by the transform, in f64, sums left to right, without fused multiply-add.
    pub fn apply(&self, p: [f64; 3]) -> [f64; 3] {
        let row = |r: &[f64; 4]| r[0] * p[0] + r[1] * p[1] + r[2] * p[2] + r[3];
        [row(&self.0[0]), row(&self.0[1]), row(&self.0[2])]
    }

    /// The inverse of a rigid transform: `[Rᵀ | −Rᵀ t]`.
    pub fn inverse(&self) -> Pose {
        let m = &self.0;
        let mut out = [[0.0; 4]; 3];
        for (i, row) in out.iter_mut().enumerate() {
            for j in 0..3 {
                row[j] = m[j][i];
            }
            row[3] = -(m[0][i] * m[0][3] + m[1][i] * m[1][3] + m[2][i] * m[2][3]);
        }
        Pose(out)
    }
}

impl Frame {
    /// How messages call it: its number, and its file where it has one.
    pub fn name(&self) -> String {
        let path = self.path.as_ref().map_or(String::new(), |path| format!(" ({})", path.display()));
        format!("frame {}{path}", self.id)
    }

    /// Checks that every column has one entry a point, and that a point's index fits into 32 bits.
    ///
    /// # Errors
    /// [`Error::Shape`] with the frame, the column, its length and that of `x`.
    pub fn check(&self) -> Result<(), Error> {
        let points = self.len();
        let (returns, truth) = (self.returns.as_ref(), self.truth.as_ref());
        let columns = [
            ("y", Some(self.y.len())),
            ("z", Some(self.z.len())),
            ("intensity", self.intensity.as_ref().map(Vec::len)),
            ("return number", returns.map(|r| r.number.len())),
            ("number of returns", returns.map(|r| r.count.len())),
            ("true class", truth.map(|t| t.class.len())),
            ("true instance", truth.map(|t| t.instance.len())),
        ];
        let more = self.columns.iter().map(|(name, values)| (&**name, Some(values.len())));
        for (column, found) in columns.into_iter().chain(more) {
            if let Some(found) = found.filter(|found| *found != points) {
                let (found, expected) = (format!("{found} entries"), format!("{points} as in column x"));
                return Err(Error::Shape { what: format!("{}: column {column}", self.name()), found, expected });
            }
        }
        if points >= u32::MAX as usize {
            let (found, expected) = (format!("{points} points"), format!("fewer than {}", u32::MAX));
            return Err(Error::Shape { what: self.name(), found, expected });
        }
        Ok(())
    }

    /// Number of points read.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// True if the frame holds no point.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// True if all three coordinates of the point are finite.
    pub fn is_finite(&self, point: usize) -> bool {
        self.x[point].is_finite() && self.y[point].is_finite() && self.z[point].is_finite()
    }

    /// Number of points with all coordinates finite.
    pub fn finite(&self) -> usize {
        (0..self.len()).filter(|&i| self.is_finite(i)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_undoes_a_rotation_and_a_shift() {
        let quarter = Pose([[0.0, -1.0, 0.0, 3.0], [1.0, 0.0, 0.0, -2.0], [0.0, 0.0, 1.0, 0.5]]);
        assert_eq!(quarter.apply([1.0, 0.0, 0.0]), [3.0, -1.0, 0.5]);
        assert_eq!(quarter.inverse().apply([3.0, -1.0, 0.5]), [1.0, 0.0, 0.0]);
        assert_eq!(quarter.inverse().then_after(&quarter), Pose::IDENTITY);
    }
}
