//! Lists that go beyond the offsets with ranks: among the voxels of the 27 tiles around the node, or of all.

use super::list::List;
use super::local;
use super::mask::{Mask, NONE, members};
use super::offsets::AXIS;
use super::pyramid::{LEVELS, limits};
use super::rows::{position, room};
use super::tiles::{BESIDE, BESIDE_TILES, Tiles, id, voxel, within};
use crate::knn::isa::{Found, Isa, Keys, SENTINEL, block, key_d2, key_id};
use crate::knn::layout::LANES;
use crate::knn::search::{lanes, sum_of_squares};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many tiles around it are read for a list that goes beyond those beside it, one step after the other.
const AROUND_TILES: [u32; 2] = [2, 3];

/// The bit of a code that says that the voxel came in this epoch.
const CAME: u32 = 1 << 18;

/// Keys of voxels that came or went within the reach of a list.
#[derive(Default)]
pub(super) struct Hits {
    pub(super) came: Vec<u32>,
    pub(super) gone: Vec<u32>,
}

/// The voxels around a tile, as columns. They are read once for all nodes of the tile.
#[derive(Default)]
pub(super) struct Around {
    /// By x, y, z in voxels from the corner, six bits each: codes ascend as ids do.
    code: Vec<u32>,
    /// How many there are; what is behind them is left from before.
    len: usize,
    p: [Vec<f32>; 3],
    /// How far from the tile's first voxel the corner is along an axis.
    shift: u32,
    origin: u64,
}

impl Around {
    /// Reads the nodes of the 27 tiles.
    #[inline(always)]
    pub(super) fn nodes_beside(&mut self, tiles: &Tiles, tile: u32) {
        self.begin(tiles, tile, BESIDE_TILES);
        for (side, &beside) in tiles.all[tile].beside.iter().enumerate() {
            if beside != NONE {
                self.add(&tiles.occupied[beside].0, place_of(side));
            }
        }
        self.close();
    }

    /// Reads the nodes of the tiles up to `reach` tiles away.
    #[inline(always)]
    fn nodes_around(&mut self, tiles: &Tiles, tile: u32, reach: u32) {
        self.begin(tiles, tile, reach);
        tiles.within(tile, reach, |tile, place| self.add(&tiles.occupied[tile].0, place));
        self.close();
    }

    /// Reads what changed in those of the 27 tiles that changed.
    #[inline(always)]
    pub(super) fn changes_beside(&mut self, tiles: &Tiles, tile: u32) {
        self.begin(tiles, tile, BESIDE_TILES);
        let (sides, tile) = (tiles.notes[tile].sides, &tiles.all[tile]);
        for side in (0..27).filter(|side| sides >> side & 1 == 1) {
            let beside = tile.beside[side];
            let from = self.len;
            self.add(&tiles.changed[beside].0, place_of(side));
            let occupied = &tiles.occupied[beside].0;
            for code in &mut self.code[from..self.len] {
                let (x, y, z) = (*code >> 12 & 7, *code >> 6 & 7, *code & 7);
                *code |= (occupied[x as usize] >> (8 * y + z) & 1) as u32 * CAME;
            }
        }
        self.close();
    }

    #[inline(always)]
    fn begin(&mut self, tiles: &Tiles, tile: u32, reach: u32) {
        self.len = 0;
        self.shift = 8 * reach;
        self.origin = tiles.origin(tile);
    }

    #[inline(always)]
    fn add(&mut self, mask: &Mask, [x, y, z]: [u32; 3]) {
        if self.code.len() < self.len + 512 + LANES {
            self.code.resize(2 * self.len + 1024, 0);
        }
        let to: &mut [u32; 512] = self.code[self.len..].first_chunk_mut().expect("there is room for a tile");
        let (corner, mut len) = (x << 15 | y << 9 | z << 3, 0);
        members(mask, |word, bit| {
            to[len & 511] = corner + ((word as u32) << 12 | (bit >> 3) << 6 | bit & 7);
            len += 1;
        });
        self.len += len;
    }

    /// Makes the columns, and ends them with whole registers of points that are near to nothing.
    #[inline(always)]
    fn close(&mut self) {
        let end = self.len.next_multiple_of(LANES);
        for (column, shift) in self.p.iter_mut().zip([12, 6, 0]) {
            column.clear();
            column.extend(self.code[..end].iter().map(|code| (code >> shift & 63) as i32 as f32));
            column[self.len..].fill(f32::INFINITY);
        }
    }

