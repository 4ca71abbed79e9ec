//! Occupied voxels as bits: tiles of 8 x 8 x 8 voxels, each of which knows the 26 beside it, and a pyramid of masks above them.
//!
//! A voxel's id has 21 bits an axis, x above y above z. So have tiles 18, and each level of the pyramid three fewer, down to one root.

use super::offsets::{AXIS, INNER, INNER_SIDE, NEAR, Offsets, Ranks, SIDE};
use rustc_hash::FxHashMap;

/// Bits of a tile's key, or of a place in the pyramid, of each axis.
const KEY: u32 = 18;

/// Levels above the tiles.
pub(super) const LEVELS: usize = 6;

/// No tile.
pub(super) const NONE: u32 = u32::MAX;

/// A bit for each of 8 x 8 x 8 places: word `x`, bit `8 y + z`.
pub(super) type Mask = [u64; 8];

/// The middle one of 27.
const SELF: usize = 13;

/// The voxels of a cube of eight.
#[derive(Clone)]
pub(super) struct Tile {
    /// Where it is.
    pub(super) key: u64,
    /// Voxels that are nodes.
    pub(super) occupied: Mask,
    /// Voxels that were nodes before the epoch or are afterwards, but not both.
    pub(super) changed: Mask,
    /// Nodes whose lists go beyond the offsets with ranks.
    pub(super) far: Mask,
    /// Where their lists are stored, in the order of their bits.
    pub(super) rows: Vec<u32>,
    /// The tiles around it and itself, by x, y, z.
    pub(super) beside: [u32; 27],
    /// The last epoch that had it on its list.
    pub(super) seen: u32,
}

/// Coordinates of a voxel, 0 to 2^21 - 1.
#[inline(always)]
pub(super) fn voxel(id: u64) -> [u32; 3] {
    [(id >> (2 * AXIS)) as u32, (id >> AXIS) as u32 & ((1 << AXIS) - 1), id as u32 & ((1 << AXIS) - 1)]
}

/// Coordinates of a tile or a place in the pyramid.
#[inline(always)]
fn place(key: u64) -> [u32; 3] {
    [(key >> (2 * KEY)) as u32, (key >> KEY) as u32 & ((1 << KEY) - 1), key as u32 & ((1 << KEY) - 1)]
}

#[inline(always)]
fn key([x, y, z]: [u32; 3]) -> u64 {
    u64::from(x) << (2 * KEY) | u64::from(y) << KEY | u64::from(z)
}

/// Word and bit of a place in its parent.
#[inline(always)]
fn bit([x, y, z]: [u32; 3]) -> (usize, u32) {
    ((x & 7) as usize, (y & 7) * 8 + (z & 7))
}

impl Tile {
    /// Id of its first voxel.
    #[inline(always)]
    pub(super) fn origin(&self) -> u64 {
        place(self.key).into_iter().fold(0, |id, v| id << AXIS | u64::from(v) << 3)
    }

    /// Where the list of a far node is stored; None of any other voxel.
    pub(super) fn row(&self, x: usize, bit: u32) -> Option<u32> {
        if self.far[x] >> bit & 1 == 0 {
            return None;
        }
        let before = self.far[..x].iter().map(|word| word.count_ones()).sum::<u32>();
        self.rows.get((before + (self.far[x] & ((1 << bit) - 1)).count_ones()) as usize).copied()
    }
}

/// Id of a voxel of a tile, from the id of its first.
#[inline(always)]
pub(super) fn id(origin: u64, x: usize, bit: u32) -> u64 {
    origin + ((x as u64) << (2 * AXIS)) + (u64::from(bit >> 3) << AXIS) + u64::from(bit & 7)
}

