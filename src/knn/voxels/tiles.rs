//! Occupied voxels as bits: tiles of 8 x 8 x 8 voxels, each of which knows the 26 beside it, and a pyramid of masks above them.
//!
//! A voxel's id has 21 bits an axis, x above y above z. So have tiles 18, and each level of the pyramid three fewer, down to one root.

use super::chunks::Chunks;
use super::offsets::AXIS;
use crate::knn::isa::Isa;
use rustc_hash::FxHashMap;

/// Bits of a tile's key, or of a place in the pyramid, of each axis.
const KEY: u32 = 18;

/// Levels above the tiles.
pub(super) const LEVELS: usize = 6;

/// No tile.
pub(super) const NONE: u32 = 0;

/// A bit for each of 8 x 8 x 8 places: word `x`, bit `8 y + z`.
pub(super) type Mask = [u64; 8];

/// The middle one of 27.
const SELF: usize = 13;

/// A mask that is alone on its line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) Mask);

/// A cube of eight voxels, but for its masks and notes.
#[derive(Clone)]
pub(super) struct Tile {
    /// Nodes whose lists go beyond the offsets with ranks.
    pub(super) far: Mask,
    /// Where their lists are stored, in the order of their bits.
    pub(super) rows: Vec<u32>,
    /// The tiles around it and itself, by x, y, z.
    pub(super) beside: [u32; 27],
}

/// Where a tile is, and what an epoch notes of it.
#[derive(Clone, Copy)]
pub(super) struct Note {
    /// Where it is.
    pub(super) key: u64,
    /// The last epoch that had it on its list.
    pub(super) seen: u32,
    /// Which of those beside it changed in this epoch, and [`REMOTE`].
    pub(super) sides: u32,
    /// Where it is in [`Tiles::touched`] if there are any.
    pub(super) slot: u32,
}

impl Note {
    #[inline(always)]
    const fn new(key: u64) -> Note {
        Note { key, seen: 0, sides: 0, slot: 0 }
    }
}

/// The bit of [`Note::sides`] that says that something changed within the reach of a remote list.
pub(super) const REMOTE: u32 = 1 << 27;

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

/// A voxel and the tile that it is in.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub(super) id: u64,
    pub(super) tile: u32,
}

impl Last {
    /// Where a voxel is, if it is in this tile.
    #[inline(always)]
    pub(super) fn find(self, id: u64) -> Option<(u32, usize, u32)> {
        const IN_TILE: u64 = 7 << (2 * AXIS) | 7 << AXIS | 7;
        let (x, bit) = bit(voxel(id));
        ((self.id ^ id) & !IN_TILE == 0).then_some((self.tile, x, bit))
    }
}

/// The slab of tiles of the same x that a tile is in, by its key.
pub(super) fn slab(key: u64) -> u64 {
    key >> (2 * KEY)
}

/// The row of tiles along z that a tile is in, by its key.
pub(super) fn row(key: u64) -> u64 {
    key >> KEY
}

/// A place of the first level above the tiles.
#[derive(Clone)]
struct Place {
    key: u64,
    /// Which of the tiles below it are there.
    some: Mask,
    tiles: [u32; 512],
}

/// All tiles. Number [`NONE`] is none, and empty.
pub(super) struct Tiles {
    pub(super) all: Chunks<Tile, 256>,
    /// Apart from the tiles, so that those of many fit into the cache.
    pub(super) notes: Chunks<Note, 4096>,
    /// Voxels that are nodes.
    pub(super) occupied: Chunks<Line, 1024>,
    /// Voxels that were nodes before the epoch or are afterwards, but not both.
    pub(super) changed: Chunks<Line, 1024>,
    /// Of the tiles near a change of this epoch, the voxels with one within three along every axis.
    pub(super) touched: Vec<Line>,
    free: Vec<u32>,
    places: Chunks<Place, 64>,
    free_places: Vec<u32>,
    at: FxHashMap<u64, u32>,
    /// For each level above the places, which of the 512 places below a place hold something.
    above: [FxHashMap<u64, Mask>; LEVELS - 1],
}

