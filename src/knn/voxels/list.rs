//! A far list in the making, and what becomes of one when voxels come and go.

use super::far::{BESIDE, Change};
use super::local::{self, Local};
use crate::knn::changes::IdLists;

/// A list in the making.
pub(super) struct List {
    pub(super) k: usize,
    pub(super) dst: Vec<u64>,
    pub(super) d2: Vec<f32>,
    /// Of one that ends beside the node's tile: all in keys, and nothing in columns.
    pub(super) keys: Vec<u32>,
}

impl List {
    pub(super) fn clear(&mut self) {
        self.dst.clear();
        self.d2.clear();
        self.keys.clear();
    }

    /// As it is stored if it ends beside its node's tile; None if it goes beyond.
    #[inline(always)]
    pub(super) fn local<const W: usize>(&self, node: u64) -> Option<Local<W>> {
        if !self.keys.is_empty() {
            return Some(Local::new(&self.keys));
        }
        let ends = self.d2.get(self.k - 1).is_some_and(|d2| *d2 <= BESIDE);
        ends.then(|| Local::of(node, &self.dst, &self.d2))
    }

    /// Appends the list.
    #[inline(always)]
    pub(super) fn push_to(&self, lists: &mut IdLists, node: u64) {
        if self.keys.is_empty() {
            lists.push_row((&self.dst, &self.d2));
        } else {
            local::push(lists, node, &self.keys[..self.k]);
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, dst: u64, d2: f32) {
        self.dst.push(dst);
        self.d2.push(d2);
    }

    /// Neighbours and squared distances.
    #[inline(always)]
    pub(super) fn row(&self) -> (&[u64], &[f32]) {
        (&self.dst, &self.d2)
    }

    /// What becomes of a list; false if the voxels up to its last do not suffice any more. One of less than `k` holds everything there is.
    /// The changes are put into another order.
    #[inline(always)]
    pub(super) fn merge(&mut self, (dst, d2): (&[u64], &[f32]), changes: &mut [Change]) -> bool {
        let everything = dst.len() < self.k;
        let last = if everything { u128::MAX } else { dst.last().zip(d2.last()).map_or(0, |(id, d2)| order(*d2, *id)) };
        // What came, ascending, takes the place of what went among the changes.
        let (mut came, mut gone) = (0, 0u64);
        for at in 0..changes.len() {
            let change = changes[at];
            if !change.came {
                for (at, id) in dst.iter().enumerate() {
                    gone |= u64::from(*id == change.id) << (at & 63);
                }
            } else if order(change.d2, change.id) < last {
                let mut to = came;
                while to > 0 && order(changes[to - 1].d2, changes[to - 1].id) > order(change.d2, change.id) {
                    changes[to] = changes[to - 1];
                    to -= 1;
                }
                changes[to] = change;
                came += 1;
            }
        }
        let len = self.k.min(dst.len() + came - gone.count_ones() as usize);
        if len < self.k && !everything {
            return false;
        }
        self.keys.clear();
        self.dst.resize(len, 0);
        self.d2.resize(len, 0.0);
        // Two ascending runs become one, without a branch that nobody can foresee.
        let (mut old, mut new) = ((!gone).trailing_zeros() as usize, 0);
        for (to, to_d2) in self.dst.iter_mut().zip(&mut self.d2) {
            let (id, d2) = if old < dst.len() { (dst[old], d2[old]) } else { (u64::MAX, f32::INFINITY) };
            let change = if new < came { changes[new] } else { Change { d2: f32::INFINITY, id: u64::MAX, came: true } };
            let is_old = order(d2, id) < order(change.d2, change.id);
            (*to, *to_d2) = if is_old { (id, d2) } else { (change.id, change.d2) };
            new += usize::from(!is_old);
            let next = (!gone >> 1 >> (old & 63)).trailing_zeros() as usize + 1;
            old += if is_old { next } else { 0 };
        }
        true
    }
}

/// A number for each neighbour that ascends as their order does.
#[inline(always)]
fn order(d2: f32, id: u64) -> u128 {
    u128::from(d2.to_bits()) << 64 | u128::from(id)
}
