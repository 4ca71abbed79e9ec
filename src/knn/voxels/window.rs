//! The bits in and around a tile, and the ranks around each of its voxels that they make.

use super::offsets::{INNER, INNER_SIDE, NEAR, Offsets, Ranks, SIDE};
use super::tiles::Mask;
use crate::knn::isa::Isa;

/// For each squared distance up to 8 and each plane (dx) of the 5 x 5 x 5 that has offsets of that distance, in the order of their ranks:
/// the plane, their bits in the plane (see [`Window::inner`]), and the rank of the first.
const RINGS: [(usize, u64, u32); 23] = {
    let (mut rings, mut len, mut rank) = ([(0, 0, 0); 23], 0, 0);
    let mut d2 = 1;
    while d2 <= 8 {
        let mut dx = 0;
        while dx < 5 {
            let (mut mask, mut column) = (0u64, 0);
            while column < 25 {
                let (dy, dz) = (column / 5, column % 5);
                if (dx - 2) * (dx - 2) + (dy - 2) * (dy - 2) + (dz - 2) * (dz - 2) == d2 {
                    mask |= 1 << (if dy < 4 { 16 * dy + dz } else { 53 + dz });
                }
                column += 1;
            }
            if mask != 0 {
                rings[len] = (dx as usize, mask, rank);
                len += 1;
                rank += mask.count_ones();
            }
            dx += 1;
        }
        d2 += 1;
    }
    rings
};

/// The bits in and around a tile: columns along z from three voxels below the tile to three above, as bits 0 to 13 (those above mean nothing); for x as far
/// around it, for y as far as the tiles beside it go.
pub(super) struct Window {
    rows: [[u16; 24]; 16],
    /// Whether a row has any bit.
    some: [bool; 16],
}

impl Window {
    pub(super) const EMPTY: Window = Window { rows: [[0; 24]; 16], some: [false; 16] };

    /// Reads the masks of a tile and those beside it.
    #[inline(always)]
    pub(super) fn load<I: Isa>(&mut self, isa: I, masks: &[&Mask; 27]) {
        for (x, nine) in masks.chunks_exact(9).enumerate() {
            let (words, first) = match x {
                0 => (8 - NEAR..8, 0),
                1 => (0..8, NEAR),
                _ => (0..NEAR, 8 + NEAR),
            };
            for (row, word) in (first..).zip(words) {
                let (columns, some) = (&mut self.rows[row & 15], &mut self.some[row & 15]);
                if nine.iter().fold(0, |any, mask| any | mask[word]) == 0 {
                    // Most rows of changes are empty, and were before.
                    if std::mem::take(some) {
                        *columns = [0; 24];
                    }
                    continue;
                }
                // What is beyond three voxels is read as well, and does no harm.
                *some = true;
                for (column, three) in nine.chunks_exact(3).enumerate() {
                    let wide = columns[column * 8..].first_chunk_mut().expect("three times eight");
                    isa.columns(three[0][word], three[1][word], three[2][word], wide);
                }
            }
        }
    }

    /// The ranks whose bits are set around a voxel of the tile.
    #[inline(always)]
    pub(super) fn ranks(&self, offsets: &Offsets, x: usize, bit: u32) -> Ranks {
        let (y, z) = ((bit >> 3) as usize + 8 - NEAR, bit & 7);
        let mut ranks = [0; 4];
        for dx in 0..SIDE {
            let row = (x + dx) & 15;
            if self.some[row] {
                let columns: &[u16; SIDE] = self.rows[row][y..].first_chunk().expect("rows are wide enough");
                for (dy, column) in columns.iter().enumerate() {
                    let more = &offsets.column[usize::from(column >> z) & 127][dx * SIDE + dy];
                    for word in 0..4 {
                        ranks[word] |= more[word];
                    }
                }
            }
        }
        ranks
    }

    /// The first 92 ranks of [`Window::ranks`], up to squared distance 8.
    ///
    /// A plane of 5 x 5 voxels is a word: four columns, 16 bits apart, and the fifth in the gap behind the fourth. Bits ascend by (dy, dz),
    /// so those at one distance from the middle of the plane are in the order of their ranks, and next to each other among the ranks.
    #[inline(always)]
    pub(super) fn inner<I: Isa>(&self, isa: I, x: usize, bit: u32) -> [u64; 2] {
        const NARROW: usize = NEAR - INNER;
        let (y, z) = ((bit >> 3) as usize + 8 - INNER, (bit & 7) + NARROW as u32);
        let mut planes = [0; INNER_SIDE];
        for (dx, plane) in planes.iter_mut().enumerate() {
            let c: &[u16; INNER_SIDE] =
                self.rows[(x + NARROW + dx) & 15][y..].first_chunk().expect("rows are wide enough");
            let four = u64::from(c[0]) | u64::from(c[1]) << 16 | u64::from(c[2]) << 32 | u64::from(c[3]) << 48;
            *plane = four >> z & 0x001f_001f_001f_001f | u64::from(c[4] >> z & 31) << 53;
        }
        let (mut low, mut high) = (0, 0);
        // Unrolled by hand, so that masks and places are constants.
        macro_rules! rings {
            ($($ring:literal)*) => {$({
                const RING: (usize, u64, u32) = RINGS[$ring];
                let ranks = isa.extract(planes[RING.0], RING.1);
                if RING.2 < 64 {
                    low |= ranks << (RING.2 & 63);
                }
                if RING.2 >= 64 {
                    high |= ranks << (RING.2 & 63);
                } else if RING.2 + RING.1.count_ones() > 64 {
                    high |= ranks >> (64 - RING.2 & 63);
                }
            })*};
        }
        rings!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22);
        [low, high]
    }

    /// The voxels of the tile that have a bit set within three voxels along every axis.
    #[inline(always)]
    pub(super) fn touched(&self) -> Mask {
        let mut mask = [0; 8];
        for (row, _) in self.some.iter().enumerate().filter(|(_, some)| **some) {
            // Along z, then y: the union over seven places each.
            let mut tall = self.rows[row];
            for v in &mut tall {
                // Two places, then four, then seven.
                *v |= *v >> 1;
                *v |= *v >> 2;
                *v |= *v >> 3;
            }
            let mut flat = [0u16; 8];
            for by in 8 - NEAR..8 - NEAR + SIDE {
                for (flat, v) in flat.iter_mut().zip(&tall[by..by + 8]) {
                    *flat |= v;
                }
            }
            let flat = u64::from_le_bytes(flat.map(|v| v as u8));
            // Along x: this row is within three of words row - 6 to row.
            for word in &mut mask[row.saturating_sub(SIDE - 1).min(8)..(row + 1).min(8)] {
                *word |= flat;
            }
        }
        mask
    }
}
