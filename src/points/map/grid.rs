//! The voxel grid of the world: `i = floor(world / voxel)` on each axis in f64, and an id that packs the three.
//!
//! `id = (ix + 2^20) << 42 | (iy + 2^20) << 21 | (iz + 2^20)`: ids ascend with (ix, iy, iz), and fit 63 bits.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Half of the indices of an axis: they run from −2^20 to 2^20 − 1.
const HALF: i64 = 1 << 20;
const BITS: u32 = 21;

/// Cubic voxels of one edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    voxel: f64,
}

impl Grid {
    /// Voxels of edge `voxel` (m).
    ///
    /// # Errors
    /// [`Error::Value`] unless it is a positive length.
    pub fn new(voxel: f64) -> Result<Grid, Error> {
        if voxel.is_finite() && voxel > 0.0 {
            return Ok(Grid { voxel });
        }
        Err(Error::Value { what: "voxel", found: voxel.to_string(), expected: "a positive length in metres".into() })
    }

    /// Edge of a voxel (m).
    pub fn voxel(self) -> f64 {
        self.voxel
    }

    /// The voxel that holds a point of the world (m); `None` beyond the grid's indices.
    ///
    /// ```
    /// let grid = thalweg::points::map::Grid::new(0.5)?;
    /// let id = grid.id([1.2, -0.1, 0.0]).expect("near the world's origin");
    /// assert_eq!(id, ((1 << 20) + 2) << 42 | ((1 << 20) - 1) << 21 | (1 << 20));
    /// assert_eq!((grid.position(id), grid.centre(id)), ([2.0, -1.0, 0.0], [1.25, -0.25, 0.25]));
    /// assert_eq!(grid.id([0.0, 0.0, 0.5 * f64::from(1 << 20)]), None);
    /// # Ok::<(), thalweg::Error>(())
    /// ```
    #[inline]
    pub fn id(self, world: [f64; 3]) -> Option<u64> {
        self.locate(world).map(|(id, _)| id)
    }

    /// [`Grid::id`], and where in its voxel the point is: 1/256 of the edge on each axis, rounded down.
    #[inline]
    pub(super) fn locate(self, world: [f64; 3]) -> Option<(u64, [u8; 3])> {
        let scaled = world.map(|v| v / self.voxel);
        let index = scaled.map(f64::floor);
        let inside = |v: f64| v >= -(HALF as f64) && v < HALF as f64;
        if !(inside(index[0]) && inside(index[1]) && inside(index[2])) {
            return None;
        }
        let [x, y, z] = index.map(|v| (v as i64 + HALF) as u64);
        let offset = std::array::from_fn(|axis| ((scaled[axis] - index[axis]) * 256.0) as u8);
        Some((x << (2 * BITS) | y << BITS | z, offset))
    }

    /// The index of a voxel on each axis, as the coordinates of its node: exact in f32.
    #[inline]
    pub fn position(self, id: u64) -> [f32; 3] {
        self.index(id).map(|i| i as f32)
    }

    /// The centre of a voxel in the world (m).
    pub fn centre(self, id: u64) -> [f64; 3] {
        self.index(id).map(|i| (i as f64 + 0.5) * self.voxel)
    }

    /// The column of the world that a voxel's centre lies in: `width` (m) wide, or as wide as a voxel where that is more.
    pub(super) fn column(self, id: u64, width: f64) -> u64 {
        let width = width.max(self.voxel);
        // Wider than a voxel, and so within the range of indices.
        let [x, y, _] = self.centre(id).map(|v| ((v / width).floor() as i64 + HALF) as u64);
        x << BITS | y
    }

    /// What a squared distance between indices is multiplied by to be one in m².
    pub fn d2_scale(self) -> f32 {
        (self.voxel * self.voxel) as f32
    }

    /// A place in a voxel, from `offset` (edges) off its lower corner, in the world (m).
    pub(super) fn place(self, id: u64, offset: [f64; 3]) -> [f64; 3] {
        let index = self.index(id);
        std::array::from_fn(|axis| (index[axis] as f64 + offset[axis]) * self.voxel)
    }

    fn index(self, id: u64) -> [i64; 3] {
        let axis = |shift: u32| (id >> shift & ((1 << BITS) - 1)) as i64 - HALF;
        [axis(2 * BITS), axis(BITS), axis(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_range_of_indices_packs_and_unpacks_and_no_more() {
        let grid = Grid::new(1.0).unwrap();
        let (low, high) = (-f64::from(1 << 20), f64::from(1 << 20) - 1.0);
        for index in [[low, low, low], [high, high, high], [low, 0.0, high], [-1.0, 0.0, 1.0]] {
            let id = grid.id(index).unwrap();
            assert!(id < 1 << 63);
            assert_eq!(grid.position(id).map(f64::from), index);
            assert_eq!(grid.id(grid.centre(id)), Some(id));
        }
        for beyond in [low - 1e-9, high + 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            for axis in 0..3 {
                let mut world = [0.0; 3];
                world[axis] = beyond;
                assert_eq!(grid.id(world), None, "{world:?}");
            }
        }
        for wrong in [0.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Grid::new(wrong).is_err());
        }
    }

    #[test]
    fn a_column_holds_the_voxels_above_each_other_within_its_width() {
        let column = |voxel: f64, world| {
            let grid = Grid::new(voxel).unwrap();
            grid.column(grid.id(world).unwrap(), 1.0)
        };
        let here = column(0.125, [-0.9, 3.1, 0.0]);
        assert_eq!(here, (HALF as u64 - 1) << BITS | (HALF as u64 + 3));
        assert_eq!(column(0.125, [-0.1, 3.9, 7.0]), here);
        assert_eq!(column(0.3, [-0.5, 3.5, -7.0]), here);
        assert!(column(0.125, [0.1, 3.1, 0.0]) != here && column(0.125, [-0.9, 4.1, 0.0]) != here);
        // Voxels of 4 m have columns of their own, out to the last.
        assert_eq!(column(4.0, [-0.9, 3.1, 0.0]), (HALF as u64 - 1) << BITS | HALF as u64);
        let far = 4.0 * (HALF as f64 - 0.5);
        assert_eq!(column(4.0, [far, -far, 0.0]), ((2 * HALF) as u64 - 1) << BITS);
    }
}
