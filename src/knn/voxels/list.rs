//! A far list in the making, and what becomes of one when voxels come and go.

use super::local::{self, Local};
use super::tiles::BESIDE;
use crate::knn::changes::IdLists;

/// A voxel that came or went, at its distance from a node.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Change {
    pub(super) d2: f32,
    pub(super) id: u64,
    pub(super) came: bool,
}

/// A list in the making.
pub(super) struct List {
    pub(super) k: usize,
    /// The most that are kept: more than are wanted, so that what goes can be made up for.
    pub(super) room: usize,
    pub(super) neighbor: Vec<u64>,
    pub(super) d2: Vec<f32>,
    /// Of one that ends beside the node's tile: all in keys, and nothing in columns.
    pub(super) keys: Vec<u32>,
}

impl List {
    pub(super) fn clear(&mut self) {
        self.neighbor.clear();
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
        ends.then(|| Local::of(node, &self.neighbor, &self.d2, BESIDE))
    }

    /// Appends the list.
    #[inline(always)]
    pub(super) fn push_to(&self, lists: &mut IdLists, node: u64) {
        if self.keys.is_empty() {
            lists.push_row(self.wanted());
        } else {
            local::push(lists, node, &self.keys[..self.k]);
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, dst: u64, d2: f32) {
        self.neighbor.push(dst);
        self.d2.push(d2);
    }

    /// The first `k` neighbours and squared distances of one that goes beyond the node's tiles.
    #[inline(always)]
    pub(super) fn wanted(&self) -> (&[u64], &[f32]) {
        let len = self.k.min(self.d2.len());
        (&self.neighbor[..len], &self.d2[..len])
    }

    /// What becomes of a list that has all up to its last; false if the voxels up to there do not suffice any more. One of less than `k` holds
    /// everything there is.
    #[inline(always)]
    pub(super) fn merge(&mut self, (dst, d2): (&[u64], &[f32]), changes: &[Change]) -> bool {
        let everything = dst.len() < self.k;
        let last = if everything { u128::MAX } else { dst.last().zip(d2.last()).map_or(0, |(id, d2)| order(*d2, *id)) };
        self.clear();
        self.neighbor.extend_from_slice(dst);
        self.d2.extend_from_slice(d2);
        for gone in changes.iter().filter(|change| !change.came) {
            if let Some(at) = self.neighbor.iter().position(|id| *id == gone.id) {
                self.neighbor.remove(at);
                self.d2.remove(at);
            }
        }
        for came in changes.iter().filter(|change| change.came) {
            let key = order(came.d2, came.id);
            if key < last {
                let before = |(id, d2): &(&u64, &f32)| order(**d2, **id) < key;
                let at = self.neighbor.iter().zip(&self.d2).take_while(before).count();
                self.neighbor.insert(at, came.id);
                self.d2.insert(at, came.d2);
            }
        }
        self.neighbor.truncate(self.room);
        self.d2.truncate(self.room);
        everything || self.neighbor.len() >= self.k
    }
}

/// A number for each neighbour that ascends as their order does.
#[inline(always)]
fn order(d2: f32, id: u64) -> u128 {
    u128::from(d2.to_bits()) << 64 | u128::from(id)
}
