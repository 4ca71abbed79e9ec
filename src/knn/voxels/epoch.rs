//! An epoch's lists: a tile near a change at a time, then the remote lists that the change concerns.

use super::Scratch;
use super::local::Local;
use super::mask::Mask;
use super::offsets::{LAST, Offsets, Ranks, count, count_before};
use super::rows::{Rows, is_local, width};
use super::tiles::{Tiles, id};
use super::whole::near;
use super::window::{Window, count_inner, inner};
use crate::knn::changes::ListChanges;
use crate::knn::isa::{Isa, Job};

/// The ranks around a voxel afterwards, and those that changed: the first 92 alone where the lists wanted, of a voxel that is or was a
/// node, have `k` members among them and what follows does not matter. None if nothing changed so near, and the list ends there.
#[inline(always)]
fn around<I: Isa>(
    isa: I,
    (occupied, changed): (&Window, &Window),
    (x, bit): (usize, u32),
    k: usize,
    (is, was): (bool, bool),
) -> Option<(Ranks, Ranks)> {
    let (planes, changed_planes) = (occupied.planes(x, bit), changed.planes(x, bit));
    // The voxel itself is in the planes, so that it is no other than before.
    let untouched = changed_planes.iter().fold(0, |any, plane| any | plane) == 0;
    if untouched && count_inner(&planes) >= k {
        return None;
    }
    let ([low, high], [low_change, high_change]) = (inner(isa, &planes), inner(isa, &changed_planes));
    let enough = |low: u64, high: u64| (low.count_ones() + high.count_ones()) as usize >= k;
    if (enough(low, high) | !is) & (enough(low ^ low_change, high ^ high_change) | !was) {
        return Some(([low, high, 0, 0], [low_change, high_change, 0, 0]));
    }
    Some((occupied.ranks(isa, x, bit, [low, high]), changed.ranks(isa, x, bit, [low_change, high_change])))
}

/// So many changes are merged into a list; with more, it is quicker to search for it again.
const MERGED: usize = 24;

/// The squared distance that a list is expected to reach when it begins to be far: not far beyond the ranks.
const EXPECTED: f32 = 20.0;

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
            ..=8 => self.work::<I, 8, 16, { width(8) }>(isa),
            9..=16 => self.work::<I, 16, 32, { width(16) }>(isa),
            17..=32 => self.work::<I, 32, 64, { width(32) }>(isa),
            _ => self.work::<I, 64, 64, { width(64) }>(isa),
        }
    }
}

