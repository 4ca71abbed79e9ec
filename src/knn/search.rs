//! The search of a batch of up to 32 points that lie near each other.

use super::isa::{Found, Isa, Job, Keys, SENTINEL, block, key, key_d2, key_id};
use super::layout::{Bounds, LANES, NO_ID, Node, Unit};
use super::tree::Tree;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Points in a batch: they share the search for units, four units of eight.
pub(super) const BATCH: usize = 32;

/// Units that a batch may share; one that would need more goes nearest units first.
const LIMIT: usize = 512;

/// Units between two looks at the bounds when going nearest first.
const ROUND: usize = 32;

/// Which of eight points of a batch is searched first.
const PIVOT: usize = 4;

/// Where the lists go.
pub(super) trait Sink {
    /// Takes the list of the batch's point `at`: keys ascending, at least `k` of them, then sentinels. Implementations are `#[inline(always)]`.
    fn list(&mut self, at: usize, id: u32, keys: &Keys, members: Members<'_>);
}

/// The points that a list's keys were selected from: ids and tags.
#[derive(Clone, Copy)]
pub(super) struct Members<'a> {
    id: &'a [u32],
    tag: &'a [u32],
}

impl Members<'_> {
    /// The tag of a member; [`NO_ID`] of none.
    #[inline(always)]
    pub(super) fn tag<I: Isa>(&self, isa: I, id: u32) -> u32 {
        for (ids, tags) in self.id.chunks_exact(LANES).zip(self.tag.chunks_exact(LANES)) {
            let mask = isa.equal(ids.first_chunk().expect("whole units"), id);
            if mask != 0 {
                return tags[mask.trailing_zeros() as usize % LANES];
            }
        }
        NO_ID
    }
}

/// Points to be searched for, as columns. Slots after the last repeat it up to a multiple of eight.
pub(super) struct Batch {
    p: [[f32; BATCH]; 3],
    id: [u32; BATCH],
    len: usize,
}

impl Batch {
    pub(super) const EMPTY: Batch = Batch { p: [[0.0; BATCH]; 3], id: [NO_ID; BATCH], len: 0 };

    /// Empties the batch.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds the points of a unit whose bits are set.
    #[inline(always)]
    pub(super) fn extend(&mut self, unit: &Unit, mut slots: u32) {
        if slots == 0xff && self.len.is_multiple_of(LANES) {
            for axis in 0..3 {
                self.p[axis][self.len..self.len + LANES].copy_from_slice(&unit.p[axis]);
            }
            self.id[self.len..self.len + LANES].copy_from_slice(&unit.id);
            self.len += LANES;
            return;
        }
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize % LANES;
            slots &= slots - 1;
            for (column, v) in self.p.iter_mut().zip(unit.point(slot)) {
                column[self.len..].iter_mut().take(LANES).for_each(|to| *to = v);
            }
            self.id[self.len] = unit.id[slot];
            self.len += 1;
        }
    }

    #[inline(always)]
    fn point(&self, i: usize) -> [f32; 3] {
        [self.p[0][i], self.p[1][i], self.p[2][i]]
    }

    /// Its bounding box.
    fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::EMPTY;
        for i in 0..self.len {
            bounds.add(&Bounds { lo: self.point(i), hi: self.point(i), first: 0 });
        }
        bounds
    }
}

/// Units near a batch: their boxes as columns, and their indices.
struct Near {
    lo: [Vec<f32>; 3],
    hi: [Vec<f32>; 3],
    unit: Vec<u32>,
    len: usize,
}

impl Near {
    /// Ends the columns with boxes that nothing is near to.
    fn close(&mut self) {
        for column in self.lo.iter_mut().chain(&mut self.hi) {
            column[self.len..][..LANES].fill(f32::NAN);
        }
    }
}