/// Calls `each` with word and bit of all members of a mask.
#[inline(always)]
pub(super) fn members(mask: &Mask, mut each: impl FnMut(usize, u32)) {
    for (x, bits) in mask.iter().enumerate() {
        let mut bits = *bits;
        while bits != 0 {
            each(x, bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}

/// All tiles.
#[derive(Default)]
pub(super) struct Tiles {
    pub(super) all: Vec<Tile>,
    at: FxHashMap<u64, u32>,
    free: Vec<u32>,
    /// For each level above the tiles, which of the 512 places below a place hold something.
    above: [FxHashMap<u64, Mask>; LEVELS],
}

impl Tiles {
    /// Index of the tile that a voxel is in, its word and bit there. An id of 64 bits is in no tile: its x is beyond every key.
    #[inline(always)]
    pub(super) fn find(&self, id: u64) -> Option<(u32, usize, u32)> {
        let p = voxel(id);
        let (x, bit) = bit(p);
        self.at.get(&key(p.map(|v| v >> 3))).map(|&tile| (tile, x, bit))
    }

    /// [`Tiles::find`], with a new tile if there is none.
    pub(super) fn make(&mut self, id: u64) -> (u32, usize, u32) {
        let p = voxel(id);
        let (x, bit) = bit(p);
        let at = p.map(|v| v >> 3);
        let tile = match self.at.get(&key(at)) {
            Some(&tile) => tile,
            None => self.add(at),
        };
        (tile, x, bit)
    }

    fn add(&mut self, at: [u32; 3]) -> u32 {
        let mut tile = Tile {
            key: key(at),
            occupied: [0; 8],
            changed: [0; 8],
            far: [0; 8],
            rows: Vec::new(),
            beside: [NONE; 27],
            seen: 0,
        };
        let index = self.free.pop().unwrap_or(self.all.len() as u32);
        self.at.insert(tile.key, index);
        for (side, beside) in tile.beside.iter_mut().enumerate() {
            let around = [side / 9, side / 3 % 3, side % 3];
            let moved = |axis: usize| (at[axis] + around[axis] as u32).checked_sub(1).filter(|v| v >> KEY == 0);
            if let (Some(x), Some(y), Some(z)) = (moved(0), moved(1), moved(2)) {
                *beside = self.at.get(&key([x, y, z])).copied().unwrap_or(NONE);
                if *beside != NONE && side != SELF {
                    self.all[*beside as usize].beside[26 - side] = index;
                }
            }
        }
        if index as usize == self.all.len() {
            self.all.push(tile);
        } else {
            self.all[index as usize] = tile;
        }
        let mut at = at;
        for level in &mut self.above {
            let (x, bit) = bit(at);
            at = at.map(|v| v >> 3);
            let mask = level.entry(key(at)).or_default();
            let known = *mask != [0; 8];
            mask[x] |= 1 << bit;
            if known {
                break;
            }
        }
        index
    }

    /// Forgets an empty tile.
    pub(super) fn remove(&mut self, index: u32) {
        let tile = &self.all[index as usize];
        let (mut at, beside) = (place(tile.key), tile.beside);
        self.at.remove(&tile.key);
        self.free.push(index);
        for (side, beside) in beside.into_iter().enumerate() {
            if beside != NONE && side != SELF {
                self.all[beside as usize].beside[26 - side] = NONE;
            }
        }
        for level in &mut self.above {
            let (x, bit) = bit(at);
            at = at.map(|v| v >> 3);
            let Some(mask) = level.get_mut(&key(at)) else { return };
            mask[x] &= !(1 << bit);
            if *mask != [0; 8] {
                return;
            }
            level.remove(&key(at));
        }
    }

    /// Calls `each` with the places below a place of a level, 1 to [`LEVELS`]: tiles below level 1.
    pub(super) fn below(&self, level: usize, place_key: u64, mut each: impl FnMut(u64)) {
        if let Some(mask) = self.above[level - 1].get(&place_key) {
            let origin = key(place(place_key).map(|v| v << 3));
            members(mask, |x, bit| each(origin + key([x as u32, bit >> 3, bit & 7])));
        }
    }

    /// Calls `each` with the tiles that are up to `reach` tiles from one along every axis, and how many from the corner they are.
    pub(super) fn within(&self, tile: &Tile, reach: u32, mut each: impl FnMut(&Tile, [u32; 3])) {
        let centre = place(tile.key);
        let low = centre.map(|v| v.saturating_sub(reach));
        let high = centre.map(|v| (v + reach).min((1 << KEY) - 1));
        let shift = [0, 1, 2].map(|axis| reach - (centre[axis] - low[axis]));
        let span = |axis: usize, of: u32| {
            let from = low[axis].max(of << 3) & 7;
            let to = high[axis].min((of << 3) + 7) & 7;
            (from, to)
        };
        for x in low[0] >> 3..=high[0] >> 3 {
            for y in low[1] >> 3..=high[1] >> 3 {
                for z in low[2] >> 3..=high[2] >> 3 {
                    let Some(mask) = self.above[0].get(&key([x, y, z])) else { continue };
                    let ((x0, x1), (y0, y1), (z0, z1)) = (span(0, x), span(1, y), span(2, z));
                    let row = (1u64 << (z1 + 1)) - (1 << z0);
                    let plane = (y0..=y1).fold(0, |plane, y| plane | row << (8 * y));
                    for word in x0..=x1 {
                        let mut bits = mask[word as usize & 7] & plane;
                        while bits != 0 {
                            let bit = bits.trailing_zeros();
                            bits &= bits - 1;
                            let at = [x << 3 | word, y << 3 | bit >> 3, z << 3 | bit & 7];
                            if let Some(tile) = self.tile(key(at)) {
                                each(tile, [0, 1, 2].map(|axis| at[axis] - low[axis] + shift[axis]));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The tile of a key.
    pub(super) fn tile(&self, key: u64) -> Option<&Tile> {
        self.at.get(&key).map(|&index| &self.all[index as usize])
    }

    /// Tiles in use, in no order.
    pub(super) fn used(&self) -> impl Iterator<Item = u32> {
        self.at.values().copied()
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let places: usize = self.above.iter().map(|level| level.capacity() * (8 + size_of::<Mask>())).sum();
        self.all.capacity() * size_of::<Tile>() + self.at.capacity() * 12 + places
    }
}

/// Limits of a place of a level (0: a tile) in voxels.
pub(super) fn limits(level: usize, place_key: u64) -> [(f32, f32); 3] {
    let shift = 3 * (level + 1);
    place(place_key).map(|v| {
        let low = u64::from(v) << shift;
        (low as f32, (low + (1 << shift) - 1) as f32)
    })
}

/// The bits in and around a tile: columns along z from three voxels below the tile to three above, as bits 0 to 13; for x as far around
/// it, for y as far as the tiles beside it go.
pub(super) struct Window {
    rows: [[u16; 24]; 16],
    /// Whether a row has any bit.
    some: [bool; 16],
}

impl Window {
    pub(super) const EMPTY: Window = Window { rows: [[0; 24]; 16], some: [false; 16] };

    /// Forgets all bits.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        for (row, some) in self.rows.iter_mut().zip(&mut self.some) {
            if std::mem::take(some) {
                *row = [0; 24];
            }
        }
    }

    /// Adds the mask of the tile at a side, 0 to 26.
    #[inline(always)]
    pub(super) fn add(&mut self, side: usize, mask: &Mask) {
        match side % 3 {
            0 => self.add_bits(side, mask, |byte| byte >> (8 - NEAR)),
            1 => self.add_bits(side, mask, |byte| byte << NEAR),
            _ => self.add_bits(side, mask, |byte| (byte & ((1 << NEAR) - 1)) << (8 + NEAR)),
        }
    }

    /// Adds a mask, each of whose columns takes the place along z that `shift` gives it.
    #[inline(always)]
    fn add_bits(&mut self, side: usize, mask: &Mask, shift: impl Fn(u16) -> u16) {
        let (words, first) = match side / 9 {
            0 => (8 - NEAR..8, 0),
            1 => (0..8, NEAR),
            _ => (0..NEAR, 8 + NEAR),
        };
        let column = side / 3 % 3 * 8;
        for (row, x) in (first..).zip(words) {
            let word = mask[x];
            if word != 0 {
                let row = row & 15;
                self.some[row] = true;
                let bytes = word.to_le_bytes();
                let wide: &mut [u16; 8] = self.rows[row][column..].first_chunk_mut().expect("three times eight");
                for i in 0..8 {
                    wide[i] |= shift(u16::from(bytes[i]));
                }
            }
        }
    }

    /// The occupancy of a tile and those beside it.
    #[inline(always)]
    pub(super) fn load(&mut self, tiles: &[Tile], tile: u32) {
        self.clear();
        for (side, &beside) in tiles[tile as usize].beside.iter().enumerate() {
            if beside != NONE {
                self.add(side, &tiles[beside as usize].occupied);
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

    /// The first 56 ranks of [`Window::ranks`].
    #[inline(always)]
    pub(super) fn inner(&self, offsets: &Offsets, x: usize, bit: u32) -> u64 {
        const NARROW: usize = NEAR - INNER;
        let (y, z) = ((bit >> 3) as usize + 8 - INNER, (bit & 7) + NARROW as u32);
        let mut ranks = 0;
        for dx in 0..INNER_SIDE {
            let row = (x + NARROW + dx) & 15;
            if self.some[row] {
                let columns: &[u16; INNER_SIDE] = self.rows[row][y..].first_chunk().expect("rows are wide enough");
                for (dy, column) in columns.iter().enumerate() {
                    ranks |= offsets.inner[usize::from(column >> z) & 31][dx * INNER_SIDE + dy];
                }
            }
        }
        ranks
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
