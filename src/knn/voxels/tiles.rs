//! Occupied voxels as bits: tiles of 8 x 8 x 8 voxels, each of which knows the 26 beside it, and a pyramid of masks above them.
//!
//! A voxel's id has 21 bits an axis, x above y above z. So have tiles 18, and each level of the pyramid three fewer, down to one root.

use super::offsets::{AXIS, NEAR, SIDE};
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
pub(super) const SELF: usize = 13;

/// The voxels of a cube of eight.
#[derive(Clone)]
pub(super) struct Tile {
    /// Where it is.
    pub(super) key: u64,
    /// Voxels that are nodes.
    pub(super) occupied: Mask,
    /// Voxels that were nodes before the epoch or are afterwards, but not both.
    pub(super) changed: Mask,
    /// Nodes whose lists go beyond the offsets with ranks; their lists are stored.
    pub(super) far: Mask,
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
    /// Index of the tile that a voxel is in, its word and bit there.
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
        let mut tile =
            Tile { key: key(at), occupied: [0; 8], changed: [0; 8], far: [0; 8], beside: [NONE; 27], seen: 0 };
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

/// The bits in and around a tile: columns along z from three voxels below the tile to three above, as bits 0 to 13, for x and y likewise.
pub(super) struct Window {
    columns: [[u16; 16]; 16],
    /// No bit is set.
    pub(super) empty: bool,
}

impl Window {
    pub(super) const EMPTY: Window = Window { columns: [[0; 16]; 16], empty: true };

    /// Reads the masks in and around a tile.
    #[inline(always)]
    pub(super) fn load(&mut self, tiles: &[Tile], tile: u32, mask: impl Fn(&Tile) -> &Mask) {
        const EIGHT: i32 = 8;
        let beside = &tiles[tile as usize].beside;
        let mut some = 0;
        for row in 0..8 + 2 * NEAR {
            let x = row as i32 - NEAR as i32;
            let (side, x) = ((x.div_euclid(EIGHT) + 1) as usize, x.rem_euclid(EIGHT) as usize);
            let word = |y: usize, z: usize| match beside[side * 9 + y * 3 + z] {
                NONE => 0,
                index => mask(&tiles[index as usize])[x],
            };
            let mut wide = [0u16; 24];
            for y in 0..3 {
                let (below, level, above) = (word(y, 0), word(y, 1), word(y, 2));
                some |= below | level | above;
                let [below, level, above] = [below, level, above].map(u64::to_le_bytes);
                for i in 0..8 {
                    let (below, level, above) = (u16::from(below[i]), u16::from(level[i]), u16::from(above[i]));
                    wide[8 * y + i] = below >> (8 - NEAR) | level << NEAR | (above & ((1 << NEAR) - 1)) << (8 + NEAR);
                }
            }
            self.columns[row][..14].copy_from_slice(&wide[8 - NEAR..16 + NEAR]);
        }
        self.empty = some == 0;
    }

    /// The columns around a voxel of the tile, as patterns of seven bits whose middle one is level with it, through `each`.
    #[inline(always)]
    pub(super) fn around(&self, x: usize, bit: u32, mut each: impl FnMut(usize, usize)) {
        let (y, z) = ((bit >> 3) as usize, bit & 7);
        for dx in 0..SIDE {
            let row = &self.columns[(x + dx) & 15];
            for dy in 0..SIDE {
                each(dx * SIDE + dy, usize::from(row[(y + dy) & 15] >> z) & ((1 << SIDE) - 1));
            }
        }
    }

    /// The voxels of the tile that have a bit set within three voxels along every axis.
    #[inline(always)]
    pub(super) fn touched(&self) -> Mask {
        // Along z, then y, then x: the union over seven places each.
        let spread = |v: u16| (0..SIDE).fold(0u16, |all, by| all | v >> by);
        let mut flat = [[0u16; 8]; 14];
        for (flat, row) in flat.iter_mut().zip(&self.columns) {
            let mut tall = [0u16; 16];
            for (tall, v) in tall.iter_mut().zip(row) {
                *tall = spread(*v);
            }
            for (y, flat) in flat.iter_mut().enumerate() {
                for by in 0..SIDE {
                    *flat |= tall[(y + by) & 15];
                }
            }
        }
        let mut mask = [0; 8];
        for (x, word) in mask.iter_mut().enumerate() {
            let mut row = [0u16; 8];
            for flat in &flat[x..x + SIDE] {
                for (row, v) in row.iter_mut().zip(flat) {
                    *row |= v;
                }
            }
            *word = u64::from_le_bytes(row.map(|v| v as u8));
        }
        mask
    }
}
