//! The bits in and around a tile, and the ranks around each of its voxels that they make.

use super::mask::Mask;
use super::offsets::{INNER, INNER_SIDE, LAST, NEAR, Ranks, SIDE};
use crate::knn::isa::Isa;

/// The offsets of one squared distance in one plane (dx) of a neighbourhood.
#[derive(Clone, Copy)]
struct Ring {
    /// The plane, counted from the first.
    plane: usize,
    /// Their bits in the plane.
    mask: u64,
    /// The rank of the first; the others follow, in the order of their bits.
    rank: u32,
}

/// The rings of squared distances `from` to `to` in the order of their ranks, of which the first is `rank`. A column (dy) of a plane of
/// `side` columns begins at the bit that `columns` says.
const fn rings<const N: usize>(from: i32, to: i32, rank: u32, side: usize, columns: [u32; SIDE]) -> [Ring; N] {
    let (mut rings, mut len) = ([Ring { plane: 0, mask: 0, rank }; N], 0);
    let (mut d2, mut rank, middle) = (from, rank, side as i32 / 2);
    while d2 <= to {
        let mut plane = 0;
        while plane < side {
            let (dx, mut mask, mut at) = (plane as i32 - middle, 0u64, 0);
            while at < side * side {
                let (dy, dz) = ((at / side) as i32 - middle, (at % side) as i32 - middle);
                if dx * dx + dy * dy + dz * dz == d2 {
                    mask |= 1 << (columns[at / side] as usize + at % side);
                }
                at += 1;
            }
            if mask != 0 {
                rings[len] = Ring { plane, mask, rank };
                len += 1;
                rank += mask.count_ones();
            }
            plane += 1;
        }
        d2 += 1;
    }
    rings
}

/// Rings of the first 92 ranks, in planes as [`Window::planes`] makes them.
const INNER_RINGS: [Ring; 23] = rings(1, 8, 0, INNER_SIDE, [0, 16, 32, 48, 53, 0, 0]);

/// Rings of the other ranks, in planes as [`Window::ranks`] makes them.
const OUTER_RINGS: [Ring; 29] = rings(9, LAST, 92, SIDE, [0, 7, 14, 21, 28, 35, 42]);

/// Puts what planes have in a ring to its ranks. Rings are constants, so that the compiler knows masks and places.
macro_rules! extract {
    ($isa:ident, $rings:ident, $planes:ident, $ranks:ident, $($ring:literal)*) => {$({
        const RING: Ring = $rings[$ring];
        const WORD: usize = RING.rank as usize / 64;
        let ranks = $isa.extract($planes[RING.plane], RING.mask);
        $ranks[WORD] |= ranks << (RING.rank % 64);
        const LAST_WORD: usize = (RING.rank + RING.mask.count_ones() - 1) as usize / 64;
        if LAST_WORD > WORD {
            $ranks[LAST_WORD] |= ranks >> (64 - RING.rank % 64);
        }
    })*};
}

/// Rows from the first to that of the tile's first words: three are wanted, and rows are read two at a time.
const BELOW: usize = NEAR + 1;

/// The bits in and around a tile: columns along z from three voxels below the tile to three above, as bits 0 to 13 (those above mean nothing);
/// for x from four below it to four above, for y as far as the tiles beside it go.
pub(super) struct Window {
    rows: [[u16; 24]; 16],
    /// Whether two rows have any bit.
    some: [bool; 8],
}

impl Window {
    pub(super) const EMPTY: Window = Window { rows: [[0; 24]; 16], some: [false; 8] };

    /// Reads what is around the words `first` to `last` of a tile, from its mask and those beside it.
    #[inline(always)]
    pub(super) fn load<I: Isa>(&mut self, isa: I, masks: &[&Mask; 27], (first, last): (usize, usize)) {
        for pair in (first + BELOW - NEAR) / 2..=(last + BELOW + NEAR) / 2 {
            self.pair(isa, masks, pair);
        }
    }

    /// [`Window::load`] where most rows are empty, and were before.
    #[inline(always)]
    pub(super) fn load_few<I: Isa>(&mut self, isa: I, masks: &[&Mask; 27], (first, last): (usize, usize)) {
        for pair in (first + BELOW - NEAR) / 2..=(last + BELOW + NEAR) / 2 {
            let (nine, word) = beside(masks, pair);
            let any = nine.iter().fold(0, |any, mask| any | mask[word] | mask[word + 1]) != 0;
            let some = std::mem::replace(&mut self.some[pair & 7], any);
            if any {
                self.pair(isa, masks, pair);
            } else if some {
                self.rows.as_chunks_mut::<2>().0[pair & 7] = [[0; 24]; 2];
            }
        }
    }