impl Epoch<'_> {
    #[inline(always)]
    fn work<I: Isa, const R: usize, const S: usize, const W: usize>(mut self, isa: I) {
        self.changes.src.clear();
        self.changes.old.clear();
        self.changes.new.clear();
        self.scratch.search.forget();
        let offsets = Offsets::get();
        self.scratch.spans.clear();
        for (at, &tile) in self.nearby.iter().enumerate() {
            self.ahead(isa, at);
            self.scratch.spans.push((self.tiles.notes[tile].key, self.changes.src.len()));
            self.tile::<I, R, S, W>(isa, offsets, tile);
        }
    }

    /// Asks for the memory of the tiles that come next: maps are larger than the cache, and tiles lie about in it.
    #[inline(always)]
    fn ahead<I: Isa>(&self, isa: I, at: usize) {
        if let Some(&tile) = self.nearby.get(at + 6) {
            self.tiles.ahead(isa, tile);
        }
        if let Some(&tile) = self.nearby.get(at + 4) {
            self.tiles.ahead_beside(isa, tile);
        }
        if let Some(&tile) = self.nearby.get(at + 2) {
            self.tiles.all[tile].rows.iter().for_each(|&row| self.rows.ahead(isa, row));
        }
    }

    /// Works out the lists of a tile that is near a change.
    #[inline(always)]
    fn tile<I: Isa, const R: usize, const S: usize, const W: usize>(&mut self, isa: I, offsets: &Offsets, index: u32) {
        let k = self.k;
        let (origin, far) = (self.tiles.origin(index), self.tiles.all[index].far);
        let (occupied, differs) = (self.tiles.occupied[index].0, self.tiles.changed[index].0);
        let touched = self.tiles.touched[self.tiles.notes[index].slot as usize].0;
        let concerned: Mask = std::array::from_fn(|x| (occupied[x] | differs[x]) & (touched[x] | far[x]));
        if concerned == [0; 8] {
            return;
        }
        // What is around those without a stored list.
        let bare: Mask = std::array::from_fn(|x| concerned[x] & !far[x]);
        if let Some(first) = bare.iter().position(|word| *word != 0) {
            let words = (first, bare.iter().rposition(|word| *word != 0).unwrap_or(first));
            self.scratch.changed.load_few(isa, &self.tiles.changed_around(index), words);
            self.scratch.occupied.load(isa, &self.tiles.occupied_around(index), words);
        }
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
                    let row = if !is {
                        self.changes.src.push(node);
                        self.rows.push::<W>(&mut self.changes.old, node, row);
                        self.changes.new.push_row((&[], &[]));
                        self.rows.remove(row);
                        None
                    } else if is_local(row) {
                        if !std::mem::replace(&mut changes_read, true) {
                            self.scratch.changes.changes_beside(self.tiles, index);
                        }
                        self.local::<I, R, S, W>(isa, index, node, row)
                    } else {
                        self.remote::<I, R, S, W>(isa, index, node, row)
                    };
                    match row {
                        Some(row) => rows.push(row),
                        None => still_far[x] &= !(1 << bit),
                    }
                    continue;
                }
                let was = is != set(&differs);
                let windows = (&self.scratch.occupied, &self.scratch.changed);
                let Some((now, change)) = around(isa, windows, (x, bit), k, (is, was)) else { continue };
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
                    self.scratch.search.run::<I, R, S>(isa, self.tiles, index, node, EXPECTED);
                    let list = &self.scratch.search.list;
                    list.push_to(&mut self.changes.new, node);
                    rows.push(self.rows.store::<W>(None, node, list));
                    still_far[x] |= 1 << bit;
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

    /// Brings a local list up to date, writing it out if it changed. Its row is returned, or None if it is not far any more.
    #[inline(always)]
    fn local<I: Isa, const R: usize, const S: usize, const W: usize>(
        &mut self,
        isa: I,
        tile: u32,
        node: u64,
        row: u32,
    ) -> Option<u32> {
        let Scratch { changes, hits_beside: hits, search, .. } = &mut *self.scratch;
        let reach = self.rows.local_reach(row);
        changes.hits(isa, node, reach, hits);
        if hits.came.is_empty() && hits.gone.is_empty() {
            return Some(row);
        }
        let (old, k) = (self.rows.local::<W>(row), self.k);
        if hits.came.len() + hits.gone.len() <= MERGED {
            let new = old.merge(isa, &hits.came, &hits.gone);
            if new.len >= k {
                if !new.same(&old, k) {
                    self.changes.src.push(node);
                    old.push(&mut self.changes.old, node, k);
                    new.push(&mut self.changes.new, node, k);
                }
                if new.d2(k - 1) <= LAST as u32 {
                    self.rows.remove(row);
                    return None;
                }
                self.rows.set_local(row, &new);
                return Some(row);
            }
        }
        search.run::<I, R, S>(isa, self.tiles, tile, node, old.d2(k - 1) as f32);
        let new = search.list.local::<W>(node);
        let changed = new.as_ref().is_none_or(|new| !new.same(&old, k));
        self.settle::<W>(node, row, new, changed)
    }

    /// [`Epoch::local`] of a list that goes beyond the 27 tiles.
    #[inline(always)]
    fn remote<I: Isa, const R: usize, const S: usize, const W: usize>(
        &mut self,
        isa: I,
        tile: u32,
        node: u64,
        row: u32,
    ) -> Option<u32> {
        let Scratch { reached, search, .. } = &mut *self.scratch;
        reached.clear();
        self.rows.noted(row, reached);
        if reached.is_empty() {
            return Some(row);
        }
        if !search.list.merge(self.rows.list(row), reached) {
            let last = self.rows.wanted(row).1.last().copied();
            search.run::<I, R, S>(isa, self.tiles, tile, node, last.unwrap_or(f32::INFINITY));
        }
        let new = search.list.local::<W>(node);
        let changed = new.is_some() || search.list.wanted() != self.rows.wanted(row);
        self.settle::<W>(node, row, new, changed)
    }

    /// Writes out the list found last if it changed, and stores it, unless it is `new`, local, and ends at a squared distance of ranks.
    #[inline(always)]
    fn settle<const W: usize>(&mut self, node: u64, row: u32, new: Option<Local<W>>, changed: bool) -> Option<u32> {
        if changed {
            self.changes.src.push(node);
            self.rows.push::<W>(&mut self.changes.old, node, row);
            self.scratch.search.list.push_to(&mut self.changes.new, node);
        }
        if new.is_some_and(|new| new.d2(self.k - 1) <= LAST as u32) {
            self.rows.remove(row);
            return None;
        }
        Some(self.rows.store::<W>(Some(row), node, &self.scratch.search.list))
    }
}