/// Memory that searches use again.
pub(super) struct Scratch {
    near: Near,
    listed: Vec<u32>,
    found: Found,
    stack: Vec<(u32, u32)>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let column = || vec![f32::NAN; LIMIT + 2 * LANES];
        let near = Near {
            lo: [column(), column(), column()],
            hi: [column(), column(), column()],
            unit: vec![0; LIMIT + 2 * LANES],
            len: 0,
        };
        Scratch { near, listed: vec![0; LIMIT], found: Found::EMPTY, stack: Vec::new() }
    }
}

/// Searches a tree, batch after batch.
pub(super) struct Searcher<'a, I, const TAGGED: bool> {
    isa: I,
    tree: &'a Tree,
    /// The tags of each unit's points, if [`Sink::list`] is to know them.
    tags: &'a [[u32; LANES]],
    /// Neighbours wanted; what else is found is handed over with them, nearest first.
    k: usize,
    /// The points are in the tree themselves and not their own neighbours.
    own: bool,
    scratch: &'a mut Scratch,
}

impl<'a, I: Isa, const TAGGED: bool> Searcher<'a, I, TAGGED> {
    pub(super) fn new(
        isa: I,
        tree: &'a Tree,
        tags: &'a [[u32; LANES]],
        k: usize,
        own: bool,
        scratch: &'a mut Scratch,
    ) -> Self {
        Searcher { isa, tree, tags, k, own, scratch }
    }

    /// Searches every point of a batch, and hands over its id and keys, `R` of them, of which the first `k` count.
    /// `seeds` are units near the batch; the more points they hold and the nearer they are, the quicker.
    #[inline(always)]
    pub(super) fn search<const R: usize>(&mut self, batch: &Batch, seeds: &[u32], sink: &mut impl Sink) {
        let mut limits = [0.0; BATCH];
        for at in (0..batch.len).step_by(LANES) {
            let lanes: &mut [f32; LANES] = limits[at..].first_chunk_mut().expect("a batch is whole units");
            *lanes = self.seed_limits(batch, at, seeds);
        }
        let bounds = batch.bounds();
        let widest = limits[..batch.len].iter().copied().fold(0.0, f32::max);
        if !self.gather(&bounds, widest) {
            let isa = self.isa;
            return isa.run(Far::<R, TAGGED, _, _> {
                searcher: self,
                batch,
                bounds: &bounds,
                limits: &mut limits[..batch.len],
                sink,
            });
        }
        // One pivot of every eight first: its true distance then limits the other seven.
        let mut reach = [0.0; BATCH];
        self.search_some::<R, true>(batch, &limits, &mut reach, sink);
        for at in (PIVOT..batch.len).step_by(LANES) {
            self.limit_by_pivot(batch, at, reach[at], &mut limits);
        }
        self.search_some::<R, false>(batch, &limits, &mut reach, sink);
    }

    /// Searches the pivots of a batch or the rest, all of them in each of three steps, so that the processor can work on several at
    /// once; notes the squared distances of their `k`-th neighbours.
    #[inline(always)]
    fn search_some<const R: usize, const PIVOTS: bool>(
        &mut self,
        batch: &Batch,
        limits: &[f32; BATCH],
        reach: &mut [f32; BATCH],
        sink: &mut impl Sink,
    ) {
        let which = |i: usize| (i % LANES == PIVOT) == PIVOTS;
        let mut listed = [0; BATCH + 1];
        let mut found = [0; BATCH + 1];
        for i in 0..batch.len {
            listed[i + 1] = if which(i) { self.list_units(batch.point(i), limits[i], listed[i]) } else { listed[i] };
        }
        for i in 0..batch.len {
            found[i + 1] = found[i];
            if which(i) {
                let units = listed[i]..listed[i + 1];
                let end = self.find(batch.point(i), batch.id[i], limits[i], units, found[i]);
                found[i + 1] = self.scratch.found.pad(found[i], end, block(R));
            }
        }
        let mut keys = [SENTINEL; super::MAX_K];
        for i in 0..batch.len {
            if which(i) {
                let range = found[i]..found[i + 1];
                let found = &self.scratch.found;
                let members = Members { id: &found.id[range.clone()], tag: &found.tag[range.clone()] };
                self.isa.select::<R>(&found.d2[range], members.id, &mut keys);
                reach[i] = key_d2(keys[self.k - 1]);
                sink.list(i, batch.id[i], &keys, members);
            }
        }
    }