impl Tiles {
    /// No tiles.
    pub(super) fn new() -> Self {
        let tile = Tile { far: [0; 8], rows: Vec::new(), beside: [NONE; 27] };
        let mut tiles = Tiles {
            all: Chunks::new(tile.clone()),
            notes: Chunks::new(Note::new(u64::MAX)),
            occupied: Chunks::new(Line([0; 8])),
            changed: Chunks::new(Line([0; 8])),
            touched: Vec::new(),
            free: Vec::new(),
            places: Chunks::new(Place { key: 0, some: [0; 8], tiles: [NONE; 512] }),
            free_places: Vec::new(),
            at: FxHashMap::default(),
            above: Default::default(),
        };
        tiles.push(u64::MAX, tile);
        tiles
    }

    fn push(&mut self, key: u64, tile: Tile) -> u32 {
        self.occupied.push(Line([0; 8]));
        self.changed.push(Line([0; 8]));
        self.notes.push(Note::new(key));
        self.all.push(tile)
    }

    /// Notes that a tile is near a change, which `sides` says more of, and puts it to those nearby.
    #[inline(always)]
    pub(super) fn put(&mut self, tile: u32, sides: u32, nearby: &mut Vec<u32>) {
        let note = &mut self.notes[tile];
        if note.sides == 0 {
            note.slot = self.touched.len() as u32;
            self.touched.push(Line([0; 8]));
            nearby.push(tile);
        }
        note.sides |= sides;
    }

    /// Id of a tile's first voxel.
    #[inline(always)]
    pub(super) fn origin(&self, tile: u32) -> u64 {
        place(self.notes[tile].key).into_iter().fold(0, |id, v| id << AXIS | u64::from(v) << 3)
    }

    /// Index of the tile that a voxel is in, its word and bit there. An id of 64 bits is in no tile: its x is beyond every key.
    #[inline(always)]
    pub(super) fn find(&self, id: u64) -> Option<(u32, usize, u32)> {
        let p = voxel(id);
        let (x, bit) = bit(p);
        self.tile(p.map(|v| v >> 3)).map(|tile| (tile, x, bit))
    }

    /// [`Tiles::find`], with a new tile if there is none.
    pub(super) fn make(&mut self, id: u64) -> (u32, usize, u32) {
        let p = voxel(id);
        let (x, bit) = bit(p);
        let at = p.map(|v| v >> 3);
        (self.tile(at).unwrap_or_else(|| self.add(at)), x, bit)
    }

