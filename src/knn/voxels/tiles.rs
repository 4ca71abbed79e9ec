//! Occupied voxels as bits: tiles of 8 x 8 x 8 voxels, each of which knows the 26 beside it.
//!
//! A voxel's id has 21 bits an axis, x above y above z, a tile's key 18.

use super::chunks::Chunks;
use super::mask::{Mask, NONE};
use super::offsets::AXIS;
use super::pyramid::{KEY, Pyramid, bit, key, place};
use crate::knn::isa::Isa;

/// Tiles along an axis from the one in the middle.
pub(super) const BESIDE_TILES: u32 = 1;

/// Largest squared distance that the 27 tiles around a node take in, wherever in its tile it is: the next voxel outside is nine away.
pub(super) const BESIDE: f32 = within(BESIDE_TILES);

/// Largest squared distance that so many tiles on each side of a node's own take in.
pub(super) const fn within(tiles: u32) -> f32 {
    let outside = 8 * tiles + 1;
    (outside * outside - 1) as f32
}

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
    pub(super) pyramid: Pyramid,
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
            pyramid: Pyramid::new(),
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
        self.pyramid.tile(p.map(|v| v >> 3)).map(|tile| (tile, x, bit))
    }

    /// [`Tiles::find`], with a new tile if there is none.
    pub(super) fn make(&mut self, id: u64) -> (u32, usize, u32) {
        let p = voxel(id);
        let (x, bit) = bit(p);
        let at = p.map(|v| v >> 3);
        (self.pyramid.tile(at).unwrap_or_else(|| self.add(at)), x, bit)
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
                && let Some(other) = self.pyramid.tile([x, y, z])
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
        self.pyramid.add(at, index);
        index
    }

    /// Forgets an empty tile.
    pub(super) fn remove(&mut self, index: u32) {
        let tile = &self.all[index];
        let (at, beside) = (place(self.notes[index].key), tile.beside);
        self.free.push(index);
        for (side, beside) in beside.into_iter().enumerate() {
            if beside != NONE && side != SELF {
                self.all[beside].beside[26 - side] = NONE;
            }
        }
        self.pyramid.remove(at);
    }

    /// The tile of a key.
    pub(super) fn of_key(&self, key: u64) -> Option<u32> {
        self.pyramid.tile(place(key))
    }

    /// Calls `each` with the tiles that are up to `reach` tiles from one along every axis, and how many from the corner they are.
    pub(super) fn within(&self, tile: u32, reach: u32, each: impl FnMut(u32, [u32; 3])) {
        self.pyramid.within(place(self.notes[tile].key), reach, each);
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
        let masks = self.notes.memory() + self.occupied.memory() + self.changed.memory();
        self.all.memory() + masks + self.pyramid.memory()
    }
}