    /// The triangle inequality: the pivot and its neighbours are no further than its `k`-th distance and the way to it. The factor and
    /// the summand are far above what rounding and denormals can lose.
    #[inline(always)]
    fn limit_by_pivot(&self, batch: &Batch, pivot: usize, d2: f32, limits: &mut [f32; BATCH]) {
        let (o, reach) = (batch.point(pivot), d2.sqrt());
        for (i, limit) in limits.iter_mut().enumerate().skip(pivot - PIVOT).take(LANES) {
            let (dx, dy, dz) = (batch.p[0][i] - o[0], batch.p[1][i] - o[1], batch.p[2][i] - o[2]);
            let way = reach + (dx * dx + dy * dy + dz * dz).sqrt();
            *limit = limit.min(way * way * 1.00001 + 1e-30);
        }
    }

    /// For the eight points of the batch from `at`: an upper bound of the `k`-th squared distance, the exact one among the seeds where
    /// there are up to 32 seeds; of more, groups of 32 are looked at and the worst of them taken.
    #[inline(always)]
    fn seed_limits(&self, batch: &Batch, at: usize, seeds: &[u32]) -> [f32; LANES] {
        let isa = self.isa;
        let q = [lanes(isa, &batch.p[0], at), lanes(isa, &batch.p[1], at), lanes(isa, &batch.p[2], at)];
        let groups = seeds.len().div_ceil(4).max(1);
        let rank = (self.k + usize::from(self.own)).div_ceil(groups);
        if rank > 32 {
            return [f32::INFINITY; LANES];
        }
        let infinite = isa.splat(f32::INFINITY);
        let mut limit = isa.splat(0.0);
        for group in 0..groups {
            let mut runs = [[infinite; 16]; 2];
            for i in 0..32 {
                let seed = i * groups + group;
                if let Some(&unit) = seeds.get(seed / LANES) {
                    // Slot by slot in turn, because the last ones of a unit may be empty.
                    let p = self.tree.units[unit as usize].point((seed + seed / LANES) % LANES);
                    let dx = isa.sub(isa.splat(p[0]), q[0]);
                    let dy = isa.sub(isa.splat(p[1]), q[1]);
                    let dz = isa.sub(isa.splat(p[2]), q[2]);
                    runs[i / 16][i % 16] = sum_of_squares(isa, dx, dy, dz);
                }
            }
            let [mut a, mut b] = runs;
            sort_lanes(isa, &mut a);
            sort_lanes(isa, &mut b);
            // The `rank` smallest of two ascending runs are min(a[i], b[rank - 1 - i]); the last of them is their maximum.
            for i in 0..rank {
                let low = *a.get(i).unwrap_or(&infinite);
                let high = *b.get(rank - 1 - i).unwrap_or(&infinite);
                limit = isa.max(limit, isa.min(low, high));
            }
        }
        isa.array(limit)
    }

