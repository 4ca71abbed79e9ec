//! The order of changes: that of their nodes, from that of tiles.

use super::{Scratch, VoxelKnn, tiles};

impl VoxelKnn {
    /// Puts the changes in the order of their nodes. They come tile by tile, in the order of the tiles' keys and in that of the ids within
    /// each: what is still to be done is to sort the nodes of a row of tiles along z by their columns, and those of a slab by x.
    /// With `company` no node was or is alone.
    pub(super) fn sort(&mut self, company: bool) {
        let (changes, Scratch { spans, order, spare, src: sorted, .. }) = (&mut self.changes, &mut self.scratch);
        let src = &changes.src;
        order.resize(src.len(), 0);
        spare.resize(src.len(), 0);
        spans.push((u64::MAX, src.len()));
        let mut slab = 0..0;
        let mut row = 0..0;
        for (i, span) in spans.windows(2).enumerate() {
            let (key, next) = (span[0].0, span[1].0);
            row.end = span[1].1;
            if i + 2 == spans.len() || tiles::row(key) != tiles::row(next) {
                deal::<64>(row.clone().map(|v| v as u32), &mut spare[row.clone()], |row| {
                    let [x, y, _] = tiles::voxel(src[row as usize]);
                    (x & 7) << 3 | y & 7
                });
                row.start = row.end;
            }
            if i + 2 == spans.len() || tiles::slab(key) != tiles::slab(next) {
                slab.end = row.end;
                deal::<8>(spare[slab.clone()].iter().copied(), &mut order[slab.clone()], |row| {
                    tiles::voxel(src[row as usize])[0] & 7
                });
                slab.start = slab.end;
            }
        }
        if !company {
            // The list of a node that is alone is empty before and after.
            order.retain(|&row| !changes.is_empty(row as usize));
        }
        changes.arrange(order, sorted);
    }
}

/// Sorts by a small number, what has the same staying in its order.
fn deal<const N: usize>(from: impl Iterator<Item = u32> + Clone, to: &mut [u32], number: impl Fn(u32) -> u32) {
    let mut ends = [0; N];
    for v in from.clone() {
        ends[number(v) as usize % N] += 1;
    }
    let mut end = 0;
    for place in &mut ends {
        end += std::mem::replace(place, end);
    }
    for v in from {
        let place = &mut ends[number(v) as usize % N];
        to[*place] = v;
        *place += 1;
    }
}