    fn add(&mut self, at: [u32; 3]) -> u32 {
        let mut tile = Tile { far: [0; 8], rows: Vec::new(), beside: [NONE; 27] };
        let index = self.free.pop().unwrap_or(self.all.len() as u32);
        for (side, beside) in tile.beside.iter_mut().enumerate() {
            let around = [side / 9, side / 3 % 3, side % 3];
            let moved = |axis: usize| (at[axis] + around[axis] as u32).checked_sub(1).filter(|v| v >> KEY == 0);
            if side == SELF {
                *beside = index;
            } else if let (Some(x), Some(y), Some(z)) = (moved(0), moved(1), moved(2))
                && let Some(other) = self.tile([x, y, z])
            {
                *beside = other;
                self.all[other].beside[26 - side] = index;
            }
        }
        if index as usize == self.all.len() {
            self.push(key(at), tile);
        } else {
            self.all[index] = tile;
            self.notes[index] = Note::new(key(at));
        }
        let (x, slot) = bit(at);
        let place_key = key(at.map(|v| v >> 3));
        let place = *self.at.entry(place_key).or_insert_with(|| {
            let place = self.free_places.pop();
            place.unwrap_or_else(|| self.places.push(Place { key: 0, some: [0; 8], tiles: [NONE; 512] }))
        });
        let place = &mut self.places[place];
        place.key = place_key;
        place.tiles[x * 64 + slot as usize] = index;
        let known = place.some != [0; 8];
        place.some[x] |= 1 << slot;
        if known {
            return index;
        }
        let mut at = at.map(|v| v >> 3);
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
        let tile = &self.all[index];
        let (mut at, beside) = (place(self.notes[index].key), tile.beside);
        self.free.push(index);
        for (side, beside) in beside.into_iter().enumerate() {
            if beside != NONE && side != SELF {
                self.all[beside].beside[26 - side] = NONE;
            }
        }
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
        self.free_places.push(number);
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

    /// Calls `each` with the tiles that are up to `reach` tiles from one along every axis, and how many from the corner they are.
    pub(super) fn within(&self, tile: u32, reach: u32, mut each: impl FnMut(u32, [u32; 3])) {
        let centre = place(self.notes[tile].key);
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

    /// The tile at coordinates.
    #[inline(always)]
    fn tile(&self, at: [u32; 3]) -> Option<u32> {
        let (x, slot) = bit(at);
        let place = *self.at.get(&key(at.map(|v| v >> 3)))?;
        Some(self.places[place].tiles[x * 64 + slot as usize]).filter(|&tile| tile != NONE)
    }

    /// The tile of a key.
    pub(super) fn of_key(&self, key: u64) -> Option<u32> {
        self.tile(place(key))
    }

    /// Tiles in use, in no order.
    pub(super) fn used(&self) -> impl Iterator<Item = u32> {
        let places = self.at.values().map(|&place| &self.places[place]);
        places.flat_map(|place| place.tiles.iter().copied().filter(|&tile| tile != NONE))
    }

    /// The occupancy of a tile and those beside it.
    #[inline(always)]
    pub(super) fn occupied_around(&self, tile: u32) -> [&Mask; 27] {
        let mut around = [&self.occupied[NONE].0; 27];
        for (mask, &beside) in around.iter_mut().zip(&self.all[tile].beside) {
            *mask = &self.occupied[beside].0;
        }
        around
    }

    /// What changed in a tile and those beside it.
    #[inline(always)]
    pub(super) fn changed_around(&self, tile: u32) -> [&Mask; 27] {
        let mut around = [&self.changed[NONE].0; 27];
        let mut sides = self.notes[tile].sides & !REMOTE;
        let tile = &self.all[tile];
        while sides != 0 {
            let side = sides.trailing_zeros() as usize;
            sides &= sides - 1;
            around[side] = &self.changed[tile.beside[side]].0;
        }
        around
    }

    /// Asks for the memory of a tile.
    #[inline(always)]
    pub(super) fn ahead<I: Isa>(&self, isa: I, tile: u32) {
        isa.prefetch(&self.touched[self.notes[tile].slot as usize]);
        isa.prefetch(&self.changed[tile]);
        let tile = &self.all[tile];
        isa.prefetch(&tile.far);
        isa.prefetch(&tile.rows);
        isa.prefetch(&tile.beside[0]);
        isa.prefetch(&tile.beside[16]);
    }

    /// Asks for the memory of what a tile knows: where its rows are, and the masks beside it of larger x. The others were read not long before,
    /// in the order of keys.
    #[inline(always)]
    pub(super) fn ahead_beside<I: Isa>(&self, isa: I, tile: u32) {
        let tile = &self.all[tile];
        if let Some(row) = tile.rows.first() {
            isa.prefetch(row);
        }
        tile.beside[18..].iter().for_each(|&beside| isa.prefetch(&self.occupied[beside]));
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let masks: usize = self.above.iter().map(|level| level.capacity() * (8 + size_of::<Mask>())).sum();
        let tiles = self.all.memory() + self.notes.memory() + self.occupied.memory() + self.changed.memory();
        tiles + self.places.memory() + self.at.capacity() * 13 + masks
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