    /// Collects the units whose boxes are within `limit` of the batch; false if they are more than [`LIMIT`].
    #[inline(always)]
    fn gather(&mut self, batch: &Bounds, limit: f32) -> bool {
        let (isa, tree) = (self.isa, self.tree);
        let Scratch { near, stack, .. } = &mut *self.scratch;
        let lo = [isa.splat(batch.lo[0]), isa.splat(batch.lo[1]), isa.splat(batch.lo[2])];
        let hi = [isa.splat(batch.hi[0]), isa.splat(batch.hi[1]), isa.splat(batch.hi[2])];
        let limit = isa.splat(limit);
        near.len = 0;
        stack.clear();
        stack.push(tree.root);
        while let Some((height, index)) = stack.pop() {
            let node = tree.node(height, index);
            let mut mask = isa.le(node_d2(isa, node, lo, hi), limit);
            if height == 0 {
                for axis in 0..3 {
                    isa.pack(isa.load(&node.lo[axis]), mask, &mut near.lo[axis][near.len..]);
                    isa.pack(isa.load(&node.hi[axis]), mask, &mut near.hi[axis][near.len..]);
                }
                isa.pack_ids(&node.child, mask, &mut near.unit[near.len..]);
                near.len += mask.count_ones() as usize;
                if near.len > LIMIT {
                    return false;
                }
            } else {
                while mask != 0 {
                    stack.push((height - 1, node.child[mask.trailing_zeros() as usize % LANES]));
                    mask &= mask - 1;
                }
            }
        }
        near.close();
        true
    }

    /// Lists the collected units within a point's limit from `at` of the list on; returns the end.
    #[inline(always)]
    fn list_units(&mut self, p: [f32; 3], limit: f32, mut at: usize) -> usize {
        let isa = self.isa;
        let q = [isa.splat(p[0]), isa.splat(p[1]), isa.splat(p[2])];
        let (zero, limit) = (isa.splat(0.0), isa.splat(limit));
        let room = at + self.scratch.near.len + LANES;
        if self.scratch.listed.len() < room {
            self.scratch.listed.resize(2 * room, 0);
        }
        for from in (0..self.scratch.near.len).step_by(LANES) {
            let mut gap = [zero; 3];
            for axis in 0..3 {
                let below = isa.sub(lanes(isa, &self.scratch.near.lo[axis], from), q[axis]);
                let above = isa.sub(q[axis], lanes(isa, &self.scratch.near.hi[axis], from));
                gap[axis] = isa.max(zero, isa.max(below, above));
            }
            let mask = isa.le(sum_of_squares(isa, gap[0], gap[1], gap[2]), limit);
            let units = self.scratch.near.unit[from..].first_chunk().expect("the columns are padded");
            isa.pack_ids(units, mask, &mut self.scratch.listed[at..]);
            at += mask.count_ones() as usize;
        }
        at
    }

    /// Packs the points of listed units within a point's limit from `at` of those found on; returns the end.
    #[inline(always)]
    fn find(&mut self, p: [f32; 3], id: u32, limit: f32, units: Range<usize>, mut at: usize) -> usize {
        let isa = self.isa;
        let q = [isa.splat(p[0]), isa.splat(p[1]), isa.splat(p[2])];
        let limit = isa.splat(limit);
        let own = if self.own { id } else { NO_ID };
        self.scratch.found.reserve(at + units.len() * LANES);
        for &index in &self.scratch.listed[units] {
            let unit = &self.tree.units[index as usize];
            let dx = isa.sub(isa.load(&unit.p[0]), q[0]);
            let dy = isa.sub(isa.load(&unit.p[1]), q[1]);
            let dz = isa.sub(isa.load(&unit.p[2]), q[2]);
            let d2 = sum_of_squares(isa, dx, dy, dz);
            let mask = isa.le(d2, limit) & !isa.equal(&unit.id, own);
            isa.pack(d2, mask, &mut self.scratch.found.d2[at..]);
            isa.pack_ids(&unit.id, mask, &mut self.scratch.found.id[at..]);
            if TAGGED {
                isa.pack_ids(&self.tags[index as usize], mask, &mut self.scratch.found.tag[at..]);
            }
            at += mask.count_ones() as usize;
        }
        at
    }

