//! Lists that go beyond the offsets with ranks: among the voxels of the 27 tiles around the node, or of all.

use super::rows::position;
use super::tiles::{LEVELS, NONE, SELF, Tile, Tiles, id, limits, members, voxel};
use crate::knn::isa::{Found, Isa, Keys, block, key_d2, key_id};
use crate::knn::layout::LANES;
use crate::knn::search::{lanes, sum_of_squares};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Largest squared distance that the tiles around a node take in, wherever in its tile it is: the next voxel outside is nine away.
pub(super) const BESIDE: f32 = 80.0;

/// The voxels of the tiles around one, as columns, and which of them changed.
#[derive(Default)]
pub(super) struct Around {
    /// Of nodes.
    nodes: Columns,
    /// Of voxels that came or went.
    changed: Columns,
    origin: [u32; 3],
    tile: Option<u32>,
}

/// Coordinates within the 24 voxels an axis; codes ascend as ids do.
#[derive(Default)]
struct Columns {
    p: [Vec<f32>; 3],
    code: Vec<u32>,
}

impl Columns {
    fn clear(&mut self) {
        self.p.iter_mut().for_each(Vec::clear);
        self.code.clear();
    }

    fn push(&mut self, p: [u32; 3]) {
        self.p.iter_mut().zip(p).for_each(|(column, v)| column.push(v as f32));
        self.code.push(p[0] << 10 | p[1] << 5 | p[2]);
    }

    /// Ends the columns with whole registers of points that are near to nothing.
    fn close(&mut self) {
        let len = self.code.len().next_multiple_of(LANES);
        self.p.iter_mut().for_each(|column| column.resize(len, f32::INFINITY));
        self.code.resize(len, 0);
    }
}

impl Around {
    /// Forgets what it was around.
    pub(super) fn forget(&mut self) {
        self.tile = None;
    }

    /// Looks around a tile, once.
    pub(super) fn load(&mut self, tiles: &[Tile], index: u32) {
        if self.tile == Some(index) {
            return;
        }
        self.tile = Some(index);
        self.nodes.clear();
        self.changed.clear();
        let tile = &tiles[index as usize];
        self.origin = voxel(tile.origin());
        for (side, &beside) in tile.beside.iter().enumerate() {
            let beside = if side == SELF { index } else { beside };
            if beside != NONE {
                let [x, y, z] = [side / 9, side / 3 % 3, side % 3].map(|v| 8 * v as u32);
                let place = |word: usize, bit: u32| [x + word as u32, y + (bit >> 3), z + (bit & 7)];
                let tile = &tiles[beside as usize];
                members(&tile.occupied, |word, bit| self.nodes.push(place(word, bit)));
                members(&tile.changed, |word, bit| self.changed.push(place(word, bit)));
            }
        }
        self.nodes.close();
        self.changed.close();
    }

    /// A voxel of the tile, as the columns have it.
    #[inline(always)]
    fn local<I: Isa>(&self, isa: I, node: u64) -> [I::F; 3] {
        let p = voxel(node);
        [0, 1, 2].map(|axis| isa.splat((p[axis] + 8 - self.origin[axis]) as f32))
    }

    /// Whether a voxel within `reach` of a node came or went.
    #[inline(always)]
    pub(super) fn changed_within<I: Isa>(&self, isa: I, node: u64, reach: f32) -> bool {
        let (q, reach) = (self.local(isa, node), isa.splat(reach));
        (0..self.changed.code.len()).step_by(LANES).any(|at| isa.le(d2(isa, &self.changed.p, q, at), reach) != 0)
    }

    /// The list of a node from what is around its tile; false if there are not enough within [`BESIDE`].
    #[inline(always)]
    pub(super) fn list<I: Isa, const R: usize>(&self, isa: I, node: u64, found: &mut Found, list: &mut List) -> bool {
        let (q, zero, limit) = (self.local(isa, node), isa.splat(0.0), isa.splat(BESIDE));
        let mut end = 0;
        found.reserve(self.nodes.code.len() + R);
        for at in (0..self.nodes.code.len()).step_by(LANES) {
            let d2 = d2(isa, &self.nodes.p, q, at);
            // Only the node itself is at no distance.
            let mask = isa.le(d2, limit) & !isa.le(d2, zero);
            isa.pack(d2, mask, &mut found.d2[end..]);
            isa.pack_ids(self.nodes.code[at..].first_chunk().expect("whole registers"), mask, &mut found.id[end..]);
            end += mask.count_ones() as usize;
        }
        if end < list.k {
            return false;
        }
        let end = found.pad(0, end, block(R));
        let mut keys: Keys = [0; crate::knn::MAX_K];
        isa.select::<R>(&found.d2[..end], &found.id[..end], &mut keys);
        let corner = self.origin.map(|v| v.wrapping_sub(8));
        list.clear();
        for &key in &keys[..list.k] {
            let code = key_id(key);
            let p = [code >> 10, code >> 5 & 31, code & 31];
            let p = [0, 1, 2].map(|axis| u64::from(corner[axis].wrapping_add(p[axis])));
            list.push(p[0] << 42 | p[1] << 21 | p[2], key_d2(key));
        }
        true
    }
}

#[inline(always)]
fn d2<I: Isa>(isa: I, p: &[Vec<f32>; 3], q: [I::F; 3], at: usize) -> I::F {
    let d = |axis: usize| isa.sub(lanes(isa, &p[axis], at), q[axis]);
    sum_of_squares(isa, d(0), d(1), d(2))
}

/// A list in the making.
pub(super) struct List {
    pub(super) k: usize,
    pub(super) dst: Vec<u64>,
    pub(super) d2: Vec<f32>,
}

impl List {
    pub(super) fn new(k: usize) -> Self {
        List { k, dst: Vec::with_capacity(k), d2: Vec::with_capacity(k) }
    }

    fn clear(&mut self) {
        self.dst.clear();
        self.d2.clear();
    }

    #[inline(always)]
    fn push(&mut self, dst: u64, d2: f32) {
        self.dst.push(dst);
        self.d2.push(d2);
    }
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
    let mut best: BinaryHeap<(u32, u64)> = BinaryHeap::with_capacity(list.k + 1);
    let mut places = BinaryHeap::from([Reverse((0, LEVELS, 0))]);
    while let Some(Reverse((nearest, level, place))) = places.pop() {
        if best.len() == list.k && best.peek().is_some_and(|worst| nearest > worst.0) {
            break;
        }
        if level > 0 {
            let worst = if best.len() == list.k { best.peek().map_or(u32::MAX, |worst| worst.0) } else { u32::MAX };
            tiles.below(level, place, |below| {
                let nearest = bound(level - 1, below).to_bits();
                if nearest <= worst {
                    places.push(Reverse((nearest, level - 1, below)));
                }
            });
        } else if let Some(tile) = tiles.tile(place) {
            members(&tile.occupied, |x, bit| {
                let other = id(tile.origin(), x, bit);
                let p = position(other);
                let d2 = square([0, 1, 2].map(|axis| p[axis] - q[axis])).to_bits();
                let better = best.len() < list.k || best.peek().is_some_and(|worst| (d2, other) < *worst);
                if other != node && better {
                    if best.len() == list.k {
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
