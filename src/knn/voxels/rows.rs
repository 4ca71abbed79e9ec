//! Stored lists: of the nodes whose neighbours lie beyond the offsets with ranks. A tile knows the rows of its nodes.

use crate::knn::live::LiveTree;
use crate::knn::tree::Item;

use super::far::{BESIDE, Change};
use super::tiles::voxel;

/// Lists of up to `k`, by node.
pub(super) struct Rows {
    k: usize,
    free: Vec<u32>,
    id: Vec<u64>,
    dst: Vec<u64>,
    d2: Vec<f32>,
    len: Vec<u8>,
    /// Squared distance up to which a voxel that comes or goes may change the list.
    reach: Vec<f32>,
    /// The last of what changed within the reach of a remote list in this epoch, a place in [`Rows::changes`] that knows the one before.
    changed: Vec<u32>,
    changes: Vec<(Change, u32)>,
    /// In [`Rows::remote`].
    is_remote: Vec<bool>,
    /// Nodes whose reach goes beyond the tiles around them, findable by what they reach.
    pub(super) remote: LiveTree,
    waiting: Vec<Item<u32>>,
}

/// Whether a list is in [`Rows::remote`] by what it reaches.
#[inline(always)]
pub(super) fn is_remote(reach: f32) -> bool {
    reach > BESIDE
}

/// The place of no change.
const NONE: u32 = u32::MAX;

/// Coordinates of a voxel as the distance takes them.
#[inline(always)]
pub(super) fn position(id: u64) -> [f32; 3] {
    voxel(id).map(|v| v as f32)
}

impl Rows {
    pub(super) fn new(k: usize) -> Self {
        Rows {
            k,
            free: Vec::new(),
            id: Vec::new(),
            dst: Vec::new(),
            d2: Vec::new(),
            len: Vec::new(),
            reach: Vec::new(),
            changed: Vec::new(),
            changes: Vec::new(),
            is_remote: Vec::new(),
            remote: LiveTree::new(),
            waiting: Vec::new(),
        }
    }

    /// The node of a row.
    pub(super) fn node(&self, row: u32) -> u64 {
        self.id[row as usize]
    }

    /// Neighbours and squared distances.
    #[inline(always)]
    pub(super) fn list(&self, row: u32) -> (&[u64], &[f32]) {
        let from = row as usize * self.k;
        let range = from..from + usize::from(self.len[row as usize]);
        (&self.dst[range.clone()], &self.d2[range])
    }

    /// Squared distance up to which a voxel that comes or goes may change the list.
    pub(super) fn reach(&self, row: u32) -> f32 {
        self.reach[row as usize]
    }

    /// A row for a node that has none.
    pub(super) fn add(&mut self, id: u64) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| {
            self.id.push(0);
            self.dst.resize(self.dst.len() + self.k, 0);
            self.d2.resize(self.d2.len() + self.k, 0.0);
            self.len.push(0);
            self.reach.push(f32::INFINITY);
            self.changed.push(NONE);
            self.is_remote.push(false);
            self.id.len() as u32 - 1
        });
        self.id[row as usize] = id;
        row
    }

    /// Replaces a list; one that is not full reaches everywhere.
    pub(super) fn set(&mut self, row: u32, dst: &[u64], d2: &[f32]) {
        let at = row as usize;
        self.dst[at * self.k..][..dst.len()].copy_from_slice(dst);
        self.d2[at * self.k..][..d2.len()].copy_from_slice(d2);
        self.len[at] = d2.len() as u8;
        let reach = if d2.len() < self.k { f32::INFINITY } else { d2[d2.len() - 1] };
        let remote = is_remote(reach);
        if remote && self.is_remote[at] && reach != self.reach[at] && self.remote.holds(row) {
            self.remote.set_reach(row, reach);
        }
        self.reach[at] = reach;
        if remote != self.is_remote[at] {
            self.is_remote[at] = remote;
            if remote {
                self.waiting.push(Item { p: position(self.id[at]), id: row, tag: row });
            } else {
                self.leave(row);
            }
        }
    }

    /// Gives a row back.
    pub(super) fn remove(&mut self, row: u32) {
        self.changed[row as usize] = NONE;
        if std::mem::take(&mut self.is_remote[row as usize]) {
            self.leave(row);
        }
        self.free.push(row);
    }

    /// Notes a change within the reach of a remote list; true if it is the first.
    pub(super) fn note(&mut self, row: u32, change: Change) -> bool {
        let last = std::mem::replace(&mut self.changed[row as usize], self.changes.len() as u32);
        self.changes.push((change, last));
        last == NONE
    }

    /// Takes out what changed within the reach of a remote list, in no order.
    pub(super) fn noted(&mut self, row: u32, out: &mut Vec<Change>) {
        let mut at = std::mem::replace(&mut self.changed[row as usize], NONE);
        while let Some(&(change, before)) = self.changes.get(at as usize) {
            out.push(change);
            at = before;
        }
    }

    fn leave(&mut self, row: u32) {
        if self.remote.holds(row) {
            self.remote.remove(row);
        }
    }

    /// Brings the index of remote nodes up to date.
    pub(super) fn settle(&mut self) {
        self.changes.clear();
        let is_remote = &self.is_remote;
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|item| is_remote[item.tag as usize] && !self.remote.holds(item.tag));
        // A row that was given back and taken again may wait twice.
        waiting.sort_unstable_by_key(|item| item.tag);
        waiting.dedup_by_key(|item| item.tag);
        waiting.iter_mut().for_each(|item| item.p = position(self.id[item.tag as usize]));
        self.remote.insert(&waiting);
        for item in &waiting {
            self.remote.set_reach(item.tag, self.reach[item.tag as usize]);
        }
        waiting.clear();
        self.waiting = waiting;
        self.remote.settle();
    }

    /// Bytes held, the index of remote nodes left out.
    pub(super) fn memory(&self) -> usize {
        self.id.capacity() * 18 + self.dst.capacity() * 8 + self.d2.capacity() * 4
    }
}