    /// Searches a batch whose bounds take in too many units, nearest units first by (squared distance, smallest id): a heap of
    /// thousands of points at one place, or one far from everything, needs only a few of them.
    #[inline(always)]
    fn search_far<const R: usize>(&mut self, batch: &Batch, bounds: &Bounds, limits: &mut [f32], sink: &mut impl Sink) {
        let (isa, k) = (self.isa, self.k);
        let lo = [isa.splat(bounds.lo[0]), isa.splat(bounds.lo[1]), isa.splat(bounds.lo[2])];
        let hi = [isa.splat(bounds.hi[0]), isa.splat(bounds.hi[1]), isa.splat(bounds.hi[2])];
        let mut lists = vec![[SENTINEL; super::MAX_K]; batch.len];
        let mut tags = vec![[NO_ID; super::MAX_K]; batch.len];
        let mut worst = key(limits.iter().copied().fold(0.0, f32::max), NO_ID);
        let mut heap = BinaryHeap::from([Reverse((0, self.tree.root.0 + 1, self.tree.root.1))]);
        loop {
            self.scratch.near.len = 0;
            while let Some(Reverse((nearest, height, index))) = heap.pop() {
                if nearest > worst {
                    heap.clear();
                } else if height > 0 {
                    let node = self.tree.node(height - 1, index);
                    let d2 = isa.array(node_d2(isa, node, lo, hi));
                    for slot in (0..LANES).filter(|&slot| !d2[slot].is_nan()) {
                        let nearest = key(d2[slot], node.first[slot]);
                        if nearest <= worst {
                            heap.push(Reverse((nearest, height - 1, node.child[slot])));
                        }
                    }
                } else {
                    let unit = self.tree.leaves[index as usize / LANES].get(index as usize % LANES);
                    for axis in 0..3 {
                        self.scratch.near.lo[axis][self.scratch.near.len] = unit.lo[axis];
                        self.scratch.near.hi[axis][self.scratch.near.len] = unit.hi[axis];
                    }
                    self.scratch.near.unit[self.scratch.near.len] = index;
                    self.scratch.near.len += 1;
                    if self.scratch.near.len == ROUND {
                        break;
                    }
                }
            }
            if self.scratch.near.len == 0 {
                break;
            }
            self.scratch.near.close();
            worst = 0;
            self.scratch.found.reserve(R);
            for (i, list) in lists.iter_mut().enumerate() {
                for (at, &key) in list[..R].iter().enumerate() {
                    self.scratch.found.d2[at] = key_d2(key);
                    self.scratch.found.id[at] = key_id(key);
                    self.scratch.found.tag[at] = tags[i][at];
                }
                let listed = self.list_units(batch.point(i), limits[i], 0);
                let end = self.find(batch.point(i), batch.id[i], limits[i], 0..listed, R);
                let end = self.scratch.found.pad(0, end, block(R));
                let members = Members { id: &self.scratch.found.id[..end], tag: &self.scratch.found.tag[..end] };
                isa.select::<R>(&self.scratch.found.d2[..end], members.id, list);
                if TAGGED {
                    for (tag, &key) in tags[i].iter_mut().zip(&list[..R]) {
                        *tag = members.tag(isa, key_id(key));
                    }
                }
                limits[i] = limits[i].min(key_d2(list[k - 1]));
                worst = worst.max(list[k - 1].min(key(limits[i], NO_ID)));
            }
        }
        for (i, (list, tags)) in lists.iter_mut().zip(&tags).enumerate() {
            // What lies beyond the k-th is not complete here.
            list[k..].fill(SENTINEL);
            sink.list(i, batch.id[i], list, Members { id: &list.map(key_id), tag: tags });
        }
    }
}

/// [`Searcher::search_far`] as a function of its own, out of the way of the usual path but with the same instruction set.
struct Far<'s, 'a, const R: usize, const TAGGED: bool, I, S> {
    searcher: &'s mut Searcher<'a, I, TAGGED>,
    batch: &'s Batch,
    bounds: &'s Bounds,
    limits: &'s mut [f32],
    sink: &'s mut S,
}

impl<const R: usize, const TAGGED: bool, I: Isa, S: Sink> Job for Far<'_, '_, R, TAGGED, I, S> {
    type Out = ();

    #[inline(always)]
    fn run<Same: Isa>(self, _: Same) {
        self.searcher.search_far::<R>(self.batch, self.bounds, self.limits, self.sink);
    }
}

