//! The neighbours that a voxel can have nearby, in the one order that holds for every voxel.
//!
//! Between voxel indices the order of neighbours by (squared distance, id) depends on the offset alone: ids sort as (x, y, z) do, so ties are
//! in the order of (dx, dy, dz) wherever the voxel is. The 250 offsets of squared distance 1 to 14 (there is none of 15, and all of them lie
//! within three voxels an axis) are numbered in that order: their *ranks*. A neighbourhood is then a set of ranks, 250 bits, and the `k`
//! nearest are its first `k` members: no distance is computed and nothing is sorted.
//!
//! The first 92 ranks, up to squared distance 8, are all offsets of up to two voxels an axis but for the corners: most lists of 16 end there.

use std::sync::LazyLock;

/// How far the offsets go along an axis.
pub(super) const NEAR: usize = 3;

/// Voxels an axis in the neighbourhood.
pub(super) const SIDE: usize = 2 * NEAR + 1;

/// The largest squared distance of an offset with a rank.
pub(super) const LAST: i32 = 14;

/// How far the offsets of the first 92 ranks go along an axis.
pub(super) const INNER: usize = 2;

/// Voxels an axis in the neighbourhood of the first 92 ranks.
pub(super) const INNER_SIDE: usize = 2 * INNER + 1;

/// Bits of the id of each axis.
pub(super) const AXIS: u32 = 21;

/// A set of ranks.
pub(super) type Ranks = [u64; 4];

/// What is known about offsets.
pub(super) struct Offsets {
    /// By rank: what is added to an id.
    pub(super) step: [u64; 256],
    /// By rank: the squared distance.
    pub(super) d2: [f32; 256],
}

impl Offsets {
    /// The tables, made when they are first wanted.
    pub(super) fn get() -> &'static Offsets {
        static OFFSETS: LazyLock<Offsets> = LazyLock::new(Offsets::new);
        &OFFSETS
    }

    fn new() -> Offsets {
        let near = NEAR as i32;
        let all = || {
            (-near..=near).flat_map(move |x| (-near..=near).flat_map(move |y| (-near..=near).map(move |z| [x, y, z])))
        };
        let d2 = |o: &[i32; 3]| o.iter().map(|v| v * v).sum::<i32>();
        let mut offsets: Vec<[i32; 3]> = all().filter(|o| (1..=LAST).contains(&d2(o))).collect();
        offsets.sort_by_key(|o| (d2(o), *o));
        let mut tables = Offsets { step: [0; 256], d2: [0.0; 256] };
        for (rank, offset) in offsets.iter().enumerate() {
            let step = offset.iter().fold(0i64, |id, &v| (id << AXIS) + i64::from(v));
            tables.step[rank] = step as u64;
            tables.d2[rank] = d2(offset) as f32;
        }
        tables
    }
}

/// Number of ranks in a set.
#[inline(always)]
pub(super) fn count(ranks: &Ranks) -> usize {
    ranks.iter().map(|word| word.count_ones() as usize).sum()
}

/// Number of ranks of `ranks` below the first one of `other`.
#[inline(always)]
pub(super) fn count_before(ranks: &Ranks, other: &Ranks) -> usize {
    let (mut count, mut before) = (0, u64::MAX);
    for (word, other) in ranks.iter().zip(other) {
        // All bits below the lowest of `other`, or all there are.
        let below = (other & other.wrapping_neg()).wrapping_sub(1);
        count += (word & below & before).count_ones() as usize;
        before = if *other == 0 { before } else { 0 };
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks of sums of three squares up to 14: 6, 12, 8, 6, 24, 24, 0, 12, 30, 24, 24, 8, 24, 48 (OEIS A005875).
    #[test]
    fn ranks_ascend_by_distance_then_id() {
        let tables = Offsets::get();
        let mut counts = [0; 15];
        for rank in 0..250 {
            counts[tables.d2[rank] as usize] += 1;
            if rank > 0 {
                let key = |rank: usize| (tables.d2[rank] as u32, tables.step[rank] as i64);
                assert!(key(rank - 1) < key(rank), "{rank}");
            }
        }
        assert_eq!(counts, [0, 6, 12, 8, 6, 24, 24, 0, 12, 30, 24, 24, 8, 24, 48]);
    }

    #[test]
    fn sets_are_counted() {
        let ranks = [0b1010, 0, 1 << 63, 0b1];
        assert_eq!(count(&ranks), 4);
        assert_eq!(count_before(&ranks, &[0, 0, 0, 0]), 4);
        assert_eq!(count_before(&ranks, &[0b1000, 0, 0, 1]), 1);
        assert_eq!(count_before(&ranks, &[0, 1, 0, 0]), 2);
    }
}
