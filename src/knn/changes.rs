//! What an epoch did to the lists.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Lists of different lengths: neighbours by (squared distance, id).
///
/// Two are equal if their rows are, wherever these stand in memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdLists {
    /// Where each list is in `dst` and `d2`.
    rows: Vec<Range<usize>>,
    /// The first `used` places hold lists; what is behind them is left from before, so that it need not be cleared to be written.
    used: usize,
    neighbor: Vec<u64>,
    d2: Vec<f32>,
    /// Room for the rows in another order: what was large once is not given back, which would be paid for by the next epoch.
    spare: Vec<Range<usize>>,
}

impl PartialEq for IdLists {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|i| self.row(i) == other.row(i))
    }
}

impl IdLists {
    /// Number of lists.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without lists.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Neighbours of all lists together.
    pub fn edges(&self) -> usize {
        self.rows.iter().map(Range::len).sum()
    }

    /// Neighbours and squared distances of a list.
    ///
    /// # Panics
    /// If there is no such list.
    pub fn row(&self, i: usize) -> (&[u64], &[f32]) {
        let row = self.rows[i].clone();
        (&self.neighbor[row.clone()], &self.d2[row])
    }

    /// Multiplies all squared distances: those between voxel indices become square metres.
    pub fn scale(&mut self, by: f32) {
        self.d2[..self.used].iter_mut().for_each(|d2| *d2 *= by);
    }

    /// Makes room for so many lists and neighbours more.
    pub(super) fn reserve(&mut self, lists: usize, edges: usize) {
        self.rows.reserve(lists);
        self.neighbor.reserve(edges);
        self.d2.reserve(edges);
    }

    /// Forgets all lists, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.used = 0;
    }

    /// Appends a list.
    #[inline]
    pub(crate) fn push_row(&mut self, (dst, d2): (&[u64], &[f32])) {
        let (to, to_d2) = self.push_blank(d2.len());
        to.copy_from_slice(dst);
        to_d2.copy_from_slice(d2);
    }

    /// Appends a list of `len` neighbours that are still to be written.
    #[inline(always)]
    pub(super) fn push_blank(&mut self, len: usize) -> (&mut [u64], &mut [f32]) {
        let row = self.used..self.used + len;
        if self.neighbor.len() < row.end {
            self.grow(row.end);
        }
        self.used = row.end;
        self.rows.push(row.clone());
        (&mut self.neighbor[row.clone()], &mut self.d2[row])
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        let len = self.neighbor.capacity().max(end);
        self.neighbor.resize(len, 0);
        self.d2.resize(len, 0.0);
    }

    /// Puts the lists into another order, or leaves some out; none is moved in memory.
    pub(super) fn arrange(&mut self, order: impl Iterator<Item = usize>) {
        self.spare.clear();
        self.spare.extend(order.map(|row| self.rows[row].clone()));
        std::mem::swap(&mut self.rows, &mut self.spare);
    }
}

/// The nodes whose lists differ, bit for bit, from those before the epoch, ascending by id. A node that came has an empty old list, one
/// that went an empty new one. A node is not named whose list is empty before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListChanges {
    /// The nodes.
    pub src: Vec<u64>,
    /// Their lists before `[src]`.
    pub old: IdLists,
    /// Their lists after `[src]`.
    pub new: IdLists,
}

impl ListChanges {
    /// Whether a list is empty before and after.
    pub(super) fn is_empty(&self, row: usize) -> bool {
        self.old.rows[row].is_empty() && self.new.rows[row].is_empty()
    }

    /// Puts the nodes into another order, or leaves some out; `spare` is room for it.
    pub(super) fn arrange(&mut self, order: &[u32], spare: &mut Vec<u64>) {
        spare.clear();
        spare.extend(order.iter().map(|&row| self.src[row as usize]));
        std::mem::swap(&mut self.src, spare);
        self.old.arrange(order.iter().map(|&row| row as usize));
        self.new.arrange(order.iter().map(|&row| row as usize));
    }
}
