//! The pyramid above the tiles: which tile is where, and at each level which of the 512 places below a place hold something.
//!
//! A place's key has 18 bits an axis, as a tile's, at each level three fewer in use, down to one root.

use super::chunks::Chunks;
use super::mask::{Mask, NONE, members};
use rustc_hash::FxHashMap;

/// Bits of a tile's key, or of a place in the pyramid, of each axis.
pub(super) const KEY: u32 = 18;

/// Levels above the tiles.
pub(super) const LEVELS: usize = 6;

/// Coordinates of a tile or a place in the pyramid.
#[inline(always)]
pub(super) fn place(key: u64) -> [u32; 3] {
    [(key >> (2 * KEY)) as u32, (key >> KEY) as u32 & ((1 << KEY) - 1), key as u32 & ((1 << KEY) - 1)]
}

/// The key of coordinates.
#[inline(always)]
pub(super) fn key([x, y, z]: [u32; 3]) -> u64 {
    u64::from(x) << (2 * KEY) | u64::from(y) << KEY | u64::from(z)
}

/// Word and bit of a place in its parent, or of a voxel in its tile.
#[inline(always)]
pub(super) fn bit([x, y, z]: [u32; 3]) -> (usize, u32) {
    ((x & 7) as usize, (y & 7) * 8 + (z & 7))
}

/// Limits of a place of a level (0: a tile) in voxels.
pub(super) fn limits(level: usize, place_key: u64) -> [(f32, f32); 3] {
    let shift = 3 * (level + 1);
    place(place_key).map(|v| {
        let low = u64::from(v) << shift;
        (low as f32, (low + (1 << shift) - 1) as f32)
    })
}

/// A place of the first level above the tiles.
#[derive(Clone)]
struct Place {
    /// Which of the tiles below it are there.
    some: Mask,
    tiles: [u32; 512],
}

impl Place {
    const EMPTY: Place = Place { some: [0; 8], tiles: [NONE; 512] };
}

/// Where the tiles are.
pub(super) struct Pyramid {
    places: Chunks<Place, 64>,
    free: Vec<u32>,
    /// The places of the first level by their keys.
    at: FxHashMap<u64, u32>,
    /// For each level above the places, which of the 512 places below a place hold something.
    above: [FxHashMap<u64, Mask>; LEVELS - 1],
}

impl Pyramid {
    /// Without tiles.
    pub(super) fn new() -> Self {
        Pyramid {
            places: Chunks::new(Place::EMPTY),
            free: Vec::new(),
            at: FxHashMap::default(),
            above: Default::default(),
        }
    }

    /// The tile at coordinates.
    #[inline(always)]
    pub(super) fn tile(&self, at: [u32; 3]) -> Option<u32> {
        let (x, slot) = bit(at);
        let place = *self.at.get(&key(at.map(|v| v >> 3)))?;
        Some(self.places[place].tiles[x * 64 + slot as usize]).filter(|&tile| tile != NONE)
    }

    /// Puts a tile where none is.
    pub(super) fn add(&mut self, mut at: [u32; 3], tile: u32) {
        let (x, slot) = bit(at);
        at = at.map(|v| v >> 3);
        let place = *self.at.entry(key(at)).or_insert_with(|| {
            let free = self.free.pop();
            free.unwrap_or_else(|| self.places.push(Place::EMPTY))
        });
        let place = &mut self.places[place];
        place.tiles[x * 64 + slot as usize] = tile;
        let known = place.some != [0; 8];
        place.some[x] |= 1 << slot;
        if known {
            return;
        }
        for level in &mut self.above {
            let (x, bit) = bit(at);
            at = at.map(|v| v >> 3);
            let mask = level.entry(key(at)).or_default();
            let known = *mask != [0; 8];
            mask[x] |= 1 << bit;
            if known {
                return;
            }
        }
    }

    /// Forgets the tile at coordinates.
    pub(super) fn remove(&mut self, mut at: [u32; 3]) {
        let (x, slot) = bit(at);
        at = at.map(|v| v >> 3);
        let Some(&number) = self.at.get(&key(at)) else { return };
        let place = &mut self.places[number];
        place.tiles[x * 64 + slot as usize] = NONE;
        place.some[x] &= !(1 << slot);
        if place.some != [0; 8] {
            return;
        }
        self.at.remove(&key(at));
        self.free.push(number);
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
        let mask = match level {
            1 => self.at.get(&place_key).map(|&place| &self.places[place].some),
            _ => self.above[level - 2].get(&place_key),
        };
        if let Some(mask) = mask {
            let origin = key(place(place_key).map(|v| v << 3));
            members(mask, |x, bit| each(origin + key([x as u32, bit >> 3, bit & 7])));
        }
    }

    /// Calls `each` with the tiles that are up to `reach` tiles from coordinates along every axis, and how many from the corner they are.
    pub(super) fn within(&self, centre: [u32; 3], reach: u32, mut each: impl FnMut(u32, [u32; 3])) {
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
                    let Some(&place) = self.at.get(&key([x, y, z])) else { continue };
                    let place = &self.places[place];
                    let ((x0, x1), (y0, y1), (z0, z1)) = (span(0, x), span(1, y), span(2, z));
                    let row = (1u64 << (z1 + 1)) - (1 << z0);
                    let plane = (y0..=y1).fold(0, |plane, y| plane | row << (8 * y));
                    for word in x0..=x1 {
                        let mut bits = place.some[word as usize & 7] & plane;
                        while bits != 0 {
                            let bit = bits.trailing_zeros();
                            bits &= bits - 1;
                            let at = [x << 3 | word, y << 3 | bit >> 3, z << 3 | bit & 7];
                            let tile = place.tiles[(word as usize & 7) * 64 + bit as usize];
                            each(tile, [0, 1, 2].map(|axis| at[axis] - low[axis] + shift[axis]));
                        }
                    }
                }
            }
        }
    }

    /// All tiles, in no order.
    pub(super) fn tiles(&self) -> impl Iterator<Item = u32> {
        let places = self.at.values().map(|&place| &self.places[place]);
        places.flat_map(|place| place.tiles.iter().copied().filter(|&tile| tile != NONE))
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let masks: usize = self.above.iter().map(|level| level.capacity() * (8 + size_of::<Mask>())).sum();
        self.places.memory() + self.at.capacity() * 13 + masks
    }
}
