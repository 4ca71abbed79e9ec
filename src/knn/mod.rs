//! The exact k-nearest-neighbour graph: for every point its `k` nearest others by (squared distance, index).
//!
//! `d2 = dx*dx + dy*dy + dz*dz` in f32, in that order, with no fused multiply-add. Ties go to the smaller index, denormals are kept, and
//! a sum that overflows is infinity, sorts last and is still written: every list has `min(k, n - 1)` entries. The bits depend on
//! the points alone, not on the instruction set.
//!
//! # How it works
//!
//! **Layout.** A kd-split puts eight points into a *unit* (columns x, y, z, id), eight units under a *leaf* and eight leaves or nodes under
//! a *node*; leaves and nodes hold the eight boxes of their children as columns. Whatever is looked at, a box or a point, is thus one of
//! eight in a register. See `layout` and `tree`.
//!
//! **Batches.** The points of half a leaf, up to 32, are searched together (`search`):
//!
//! 1. *Limits.* Some point of the batch has its k-th neighbour no further away than the k-th nearest of the 32 points of the batch
//!    themselves. A sorting network with one query a lane finds these limits for eight queries at a time, without ids and without branches.
//! 2. *Gathering.* One descent of the tree with the batch's box and its largest limit collects the units that can matter to any of
//!    them, a few dozen, and copies their boxes side by side.
//! 3. *Search.* For each query: the collected boxes within its limit give a list of units; their points within the limit are packed into a
//!    buffer; the smallest `k` of these, as 64-bit keys (bits of d2, then id), are selected by a bitonic network (`network`). Each of these
//!    three loops runs to its end without a branch that depends on what it reads. The limit is by then the smaller of that of step 1 and the
//!    triangle inequality's by way of the previous query, so that not many more than `k` points get as far as the network.
//!
//! **Exactness.** A box's squared distance is computed from the gaps between limits as that of points is from their differences. Each of the
//! roundings involved is monotonic, so no point in the box is nearer than its box is, and comparisons with a limit include equality.
//! The limit by the triangle inequality is widened by more than its rounding.
//!
//! **Degenerate clouds.** Where a batch's limit takes in more than 512 units (heaps of duplicates, an outlier whose limit spans the
//! cloud, fewer points near than neighbours wanted), units are visited nearest first by (squared distance, smallest id), and the limits
//! are looked at again after every 32: a hundred thousand equal points then cost what as many different ones do.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod changes;
mod isa;
mod layout;
mod lists;
mod live;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod network;
mod points;
mod reverse;
mod scalar;
mod search;
mod simd;
mod tree;
mod voxels;

use std::ops::Range;

use crate::Error;
use crate::share::{Turns, on_each};
use isa::{Isa, Job, Keys};
use layout::{LANES, NO_ID};
use search::{BATCH, Batch, Members, Scratch, Searcher, Sink};
use tree::{Item, Tree};

pub use changes::{IdLists, ListChanges};
pub use lists::NeighborLists;

pub use points::Points3;
pub use simd::Simd;
pub use voxels::VoxelKnn;

/// The most neighbours a list can have.
pub const MAX_K: usize = 64;

/// The k nearest other points of every point, exact: ordered by (squared distance, index).
///
/// # Errors
/// [`Error::Value`] unless `k` is 1 to [`MAX_K`].
pub fn knn_graph(points: Points3<'_>, k: usize) -> Result<NeighborLists, Error> {
    KnnIndex::build(points).graph(k)
}

/// [`knn_graph`] by several threads, with the same bits.
///
/// # Errors
/// As there.
pub fn knn_graph_shared(points: Points3<'_>, k: usize, threads: usize) -> Result<NeighborLists, Error> {
    KnnIndex::build(points).graph_shared(k, threads)
}

/// An index over points that are all known: built at once, asked often.
pub struct KnnIndex {
    simd: Simd,
    tree: Tree,
    items: Vec<Item<()>>,
    len: usize,
}

impl KnnIndex {
    /// Builds an index with the best instruction set.
    pub fn build(points: Points3<'_>) -> Self {
        Self::with_simd(points, Simd::best())
    }

    /// Builds an index that uses one instruction set. All give the same bits.
    pub fn with_simd(points: Points3<'_>, simd: Simd) -> Self {
        let mut index = KnnIndex { simd, tree: Tree::default(), items: Vec::new(), len: 0 };
        index.rebuild(points);
        index
    }

