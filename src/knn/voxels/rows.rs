//! Stored lists: of the nodes whose neighbours lie beyond the offsets with ranks. A tile knows the rows of its nodes.

use crate::knn::MAX_K;
use crate::knn::live::LiveTree;
use crate::knn::tree::Item;

use super::chunks::Chunks;
use super::list::{Change, List};
use super::local::Local;
use super::tiles::{BESIDE, voxel};
use crate::knn::changes::IdLists;
use crate::knn::isa::Isa;

/// Lists of up to `k`: local ones, and others by node.
pub(super) struct Rows {
    k: usize,
    /// The most that are kept of a list that is not local.
    room: usize,
    /// Local lists, so many lines each.
    local: Chunks<Line, 1024>,
    lines: u32,
    free_local: Vec<u32>,
    free: Vec<u32>,
    id: Vec<u64>,
    neighbor: Vec<u64>,
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
fn is_remote(reach: f32) -> bool {
    reach > BESIDE
}

/// Which rows' lists are local.
const LOCAL: u32 = 1 << 31;

/// Whether a row's list is local: it ends beside its node's tile.
#[inline(always)]
pub(super) fn is_local(row: u32) -> bool {
    row & LOCAL != 0
}

/// Places of a local list, for lists of up to `r`: whole lines, of which half of one or more are spare.
pub(super) const fn width(r: usize) -> usize {
    16 * (r / 16 + 1)
}

/// Places of a list that is not local: half are spare, or less if it is long.
pub(super) fn room(k: usize) -> usize {
    (2 * k.next_power_of_two().max(8)).min(MAX_K)
}

/// A line of the cache.
#[derive(Clone)]
#[repr(align(64))]
struct Line([u32; 16]);

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
            room: room(k),
            local: Chunks::new(Line([0; 16])),
            lines: (width(k.next_power_of_two().max(8)) / 16) as u32,
            free_local: Vec::new(),
            free: Vec::new(),
            id: Vec::new(),
            neighbor: Vec::new(),
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

    /// Neighbours and squared distances: all up to the last, more than the `k` that are wanted as long as there is room.
    #[inline(always)]
    pub(super) fn list(&self, row: u32) -> (&[u64], &[f32]) {
        let from = row as usize * self.room;
        let range = from..from + usize::from(self.len[row as usize]);
        (&self.neighbor[range.clone()], &self.d2[range])
    }

    /// The first `k` of a list.
    #[inline(always)]
    pub(super) fn wanted(&self, row: u32) -> (&[u64], &[f32]) {
        let (dst, d2) = self.list(row);
        let len = self.k.min(d2.len());
        (&dst[..len], &d2[..len])
    }

    /// A local list.
    #[inline(always)]
    pub(super) fn local<const W: usize>(&self, row: u32) -> Local<W> {
        let mut keys = [0; W];
        for (line, part) in (0..).zip(keys.chunks_exact_mut(16)) {
            part.copy_from_slice(&self.local[(row & !LOCAL) * self.lines + line].0);
        }
        Local::unpacked(keys)
    }

    /// Squared distance up to which a voxel that comes or goes changes a local list.
    #[inline(always)]
    pub(super) fn local_reach(&self, row: u32) -> f32 {
        let last = &self.local[(row & !LOCAL) * self.lines + self.lines - 1].0;
        (last[15] >> 8) as i32 as f32
    }

    /// Asks for the memory of a list.
    #[inline(always)]
    pub(super) fn ahead<I: Isa>(&self, isa: I, row: u32) {
        if is_local(row) {
            let first = (row & !LOCAL) * self.lines;
            (first..first + self.lines).for_each(|line| isa.prefetch(&self.local[line]));
        } else {
            isa.prefetch(&self.changed[row as usize]);
        }
    }

    /// Replaces a local list.
    #[inline(always)]
    pub(super) fn set_local<const W: usize>(&mut self, row: u32, list: &Local<W>) {
        for (line, part) in (0..).zip(list.packed().chunks_exact(16)) {
            self.local[(row & !LOCAL) * self.lines + line].0.copy_from_slice(part);
        }
    }

    /// Stores the list of a node in place of one that it had; returns the row.
    #[inline(always)]
    pub(super) fn store<const W: usize>(&mut self, old: Option<u32>, node: u64, list: &List) -> u32 {
        let local = list.local::<W>(node);
        let kept = old.filter(|row| is_local(*row) == local.is_some());
        if let Some(old) = old.filter(|_| kept.is_none()) {
            self.remove(old);
        }
        if let Some(local) = local {
            let row = kept.or_else(|| self.free_local.pop()).unwrap_or_else(|| {
                let row = self.local.len() as u32 / self.lines;
                for _ in 0..self.lines {
                    self.local.push(Line([0; 16]));
                }
                row | LOCAL
            });
            self.set_local(row, &local);
            row
        } else {
            let row = kept.unwrap_or_else(|| self.add(node));
            self.set(row, &list.neighbor, &list.d2);
            row
        }
    }

    /// Appends a list.
    #[inline(always)]
    pub(super) fn push<const W: usize>(&self, lists: &mut IdLists, node: u64, row: u32) {
        if is_local(row) {
            self.local::<W>(row).push(lists, node, self.k);
        } else {
            lists.push_row(self.wanted(row));
        }
    }

    /// [`Rows::push`] of lists of any length.
    #[inline(always)]
    pub(super) fn push_any(&self, lists: &mut IdLists, node: u64, row: u32) {
        match self.lines {
            1 => self.push::<16>(lists, node, row),
            2 => self.push::<32>(lists, node, row),
            3 => self.push::<48>(lists, node, row),
            _ => self.push::<80>(lists, node, row),
        }
    }

    /// A row for a node that has none.
    fn add(&mut self, id: u64) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| {
            self.id.push(0);
            self.neighbor.resize(self.neighbor.len() + self.room, 0);
            self.d2.resize(self.d2.len() + self.room, 0.0);
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
    fn set(&mut self, row: u32, dst: &[u64], d2: &[f32]) {
        let at = row as usize;
        self.neighbor[at * self.room..][..dst.len()].copy_from_slice(dst);
        self.d2[at * self.room..][..d2.len()].copy_from_slice(d2);
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
        if is_local(row) {
            self.free_local.push(row);
            return;
        }
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
        self.local.memory() + self.id.capacity() * 18 + self.neighbor.capacity() * 8 + self.d2.capacity() * 4
    }
}
