//! Neighbour lists, all of one length.

use super::isa::{key_d2, key_id};

/// The nearest neighbours of many points, each list ordered by (squared distance, index).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeighborLists {
    /// Neighbours a list.
    pub k: usize,
    /// Their indices, `[points, k]` row-major.
    pub neighbor: Vec<u32>,
    /// Squared distances, `dx*dx + dy*dy + dz*dz` in f32 with no fused multiply-add, `[points, k]` row-major.
    pub d2: Vec<f32>,
}

impl NeighborLists {
    /// One point's neighbours and their squared distances.
    ///
    /// # Panics
    /// If there is no such point.
    pub fn row(&self, point: usize) -> (&[u32], &[f32]) {
        let row = point * self.k..(point + 1) * self.k;
        (&self.neighbor[row.clone()], &self.d2[row])
    }

    /// Makes room for `rows` lists of `k`, whatever they hold.
    pub(super) fn reset(&mut self, rows: usize, k: usize) {
        self.k = k;
        self.neighbor.resize(rows * k, 0);
        self.d2.resize(rows * k, 0.0);
    }

    /// Writes a list.
    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, keys: &[u64]) {
        let k = self.k;
        let dst = &mut self.neighbor[row * k..][..k];
        let d2 = &mut self.d2[row * k..][..k];
        for (i, &key) in keys[..k].iter().enumerate() {
            dst[i] = key_id(key);
            d2[i] = key_d2(key);
        }
    }
}