    /// A node of the tile, as the columns have it.
    #[inline(always)]
    fn local<I: Isa>(&self, isa: I, node: u64) -> [I::F; 3] {
        let (p, origin) = (voxel(node), voxel(self.origin));
        let local = [0, 1, 2].map(|axis| (p[axis] + self.shift - origin[axis]) as f32);
        [isa.splat(local[0]), isa.splat(local[1]), isa.splat(local[2])]
    }

    /// The code of a node of the tile.
    #[inline(always)]
    fn code(&self, node: u64) -> u32 {
        let (p, origin) = (voxel(node), voxel(self.origin));
        (0..3).fold(0, |code, axis| code << 6 | (p[axis] + self.shift - origin[axis]))
    }

    /// Collects the keys of the voxels within `reach` of a node that came or went.
    #[inline(always)]
    pub(super) fn hits<I: Isa>(&self, isa: I, node: u64, reach: f32, hits: &mut Hits) {
        hits.came.clear();
        hits.gone.clear();
        // What ends the columns is at infinity, which no reach takes in.
        let (q, reach, node) = (self.local(isa, node), isa.splat(reach), self.code(node));
        for at in (0..self.len).step_by(LANES) {
            let d2 = d2(isa, &self.p, q, at);
            let mut mask = isa.le(d2, reach);
            if mask != 0 {
                let d2 = isa.array(d2);
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize % LANES;
                    mask &= mask - 1;
                    let code = self.code[at + lane];
                    let key = local::key(d2[lane], code & !CAME, node);
                    if code & CAME != 0 {
                        hits.came.push(key);
                    } else {
                        hits.gone.push(key);
                    }
                }
            }
        }
    }

    /// The id of a code.
    #[inline(always)]
    fn id(&self, code: u32) -> u64 {
        let from =
            |bits: u32, axis: u32| (u64::from(code >> bits & 63).wrapping_sub(u64::from(self.shift))) << (AXIS * axis);
        self.origin.wrapping_add(from(12, 2)).wrapping_add(from(6, 1)).wrapping_add(from(0, 0))
    }

    /// The list of a node; false if there are not enough voxels within the squared distance that is taken in. It is expected not far beyond
    /// `reach`.
    #[inline(always)]
    fn list<I: Isa, const R: usize>(&self, isa: I, node: u64, reach: f32, found: &mut Found, list: &mut List) -> bool {
        let taken_in = within(self.shift / 8);
        // What need not be sorted is left out, if that leaves enough.
        (1.5 * reach < taken_in && self.list_within::<I, R>(isa, node, 1.5 * reach, found, list))
            || self.list_within::<I, R>(isa, node, taken_in, found, list)
    }

    #[inline(always)]
    fn list_within<I: Isa, const R: usize>(
        &self,
        isa: I,
        node: u64,
        limit: f32,
        found: &mut Found,
        list: &mut List,
    ) -> bool {
        let (q, zero, limit) = (self.local(isa, node), isa.splat(0.0), isa.splat(limit));
        let mut end = 0;
        found.reserve(self.len + R);
        for at in (0..self.len).step_by(LANES) {
            let d2 = d2(isa, &self.p, q, at);
            // Only the node itself is at no distance.
            let mask = isa.le(d2, limit) & !isa.le(d2, zero);
            isa.pack(d2, mask, &mut found.d2[end..]);
            isa.pack_ids(self.code[at..].first_chunk().expect("whole registers"), mask, &mut found.id[end..]);
            end += mask.count_ones() as usize;
        }
        if end < list.k {
            return false;
        }
        let end = found.pad(0, end, block(R));
        let mut keys: Keys = [0; crate::knn::MAX_K];
        isa.select::<R>(&found.d2[..end], &found.id[..end], &mut keys);
        list.clear();
        if self.shift == 8 * BESIDE_TILES {
            // More than are wanted, if they are there at no cost.
            let q = self.code(node);
            let found = keys[..R].iter().take_while(|key| **key != SENTINEL);
            list.keys.extend(found.map(|&key| local::key(key_d2(key), key_id(key), q)));
        } else {
            let found = keys[..R].iter().take_while(|key| **key != SENTINEL);
            found.for_each(|&key| list.push(self.id(key_id(key)), key_d2(key)));
        }
        true
    }
}

/// Tiles from the corner of the 27 to one of them.
#[inline(always)]
fn place_of(side: usize) -> [u32; 3] {
    [side / 9, side / 3 % 3, side % 3].map(|v| v as u32)
}