impl Tree {
    /// A unit of the leaf that a batch is nearest to, or nearly so: the nearest child of every node from the root on.
    pub(super) fn unit_near(&self, batch: &Batch) -> usize {
        let bounds = batch.bounds();
        let (mut height, mut index) = self.root;
        loop {
            let node = self.node(height, index);
            let mut nearest = (f32::INFINITY, node.child[0]);
            for slot in 0..LANES {
                let child = node.get(slot);
                let gap =
                    |axis: usize| (child.lo[axis] - bounds.hi[axis]).max(bounds.lo[axis] - child.hi[axis]).max(0.0);
                let d2 = gap(0) * gap(0) + gap(1) * gap(1) + gap(2) * gap(2);
                if !child.lo[0].is_nan() && d2 < nearest.0 {
                    nearest = (d2, node.child[slot]);
                }
            }
            if height == 0 {
                return nearest.1 as usize;
            }
            (height, index) = (height - 1, nearest.1);
        }
    }

    /// The node at a height above the units.
    #[inline(always)]
    pub(super) fn node(&self, height: u32, index: u32) -> &Node {
        if height == 0 { &self.leaves[index as usize] } else { &self.nodes[index as usize] }
    }
}

/// Eight lanes of a column from `at`.
#[inline(always)]
pub(super) fn lanes<I: Isa>(isa: I, column: &[f32], at: usize) -> I::F {
    isa.load(column[at..].first_chunk().expect("columns are padded to whole registers"))
}

#[inline(always)]
pub(super) fn sum_of_squares<I: Isa>(isa: I, x: I::F, y: I::F, z: I::F) -> I::F {
    isa.add(isa.add(isa.mul(x, x), isa.mul(y, y)), isa.mul(z, z))
}

/// Squared distances from a box to the eight of a node: no more than that of any pair of points inside, also after rounding,
/// because subtraction, squaring and addition of what is not negative round monotonically.
#[inline(always)]
pub(super) fn node_d2<I: Isa>(isa: I, node: &Node, lo: [I::F; 3], hi: [I::F; 3]) -> I::F {
    let zero = isa.splat(0.0);
    let mut gap = [zero; 3];
    for axis in 0..3 {
        let above = isa.sub(isa.load(&node.lo[axis]), hi[axis]);
        let below = isa.sub(lo[axis], isa.load(&node.hi[axis]));
        gap[axis] = isa.max(zero, isa.max(above, below));
    }
    sum_of_squares(isa, gap[0], gap[1], gap[2])
}

/// Sorts sixteen registers lane by lane with Green's network of 60 exchanges (Knuth, The Art of Computer Programming 3, 5.3.4).
#[inline(always)]
fn sort_lanes<I: Isa>(isa: I, v: &mut [I::F; 16]) {
    macro_rules! exchange {
        ($($a:literal $b:literal),*) => {$(
            (v[$a], v[$b]) = (isa.min(v[$a], v[$b]), isa.max(v[$a], v[$b]));
        )*};
    }
    exchange!(0 1, 2 3, 4 5, 6 7, 8 9, 10 11, 12 13, 14 15);
    exchange!(0 2, 1 3, 4 6, 5 7, 8 10, 9 11, 12 14, 13 15);
    exchange!(0 4, 1 5, 2 6, 3 7, 8 12, 9 13, 10 14, 11 15);
    exchange!(0 8, 1 9, 2 10, 3 11, 4 12, 5 13, 6 14, 7 15);
    exchange!(5 10, 6 9, 3 12, 13 14, 4 8, 7 11, 1 2);
    exchange!(1 4, 7 13, 2 8, 11 14);
    exchange!(2 4, 5 6, 9 10, 11 13, 3 8, 7 12);
    exchange!(6 8, 10 12, 3 5, 7 9);
    exchange!(3 4, 5 6, 7 8, 9 10, 11 12);
    exchange!(6 7, 8 9);
}
