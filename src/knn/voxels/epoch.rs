//! An epoch's lists: a tile near a change at a time, then the remote lists that the change concerns.

use super::Scratch;
use super::far::BESIDE;
use super::offsets::{Offsets, Ranks, count, count_before};
use super::rows::Rows;
use super::tiles::{Mask, Tiles, Window, id};
use super::whole::near;
use crate::knn::changes::ListChanges;
use crate::knn::isa::{Isa, Job};

/// The ranks around a voxel afterwards, and those that changed: the first word alone where the lists wanted, of a voxel that is or was a
/// node, have `k` members in it and what follows does not matter.
#[inline(always)]
fn around(
    (occupied, changed): (&Window, &Window),
    offsets: &Offsets,
    x: usize,
    bit: u32,
    k: usize,
    is: bool,
    was: bool,
) -> (Ranks, Ranks) {
    let (now, change) = (occupied.inner(offsets, x, bit), changed.inner(offsets, x, bit));
    let enough = |ranks: u64| ranks.count_ones() as usize >= k;
    if (enough(now) || !is) && (enough(now ^ change) || !was) {
        return ([now, 0, 0, 0], [change, 0, 0, 0]);
    }
    (occupied.ranks(offsets, x, bit), changed.ranks(offsets, x, bit))
}

/// An epoch's lists.
pub(super) struct Epoch<'a> {
    pub(super) k: usize,
    pub(super) tiles: &'a mut Tiles,
    pub(super) rows: &'a mut Rows,
    pub(super) scratch: &'a mut Scratch,
    pub(super) changes: &'a mut ListChanges,
    pub(super) nearby: &'a [(u32, u32)],
    pub(super) remote: &'a [u32],
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
        for sides in self.nearby.chunk_by(|a, b| a.0 == b.0) {
            self.tile::<I, R>(isa, offsets, sides[0].0, sides);
        }
        // What is remote and near a change was looked at with its tile, as were rows that have another node by now.
        let mut rest: Vec<(u32, u32)> = Vec::new();
        for &row in self.remote {
            if let Some((tile, ..)) = self.tiles.find(self.rows.node(row))
                && self.nearby.binary_search_by_key(&tile, |entry| entry.0).is_err()
            {
                rest.push((tile, row));
            }
        }
        rest.sort_unstable();
        for (tile, row) in rest {
            self.refresh::<I, R>(isa, tile, self.rows.node(row), row);
        }
    }

    /// Works out the lists of a tile that is near a change.
    #[inline(always)]
    fn tile<I: Isa, const R: usize>(&mut self, isa: I, offsets: &Offsets, index: u32, sides: &[(u32, u32)]) {
        let k = self.k;
        let tile = &self.tiles.all[index as usize];
        let (origin, occupied, differs, far) = (tile.origin(), tile.occupied, tile.changed, tile.far);
        let sides = || sides.iter().map(|&(_, side)| side as usize % 27);
        self.scratch.changed.clear();
        for side in sides() {
            self.scratch.changed.add(side, &self.tiles.all[tile.beside[side] as usize].changed);
        }
        let touched = self.scratch.changed.touched();
        let concerned: Mask = std::array::from_fn(|x| (occupied[x] | differs[x]) & (touched[x] | far[x]));
        if concerned == [0; 8] {
            return;
        }
        self.scratch.occupied.load(&self.tiles.all, index);
        let (mut still_far, mut changes_read) = (far, false);
        let old_rows = std::mem::take(&mut self.tiles.all[index as usize].rows);
        let (mut next, mut rows) = (old_rows.iter().copied(), std::mem::take(&mut self.scratch.rows));
        rows.clear();
        for (x, bits) in concerned.into_iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                let set = |mask: &Mask| mask[x] >> bit & 1 == 1;
                let node = id(origin, x, bit);
                let (is, was) = (set(&occupied), set(&occupied) != set(&differs));
                let old_row = if set(&far) { next.next() } else { None };
                let windows = (&self.scratch.occupied, &self.scratch.changed);
                let (now, change) = if old_row.is_none() {
                    around(windows, offsets, x, bit, k, is, was)
                } else if set(&touched) {
                    (windows.0.ranks(offsets, x, bit), windows.1.ranks(offsets, x, bit))
                } else {
                    ([0; 4], [0; 4])
                };
                let full = is && count(&now) >= k;
                if let Some(row) = old_row
                    && is
                    && !full
                {
                    // Far before and afterwards.
                    rows.push(row);
                    let reach = self.rows.reach(row);
                    let concerned =
                        change != [0; 4] || (reach > BESIDE && self.remote.binary_search(&row).is_ok()) || {
                            if !std::mem::replace(&mut changes_read, true) {
                                self.scratch.changes.changes_beside(&self.tiles.all, index, sides());
                            }
                            self.scratch.changes.any_within(isa, node, reach)
                        };
                    if concerned {
                        self.refresh::<I, R>(isa, index, node, row);
                    }
                    continue;
                }
                if is && was && old_row.is_none() && count_before(&now, &change) >= k {
                    continue;
                }
                // The list changes: the old one first.
                self.changes.src.push(node);
                if let Some(row) = old_row {
                    self.changes.old.push_row(self.rows.list(row));
                    self.rows.remove(row);
                    still_far[x] &= !(1 << bit);
                } else if was {
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
                    self.changes.new.push_row((&list.dst, &list.d2));
                    still_far[x] |= 1 << bit;
                    rows.push(row);
                }
            }
        }
        let tile = &mut self.tiles.all[index as usize];
        tile.far = still_far;
        tile.rows = old_rows;
        tile.rows.clear();
        tile.rows.extend_from_slice(&rows);
        self.scratch.rows = rows;
    }

    /// Searches again for a far list, and writes it out if it changed.
    #[inline(always)]
    fn refresh<I: Isa, const R: usize>(&mut self, isa: I, tile: u32, node: u64, row: u32) {
        self.scratch.search.run::<I, R>(isa, self.tiles, tile, node, self.rows.reach(row));
        let list = &self.scratch.search.list;
        let (dst, d2) = self.rows.list(row);
        if dst != list.dst || d2 != list.d2 {
            self.changes.src.push(node);
            self.changes.old.push_row((dst, d2));
            self.changes.new.push_row((&list.dst, &list.d2));
            self.rows.set(row, &list.dst, &list.d2);
        }
    }
}