    #[inline(always)]
    fn pair<I: Isa>(&mut self, isa: I, masks: &[&Mask; 27], pair: usize) {
        let (nine, word) = beside(masks, pair);
        let [one, two] = self.rows.as_chunks_mut::<2>().0[pair & 7].each_mut();
        let to = one.as_chunks_mut().0.iter_mut().zip(two.as_chunks_mut().0);
        for (three, (one, two)) in nine.as_chunks().0.iter().zip(to) {
            // What is beyond three voxels is read as well, and does no harm.
            let three: [&Mask; 3] = *three;
            isa.columns(three.map(|mask| mask[word..].first_chunk().expect("words come in pairs")), [one, two]);
        }
    }

    /// The ranks whose bits are set around a voxel of the tile, from the first 92 of them.
    ///
    /// A plane of 7 x 7 voxels is a word, seven bits a column.
    #[inline(always)]
    pub(super) fn ranks<I: Isa>(&self, isa: I, x: usize, bit: u32, [low, high]: [u64; 2]) -> Ranks {
        const FOUR: u64 = 0x007f_007f_007f_007f;
        let (y, z) = ((bit >> 3) as usize + 8 - NEAR, bit & 7);
        let mut planes = [0; SIDE];
        for (dx, plane) in planes.iter_mut().enumerate() {
            let columns: &[u16; 8] =
                self.rows[(x + BELOW - NEAR + dx) & 15][y..].first_chunk().expect("rows are wide enough");
            let [first, last] = [four(columns, 0) >> z, four(columns, 4) >> z];
            *plane = isa.extract(first, FOUR) | isa.extract(last, FOUR >> 16) << (4 * SIDE);
        }
        let mut ranks = [low, high, 0, 0];
        extract!(isa, OUTER_RINGS, planes, ranks, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28);
        ranks
    }

    /// The 5 x 5 x 5 voxels around one of the tile: planes by x.
    ///
    /// A plane is a word: four columns, 16 bits apart, and the fifth in the gap behind the fourth. Bits ascend by (dy, dz), so those at one
    /// distance from the middle of the plane are in the order of their ranks, and next to each other among the ranks.
    #[inline(always)]
    pub(super) fn planes(&self, x: usize, bit: u32) -> Planes {
        let (y, z) = ((bit >> 3) as usize + 8 - INNER, (bit & 7) + (NEAR - INNER) as u32);
        let mut planes = [0; INNER_SIDE];
        for (dx, plane) in planes.iter_mut().enumerate() {
            let columns: &[u16; INNER_SIDE] =
                self.rows[(x + BELOW - INNER + dx) & 15][y..].first_chunk().expect("rows are wide enough");
            *plane = four(columns, 0) >> z & 0x001f_001f_001f_001f | u64::from(columns[4] >> z & 31) << 53;
        }
        planes
    }

    /// The first 92 ranks of [`Window::ranks`], up to squared distance 8.
    #[inline(always)]
    pub(super) fn inner<I: Isa>(&self, isa: I, x: usize, bit: u32) -> [u64; 2] {
        inner(isa, &self.planes(x, bit))
    }
}

/// Five planes of 5 x 5 voxels each.
pub(super) type Planes = [u64; INNER_SIDE];

/// The first 92 ranks of planes.
#[inline(always)]
pub(super) fn inner<I: Isa>(isa: I, planes: &Planes) -> [u64; 2] {
    let mut ranks = [0; 2];
    extract!(isa, INNER_RINGS, planes, ranks, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22);
    ranks
}

/// How many of the first 92 ranks planes have.
#[inline(always)]
pub(super) fn count_inner(planes: &Planes) -> usize {
    const RANKED: Planes = {
        let (mut ranked, mut ring) = ([0; INNER_SIDE], 0);
        while ring < INNER_RINGS.len() {
            ranked[INNER_RINGS[ring].plane] |= INNER_RINGS[ring].mask;
            ring += 1;
        }
        ranked
    };
    planes.iter().zip(RANKED).map(|(plane, ranked)| (plane & ranked).count_ones() as usize).sum()
}

/// The nine tiles that two rows of a window are read from, and the first of the words.
#[inline(always)]
fn beside<'a, 'b>(masks: &'b [&'a Mask; 27], pair: usize) -> (&'b [&'a Mask; 9], usize) {
    let word = 2 * pair + 8 - BELOW;
    (&masks.as_chunks().0[word / 8 % 3], word & 6)
}

/// Four columns as a word, 16 bits apart.
#[inline(always)]
fn four(columns: &[u16], from: usize) -> u64 {
    let column = |at: usize| u64::from(columns[from + at]) << (16 * at);
    column(0) | column(1) | column(2) | column(3)
}