    /// Replaces the points, keeping the memory.
    pub fn rebuild(&mut self, points: Points3<'_>) {
        self.len = points.len();
        build(&mut self.tree, &mut self.items, points);
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without points.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The `k` nearest other points of every point; rows of `min(k, len - 1)`.
    ///
    /// # Errors
    /// [`Error::Value`] unless `k` is 1 to [`MAX_K`].
    pub fn graph(&self, k: usize) -> Result<NeighborLists, Error> {
        let mut lists = NeighborLists::default();
        self.graph_into(k, &mut lists)?;
        Ok(lists)
    }

    /// [`KnnIndex::graph`] into lists whose memory is used again.
    ///
    /// # Errors
    /// As there.
    pub fn graph_into(&self, k: usize, lists: &mut NeighborLists) -> Result<(), Error> {
        check(k)?;
        let k = k.min(self.len.saturating_sub(1));
        lists.reset(self.len, k);
        self.simd.run(All { queries: &self.tree, tree: &self.tree, own: true, k, leaves: 0..usize::MAX, sink: lists });
        Ok(())
    }

    /// [`KnnIndex::graph`] by several threads: each takes some leaves after others and keeps what it finds, and then the lists are put in
    /// the order of the points.
    ///
    /// # Errors
    /// As there.
    pub fn graph_shared(&self, k: usize, threads: usize) -> Result<NeighborLists, Error> {
        /// Leaves a turn, of up to 64 points each.
        const TURN: usize = 32;
        check(k)?;
        let turns = Turns::new(self.tree.units.len().div_ceil(TURN * LANES));
        if threads <= 1 || turns.count() < 2 * threads {
            return self.graph(k);
        }
        let k = k.min(self.len.saturating_sub(1));
        let parts = on_each(threads, || {
            let mut part = Found { k, ids: Vec::new(), keys: Vec::new() };
            while let Some(turn) = turns.take() {
                let leaves = turn * TURN..(turn + 1) * TURN;
                self.simd.run(All { queries: &self.tree, tree: &self.tree, own: true, k, leaves, sink: &mut part });
            }
            part
        });
        let mut lists = NeighborLists::default();
        lists.reset(self.len, k);
        for part in &parts {
            for (&id, keys) in part.ids.iter().zip(part.keys.chunks_exact(k.max(1))) {
                lists.set(id as usize, keys);
            }
        }
        Ok(lists)
    }

    /// The `k` nearest points of each query, which is no node itself; rows of `min(k, len)`.
    ///
    /// # Errors
    /// [`Error::Value`] unless `k` is 1 to [`MAX_K`].
    pub fn nearest(&self, queries: Points3<'_>, k: usize) -> Result<NeighborLists, Error> {
        check(k)?;
        let mut order = Tree::default();
        build(&mut order, &mut Vec::new(), queries);
        let mut lists = NeighborLists::default();
        let k = k.min(self.len);
        lists.reset(queries.len(), k);
        let sink = &mut lists;
        self.simd.run(All { queries: &order, tree: &self.tree, own: false, k, leaves: 0..usize::MAX, sink });
        Ok(lists)
    }
}

/// A tree over points whose ids are their indices.
fn build(tree: &mut Tree, items: &mut Vec<Item<()>>, points: Points3<'_>) {
    items.clear();
    items.extend((0..points.len()).map(|i| Item { p: points.get(i), id: i as u32, tag: () }));
    tree.rebuild(items, LANES, &mut |_, _, _| ());
}

fn check(k: usize) -> Result<(), Error> {
    if (1..=MAX_K).contains(&k) {
        Ok(())
    } else {
        Err(Error::Value { what: "k", found: k.to_string(), expected: format!("1 to {MAX_K}") })
    }
}

impl Sink for NeighborLists {
    #[inline(always)]
    fn list(&mut self, _: usize, id: u32, keys: &Keys, _: Members<'_>) {
        self.set(id as usize, keys);
    }
}

/// What one of several threads found: points and their keys, `k` each.
struct Found {
    k: usize,
    ids: Vec<u32>,
    keys: Vec<u64>,
}

impl Sink for Found {
    #[inline(always)]
    fn list(&mut self, _: usize, id: u32, keys: &Keys, _: Members<'_>) {
        self.ids.push(id);
        self.keys.extend_from_slice(&keys[..self.k]);
    }
}

/// Searches the points of some leaves of a tree in a tree, for lists of `k`.
struct All<'a, S> {
    queries: &'a Tree,
    tree: &'a Tree,
    own: bool,
    k: usize,
    /// Of `queries`; those beyond the last are none.
    leaves: Range<usize>,
    sink: &'a mut S,
}

impl<S: Sink> Job for All<'_, S> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        match self.k {
            0 => (),
            1..=8 => self.search::<I, 8>(isa),
            9..=16 => self.search::<I, 16>(isa),
            17..=32 => self.search::<I, 32>(isa),
            _ => self.search::<I, 64>(isa),
        }
    }
}

impl<S: Sink> All<'_, S> {
    #[inline(always)]
    fn search<I: Isa, const R: usize>(self, isa: I) {
        let k = self.k;
        let mut scratch = Scratch::new();
        let mut searcher = Searcher::<I, false>::new(isa, self.tree, &[], k, self.own, &mut scratch);
        let mut near = [0; 16];
        // 32 seeds give the exact bound of lists up to 16; 64 and 128 do for longer ones.
        let seeds = 4 * (k + 1).div_ceil(17).next_power_of_two();
        let mut batch = Batch::EMPTY;
        let leaves = self.queries.units.chunks(LANES).enumerate().skip(self.leaves.start).take(self.leaves.len());
        for (leaf, units) in leaves {
            let full = units.iter().filter(|unit| unit.id[0] != NO_ID).count();
            let half = if full * LANES > BATCH { full.div_ceil(2) } else { full };
            for (part, units) in units[..full].chunks(half.max(1)).enumerate() {
                batch.clear();
                units.iter().for_each(|unit| batch.extend(unit, isa.equal(&unit.id, NO_ID) ^ 0xff));
                let from = match (self.own, seeds) {
                    (true, ..=4) => leaf * LANES + (part * half).min(full.saturating_sub(seeds)),
                    (true, _) => leaf * LANES,
                    (false, _) => self.tree.unit_near(&batch) / seeds * seeds,
                };
                let from = from.min(self.tree.units.len().saturating_sub(seeds));
                let near: &mut [u32] = &mut near[..seeds.min(self.tree.units.len())];
                near.iter_mut().zip(from as u32..).for_each(|(unit, index)| *unit = index);
                searcher.search::<R>(&batch, near, self.sink);
            }
        }
    }
}