/// What has been read around a tile, and room for a search.
pub(super) struct Search {
    beside: Around,
    around: Around,
    /// Tiles that the two were read around, and how far.
    read: [Option<(u32, u32)>; 2],
    found: Found,
    /// The list found last.
    pub(super) list: List,
}

impl Search {
    pub(super) fn new(k: usize) -> Self {
        Search {
            beside: Around::default(),
            around: Around::default(),
            read: [None; 2],
            found: Found::EMPTY,
            list: List { k, room: room(k), neighbor: Vec::new(), d2: Vec::new(), keys: Vec::new() },
        }
    }

    /// Forgets what was read: an epoch later it holds no more.
    pub(super) fn forget(&mut self) {
        self.read = [None; 2];
    }

    /// Searches for the list of a node of a tile. It is expected within `reach`, and found wherever it is. `R`
    /// is at least `k`, and `S` the most that are kept of a list that goes beyond the 27 tiles.
    #[inline(always)]
    pub(super) fn run<I: Isa, const R: usize, const S: usize>(
        &mut self,
        isa: I,
        tiles: &Tiles,
        tile: u32,
        node: u64,
        reach: f32,
    ) {
        let Search { beside, around, read, found, list } = self;
        if reach <= BESIDE {
            let wanted = Some((tile, BESIDE_TILES));
            if read[0] != wanted {
                beside.nodes_beside(tiles, tile);
                read[0] = wanted;
            }
            if beside.list::<I, R>(isa, node, reach, found, list) {
                return;
            }
        }
        for tiles_away in AROUND_TILES {
            // A list that lost a member goes further than before.
            if reach <= 0.75 * within(tiles_away) {
                let wanted = Some((tile, tiles_away));
                if read[1] != wanted {
                    around.nodes_around(tiles, tile, tiles_away);
                    read[1] = wanted;
                }
                if around.list::<I, S>(isa, node, reach, found, list) {
                    return;
                }
            }
        }
        everywhere(tiles, node, list);
    }
}

#[inline(always)]
fn d2<I: Isa>(isa: I, p: &[Vec<f32>; 3], q: [I::F; 3], at: usize) -> I::F {
    let [x, y, z] = p;
    let (dx, dy, dz) =
        (isa.sub(lanes(isa, x, at), q[0]), isa.sub(lanes(isa, y, at), q[1]), isa.sub(lanes(isa, z, at), q[2]));
    sum_of_squares(isa, dx, dy, dz)
}

/// The list of a node among all voxels, nearest tiles first: down the pyramid, with every place at its distance from the node.
pub(super) fn everywhere(tiles: &Tiles, node: u64, list: &mut List) {
    let q = position(node);
    let square = |d: [f32; 3]| d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
    // Rounding is monotonic, so nothing in a box is nearer than the box.
    let bound = |level: usize, place: u64| {
        let limits = limits(level, place);
        square([0, 1, 2].map(|axis| (limits[axis].0 - q[axis]).max(q[axis] - limits[axis].1).max(0.0)))
    };
    let mut best: BinaryHeap<(u32, u64)> = BinaryHeap::with_capacity(list.room + 1);
    let mut places = BinaryHeap::from([Reverse((0, LEVELS, 0))]);
    while let Some(Reverse((nearest, level, place))) = places.pop() {
        if best.len() == list.room && best.peek().is_some_and(|worst| nearest > worst.0) {
            break;
        }
        if level > 0 {
            let worst = if best.len() == list.room { best.peek().map_or(u32::MAX, |worst| worst.0) } else { u32::MAX };
            tiles.pyramid.below(level, place, |below| {
                let nearest = bound(level - 1, below).to_bits();
                if nearest <= worst {
                    places.push(Reverse((nearest, level - 1, below)));
                }
            });
        } else if let Some(tile) = tiles.of_key(place) {
            let origin = tiles.origin(tile);
            members(&tiles.occupied[tile].0, |x, bit| {
                let other = id(origin, x, bit);
                let p = position(other);
                let d2 = square([0, 1, 2].map(|axis| p[axis] - q[axis])).to_bits();
                let better = best.len() < list.room || best.peek().is_some_and(|worst| (d2, other) < *worst);
                if other != node && better {
                    if best.len() == list.room {
                        best.pop();
                    }
                    best.push((d2, other));
                }
            });
        }
    }
    list.clear();
    best.into_sorted_vec().into_iter().for_each(|(d2, id)| list.push(id, f32::from_bits(d2)));
}
