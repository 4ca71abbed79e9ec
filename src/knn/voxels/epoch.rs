//! An epoch's lists: a tile near a change at a time, then the remote lists that the change concerns.

use super::Scratch;
use super::far::{BESIDE, List};
use super::offsets::{LAST, Offsets, Ranks, count, count_before};
use super::rows::{Rows, is_remote};
use super::tiles::{Mask, Tiles, id};
use super::whole::near;
use super::window::Window;
use crate::knn::changes::ListChanges;
use crate::knn::isa::{Isa, Job};

/// The ranks around a voxel afterwards, and those that changed: the first 92 alone where the lists wanted, of a voxel that is or was a
/// node, have `k` members among them and what follows does not matter.
#[inline(always)]
fn around<I: Isa>(
    isa: I,
    (occupied, changed): (&Window, &Window),
    offsets: &Offsets,
    (x, bit): (usize, u32),
    k: usize,
    (is, was): (bool, bool),
) -> (Ranks, Ranks) {
    let ([low, high], [low_change, high_change]) = (occupied.inner(isa, x, bit), changed.inner(isa, x, bit));
    let enough = |low: u64, high: u64| (low.count_ones() + high.count_ones()) as usize >= k;
    if (enough(low, high) | !is) & (enough(low ^ low_change, high ^ high_change) | !was) {
        return ([low, high, 0, 0], [low_change, high_change, 0, 0]);
    }
    (occupied.ranks(offsets, x, bit), changed.ranks(offsets, x, bit))
}

/// So many changes are merged into a list; with more, it is quicker to search for it again.
const MERGED: usize = 12;

/// An epoch's lists.
pub(super) struct Epoch<'a> {
    pub(super) k: usize,
    pub(super) tiles: &'a mut Tiles,
    pub(super) rows: &'a mut Rows,
    pub(super) scratch: &'a mut Scratch,
    pub(super) changes: &'a mut ListChanges,
    pub(super) nearby: &'a [u32],
}

impl Job for Epoch<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        match self.k {
            ..=8 => self.work::<I, 8>(isa),
            9..=16 => self.work::<I, 16>(isa),
            17..=32 => self.work::<I, 32>(isa),
            _ => self.work::<I, 64>(isa),
        }
    }
}

impl Epoch<'_> {
    #[inline(always)]
    fn work<I: Isa, const R: usize>(mut self, isa: I) {
        self.changes.src.clear();
        self.changes.old.clear();
        self.changes.new.clear();
        self.scratch.search.forget();
        let offsets = Offsets::get();
        self.scratch.spans.clear();
        for &tile in self.nearby {
            self.scratch.spans.push((self.tiles.all[tile].key, self.changes.src.len()));
            self.tile::<I, R>(isa, offsets, tile);
        }
    }

    /// Works out the lists of a tile that is near a change.
    #[inline(always)]
    fn tile<I: Isa, const R: usize>(&mut self, isa: I, offsets: &Offsets, index: u32) {
        let k = self.k;
        let (origin, far) = (self.tiles.all[index].origin(), self.tiles.all[index].far);
        let (occupied, differs) = (self.tiles.occupied[index].0, self.tiles.changed[index].0);
        self.scratch.changed.load(isa, &self.tiles.changed_around(index));
        let touched = self.scratch.changed.touched();
        let concerned: Mask = std::array::from_fn(|x| (occupied[x] | differs[x]) & (touched[x] | far[x]));
        if concerned == [0; 8] {
            return;
        }
        self.scratch.occupied.load(isa, &self.tiles.occupied_around(index));
        let (mut still_far, mut changes_read) = (far, false);
        let old_rows = std::mem::take(&mut self.tiles.all[index].rows);
        let (mut next, mut rows) = (old_rows.iter().copied(), std::mem::take(&mut self.scratch.rows));
        rows.clear();
        for (x, bits) in concerned.into_iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                let set = |mask: &Mask| mask[x] >> bit & 1 == 1;
                let node = id(origin, x, bit);
                let is = set(&occupied);
                if let Some(row) = if set(&far) { next.next() } else { None } {
                    if is && !is_remote(self.rows.reach(row)) && !std::mem::replace(&mut changes_read, true) {
                        self.scratch.changes.changes_beside(self.tiles, index);
                    }
                    if is && self.stays_far::<I, R>(isa, index, node, row) {
                        rows.push(row);
                        continue;
                    }
                    if !is {
                        self.emit(node, Some(row), false);
                    }
                    self.rows.remove(row);
                    still_far[x] &= !(1 << bit);
                    continue;
                }
                let was = is != set(&differs);
                let (now, change) =
                    around(isa, (&self.scratch.occupied, &self.scratch.changed), offsets, (x, bit), k, (is, was));
                let full = is && count(&now) >= k;
                if is && was && count_before(&now, &change) >= k {
                    continue;
                }
                // The list changes: the old one first.
                self.changes.src.push(node);
                if was {
                    let before: Ranks = std::array::from_fn(|word| now[word] ^ change[word]);
                    near(&mut self.changes.old, offsets, node, &before, k);
                } else {
                    self.changes.old.push_row((&[], &[]));
                }
                if !is {
                    self.changes.new.push_row((&[], &[]));
                } else if full {
                    near(&mut self.changes.new, offsets, node, &now, k);
                } else {
                    self.scratch.search.run::<I, R>(isa, self.tiles, index, node, BESIDE);
                    let row = self.rows.add(node);
                    let list = &self.scratch.search.list;
                    self.rows.set(row, &list.dst, &list.d2);
                    self.changes.new.push_row(list.row());
                    still_far[x] |= 1 << bit;
                    rows.push(row);
                }
            }
        }
        let tile = &mut self.tiles.all[index];
        tile.far = still_far;
        tile.rows = old_rows;
        tile.rows.clear();
        tile.rows.extend_from_slice(&rows);
        self.scratch.rows = rows;
    }

    /// Brings a far list up to date, writing it out if it changed; false if it is not far any more.
    #[inline(always)]
    fn stays_far<I: Isa, const R: usize>(&mut self, isa: I, tile: u32, node: u64, row: u32) -> bool {
        let Scratch { changes, reached, search, .. } = &mut *self.scratch;
        let reach = self.rows.reach(row);
        reached.clear();
        if is_remote(reach) {
            self.rows.noted(row, reached);
        } else {
            changes.hits(isa, node, reach, reached);
        }
        if reached.is_empty() {
            return true;
        }
        if (reached.len() > MERGED && !is_remote(reach)) || !search.list.merge(self.rows.list(row), reached) {
            search.run::<I, R>(isa, self.tiles, tile, node, reach);
        }
        let (dst, d2) = search.list.row();
        if (dst, d2) != self.rows.list(row) {
            self.emit(node, Some(row), true);
        }
        let List { dst, d2, .. } = &self.scratch.search.list;
        if d2.get(self.k - 1).is_some_and(|d2| *d2 <= LAST as f32) {
            return false;
        }
        self.rows.set(row, dst, d2);
        true
    }

    /// Writes out the list of a row and what was found in its place.
    #[inline(always)]
    fn emit(&mut self, node: u64, row: Option<u32>, found: bool) {
        self.changes.src.push(node);
        self.changes.old.push_row(row.map_or((&[], &[]), |row| self.rows.list(row)));
        self.changes.new.push_row(if found { self.scratch.search.list.row() } else { (&[], &[]) });
    }
}
