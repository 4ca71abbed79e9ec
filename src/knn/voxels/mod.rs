//! The exact k-nearest-neighbour graph of occupied voxels, as voxels come and go: a node per voxel, at its integer index.
//!
//! # How it works
//!
//! Between integer points the order of neighbours is the same around every voxel: an offset's rank (see [`offsets`]) says where it stands among
//! all, ties included. So a neighbourhood is a set of ranks, and the list is its first `k` members. Three consequences carry the engine:
//!
//! 1. *A list near by costs some fifty table look-ups.* Occupancy is kept as bits ([`tiles`]); the 45 columns of the 7 x 7 x 7 voxels around
//!    a node are patterns of seven bits, each of which a table turns into ranks. Their union is the neighbourhood.
//! 2. *Nothing is stored for it.* The voxels that changed in an epoch are kept as bits beside the occupancy. Read through the same
//!    table they give the ranks `C` that came or went; with the ranks `N` afterwards, those before were `N xor C`. The list is unchanged if `k`
//!    members stand before the first of `C`, and otherwise it has changed: no old list is needed to know, or to write it out.
//! 3. *A change concerns the tiles around it.* Only nodes with a change within three voxels are looked at, and these are found by
//!    spreading the changed bits, a tile at a time.
//!
//! Lists that have fewer than `k` ranked members, on thin and sparse surfaces, are *far* ([`far`]). They are stored ([`rows`]). Most end within
//! the 27 tiles around the node and are selected from them as in [`super::search`]; the rest, the *remote* ones, are searched for down a
//! pyramid of masks, and found again by what they reach through the tree of [`super::live`].
//!
//! The work of an epoch follows its changes: no step looks at tiles that are not near a change or within a remote list's reach.
//! Nothing depends on history but the places of tiles and rows in memory, and these show in no result.

mod far;
mod offsets;
mod rows;
mod tiles;

use super::changes::{IdLists, ListChanges};
use super::isa::{Isa, Job};
use super::reverse;
use super::search::BATCH;
use super::{Simd, check};
use crate::Error;
use far::{Around, BESIDE, Search};
use offsets::{Offsets, Ranks};
use rows::{Rows, position};
use tiles::{Mask, NONE, Tile, Tiles, Window};

/// An exact k-nearest-neighbour graph of voxels. Its lists and changes depend on the occupied voxels alone, bit for bit.
///
/// A voxel's id is `(x + 2^20) << 42 | (y + 2^20) << 21 | (z + 2^20)` with its index x, y, z, each from -2^20 to 2^20 - 1. Squared distances are
/// between indices as f32 coordinates, `dx*dx + dy*dy + dz*dz`; neighbours are ordered by (squared distance, id).
///
/// ```
/// use thalweg::knn::VoxelKnn;
///
/// let id = |x: u64, y: u64, z: u64| (x + (1 << 20)) << 42 | (y + (1 << 20)) << 21 | (z + (1 << 20));
/// let mut graph = VoxelKnn::new(2).unwrap();
/// graph.apply(&[], &[id(0, 0, 0), id(1, 0, 0), id(5, 0, 0)]).unwrap();
/// let changes = graph.apply(&[id(1, 0, 0)], &[id(0, 2, 0)]).unwrap();
/// assert_eq!(changes.src.len(), 4);
/// assert_eq!(graph.list(id(0, 0, 0)).unwrap(), (vec![id(0, 2, 0), id(5, 0, 0)], vec![4.0, 25.0]));
/// ```
pub struct VoxelKnn {
    k: usize,
    simd: Simd,
    share: Share,
    len: usize,
    tiles: Tiles,
    rows: Rows,
    epoch: u32,
    /// Tiles that changed in this epoch.
    touched: Vec<u32>,
    scratch: Scratch,
    changes: ListChanges,
}

/// Which tiles' lists are worked out here.
#[derive(Clone, Copy)]
struct Share {
    shard: u64,
    shards: u64,
}

impl Share {
    /// Cubes of 32 voxels are dealt out by a mix of their coordinates, so that every part of space is spread evenly.
    fn has(self, tile: &Tile) -> bool {
        if self.shards == 1 {
            return true;
        }
        let [x, y, z] = tiles::voxel(tile.origin()).map(|v| u64::from(v >> 5));
        let mixed = (x << 32 | y << 16 | z).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) % self.shards == self.shard
    }
}

/// Memory that epochs use again.
struct Scratch {
    occupied: Window,
    changed: Window,
    /// What changed beside a tile.
    changes: Around,
    search: Search,
    near: reverse::Near,
    hits: Vec<reverse::Hit>,
    nearby: Vec<(u32, u32)>,
    rows: Vec<u32>,
    order: Vec<(u64, u32)>,
}

impl VoxelKnn {
    /// An empty graph with lists of up to `k` neighbours.
    ///
    /// # Errors
    /// [`Error::Value`] unless `k` is 1 to [`super::MAX_K`].
    pub fn new(k: usize) -> Result<Self, Error> {
        Self::with_simd(k, Simd::best())
    }

    /// An empty graph that uses one instruction set. All give the same bits.
    ///
    /// # Errors
    /// As [`VoxelKnn::new`].
    pub fn with_simd(k: usize, simd: Simd) -> Result<Self, Error> {
        check(k)?;
        Ok(VoxelKnn {
            k,
            simd,
            share: Share { shard: 0, shards: 1 },
            len: 0,
            tiles: Tiles::default(),
            rows: Rows::new(k),
            epoch: 0,
            touched: Vec::new(),
            scratch: Scratch {
                occupied: Window::EMPTY,
                changed: Window::EMPTY,
                changes: Around::default(),
                search: Search::new(k),
                near: reverse::Near::default(),
                hits: Vec::new(),
                nearby: Vec::new(),
                rows: Vec::new(),
                order: Vec::new(),
            },
            changes: ListChanges::default(),
        })
    }

    /// The part of a graph that shard `shard` of `shards` works out: it is told of every voxel, and has the lists of its own part of space.
    /// The lists and changes of all shards together are those of the whole.
    ///
    /// # Errors
    /// [`Error::Value`] unless `k` is 1 to [`super::MAX_K`] and `shard` less than `shards`.
    pub fn sharded(k: usize, shard: usize, shards: usize) -> Result<Self, Error> {
        if shard >= shards {
            let expected = format!("less than {shards}");
            return Err(Error::Value { what: "shard", found: shard.to_string(), expected });
        }
        Ok(VoxelKnn { share: Share { shard: shard as u64, shards: shards as u64 }, ..Self::new(k)? })
    }

    /// Number of occupied voxels, those of other shards included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without voxels.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a voxel is occupied.
    pub fn contains(&self, id: u64) -> bool {
        id >> 63 == 0
            && self
                .tiles
                .find(id)
                .is_some_and(|(tile, x, bit)| self.tiles.all[tile as usize].occupied[x] >> bit & 1 == 1)
    }

    /// Bytes of occupancy and of stored lists.
    pub fn memory(&self) -> usize {
        self.tiles.memory() + self.rows.memory()
    }

    /// Works out one epoch: voxels of `remove` are occupied no more, those of `insert` are from now on. A voxel in both stays.
    ///
    /// # Errors
    /// [`Error::Value`], before anything changes, for an id of 64 bits, a voxel named twice, a removal of one that is not occupied, and an
    /// insertion of one that is.
    pub fn apply(&mut self, remove: &[u64], insert: &[u64]) -> Result<&ListChanges, Error> {
        self.begin();
        if let Err(error) = self.mark(remove, insert) {
            for &tile in &self.touched {
                let tile = &mut self.tiles.all[tile as usize];
                tile.occupied.iter_mut().zip(&mut tile.changed).for_each(|(bits, changed)| {
                    *bits ^= std::mem::take(changed);
                });
            }
            self.sweep();
            return Err(error);
        }
        self.len = self.len + insert.len() - remove.len();
        let nearby = self.nearby();
        let remote = self.remote();
        let VoxelKnn { k, simd, tiles, rows, scratch, changes, .. } = self;
        simd.run(Epoch { k: *k, tiles, rows, scratch, changes, nearby: &nearby, remote: &remote });
        self.scratch.nearby = nearby;
        self.sweep();
        self.sort();
        Ok(&self.changes)
    }

    /// The changes of the last epoch, taken out: a stage that hands them on need not copy them.
    pub fn take(&mut self) -> ListChanges {
        let changes = std::mem::take(&mut self.changes);
        // The next epoch will want about as much.
        self.changes.old.reserve(changes.old.len(), changes.old.edges());
        self.changes.new.reserve(changes.new.len(), changes.new.edges());
        changes
    }

    /// A node's neighbours and their squared distances (in voxels), by (squared distance, id): `min(k, len - 1)` of them. None if
    /// the voxel is not occupied or is another shard's.
    pub fn list(&self, id: u64) -> Option<(Vec<u64>, Vec<f32>)> {
        if !self.contains(id) {
            return None;
        }
        let (tile, x, bit) = self.tiles.find(id)?;
        if !self.share.has(&self.tiles.all[tile as usize]) {
            return None;
        }
        if let Some(row) = self.tiles.all[tile as usize].row(x, bit) {
            let (dst, d2) = self.rows.list(row);
            return Some((dst.to_vec(), d2.to_vec()));
        }
        let mut window = Window::EMPTY;
        window.load(&self.tiles.all, tile);
        let mut lists = IdLists::default();
        let offsets = Offsets::get();
        near(&mut lists, offsets, id, &window.ranks(offsets, x, bit), self.k);
        let (dst, d2) = lists.row(0);
        Some((dst.to_vec(), d2.to_vec()))
    }

    /// All lists of this shard's nodes, ascending by id; `lists` is cleared first. The nodes are returned.
    pub fn lists(&self, lists: &mut IdLists) -> Vec<u64> {
        let mut tiles: Vec<u32> =
            self.tiles.used().filter(|&tile| self.share.has(&self.tiles.all[tile as usize])).collect();
        tiles.sort_unstable_by_key(|&tile| self.tiles.all[tile as usize].key);
        lists.clear();
        let nodes: u32 =
            tiles.iter().flat_map(|&tile| &self.tiles.all[tile as usize].occupied).map(|word| word.count_ones()).sum();
        lists.reserve(nodes as usize, nodes as usize * self.k);
        let mut nodes = Vec::with_capacity(nodes as usize);
        self.simd.run(Whole { graph: self, tiles: &tiles, lists, nodes: &mut nodes });
        nodes
    }

    fn begin(&mut self) {
        self.touched.clear();
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.tiles.all.iter_mut().for_each(|tile| tile.seen = 0);
            self.epoch = 1;
        }
    }

    /// Notes what changes: occupancy becomes what it is afterwards, and `changed` what differs.
    fn mark(&mut self, remove: &[u64], insert: &[u64]) -> Result<(), Error> {
        let wrong = |what, id: u64, more: &str, expected: &str| {
            Err(Error::Value { what, found: format!("node {id}{more}"), expected: expected.into() })
        };
        for &id in remove {
            let place = if id >> 63 == 0 { self.tiles.find(id) } else { None };
            let Some((index, x, bit)) = place else { return wrong("removal", id, "", "a node that is there") };
            let tile = &mut self.tiles.all[index as usize];
            let bit = 1 << bit;
            if tile.occupied[x] & bit == 0 {
                if tile.changed[x] & bit != 0 {
                    return wrong("removal", id, " twice", "each node once");
                }
                return wrong("removal", id, "", "a node that is there");
            }
            tile.occupied[x] ^= bit;
            tile.changed[x] ^= bit;
            touch(&mut self.touched, tile, index, self.epoch);
        }
        for &id in insert {
            if id >> 63 != 0 {
                return wrong("insertion", id, "", "an id below 2^63");
            }
            let (index, x, bit) = self.tiles.make(id);
            let tile = &mut self.tiles.all[index as usize];
            let bit = 1 << bit;
            touch(&mut self.touched, tile, index, self.epoch);
            if tile.occupied[x] & bit != 0 {
                if tile.changed[x] & bit != 0 {
                    return wrong("insertion", id, " twice", "each node once");
                }
                return wrong("insertion", id, ", which is there", "a node that is not there");
            }
            tile.occupied[x] ^= bit;
            tile.changed[x] ^= bit;
        }
        Ok(())
    }

    /// This shard's tiles with a change in or beside them, and where it is: (tile, side), ascending.
    fn nearby(&mut self) -> Vec<(u32, u32)> {
        let mut nearby = std::mem::take(&mut self.scratch.nearby);
        nearby.clear();
        for &tile in &self.touched {
            let tile = &self.tiles.all[tile as usize];
            if tile.changed != [0; 8] {
                let beside = tile.beside.iter().zip((0..27).rev());
                nearby.extend(beside.filter(|(beside, _)| **beside != NONE).map(|(&beside, side)| (beside, side)));
            }
        }
        nearby.sort_unstable();
        if self.share.shards > 1 {
            nearby.retain(|&(tile, _)| self.share.has(&self.tiles.all[tile as usize]));
        }
        nearby
    }

    /// Remote lists that what changed may concern, by row, each once.
    fn remote(&mut self) -> Vec<u32> {
        let mut points = Vec::new();
        let Scratch { near, hits, .. } = &mut self.scratch;
        hits.clear();
        for &tile in &self.touched {
            let tile = &self.tiles.all[tile as usize];
            points.clear();
            tiles::members(&tile.changed, |x, bit| points.push(position(tiles::id(tile.origin(), x, bit))));
            for points in points.chunks(BATCH) {
                self.simd.run(reverse::Reverse { live: &self.rows.remote, points, near, hits });
            }
        }
        let mut remote: Vec<u32> = hits.iter().map(|hit| hit.tag).collect();
        remote.sort_unstable();
        remote.dedup();
        remote
    }

    /// Forgets what only this epoch needed.
    fn sweep(&mut self) {
        for index in std::mem::take(&mut self.touched) {
            let tile = &mut self.tiles.all[index as usize];
            tile.changed = [0; 8];
            if tile.occupied == [0; 8] {
                self.tiles.remove(index);
            }
        }
        self.rows.settle();
    }

    /// Puts the changes in the order of their nodes.
    fn sort(&mut self) {
        let (changes, order) = (&mut self.changes, &mut self.scratch.order);
        order.clear();
        order.extend(changes.src.iter().zip(0..).map(|(&id, row)| (id, row)));
        // The list of a node that is alone is empty before and after.
        order.retain(|&(_, row)| {
            !changes.old.row(row as usize).0.is_empty() || !changes.new.row(row as usize).0.is_empty()
        });
        order.sort_unstable_by_key(|entry| entry.0);
        changes.src.clear();
        changes.src.extend(order.iter().map(|entry| entry.0));
        changes.old.arrange(order.iter().map(|entry| entry.1 as usize));
        changes.new.arrange(order.iter().map(|entry| entry.1 as usize));
    }
}

/// Puts a tile on the list of those touched.
fn touch(touched: &mut Vec<u32>, tile: &mut Tile, index: u32, epoch: u32) {
    if tile.seen != epoch {
        tile.seen = epoch;
        touched.push(index);
    }
}

/// Appends a list of ranked neighbours: the first `k`.
#[inline(always)]
fn near(lists: &mut IdLists, offsets: &Offsets, id: u64, ranks: &Ranks, k: usize) {
    let (dst, d2) = lists.push_blank(k);
    offsets::first(ranks, k, |at, rank| {
        dst[at] = id.wrapping_add(offsets.step[rank & 255]);
        d2[at] = offsets.d2[rank & 255];
    });
}

/// The ranks around a voxel afterwards, and those that changed: the first word alone where the lists wanted, of a voxel that is or was a
/// node, have `k` members in it and what follows does not matter.
#[inline(always)]
fn around(
    (occupied, changed): (&Window, &Window),
    offsets: &Offsets,
    x: usize,
    bit: u32,
    k: usize,
    is: bool,
    was: bool,
) -> (Ranks, Ranks) {
    let (now, change) = (occupied.inner(offsets, x, bit), changed.inner(offsets, x, bit));
    let enough = |ranks: u64| ranks.count_ones() as usize >= k;
    if (enough(now) || !is) && (enough(now ^ change) || !was) {
        return ([now, 0, 0, 0], [change, 0, 0, 0]);
    }
    (occupied.ranks(offsets, x, bit), changed.ranks(offsets, x, bit))
}

/// An epoch's lists.
struct Epoch<'a> {
    k: usize,
    tiles: &'a mut Tiles,
    rows: &'a mut Rows,
    scratch: &'a mut Scratch,
    changes: &'a mut ListChanges,
    nearby: &'a [(u32, u32)],
    remote: &'a [u32],
}

impl Job for Epoch<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        match self.k {
            ..=8 => self.work::<I, 8>(isa),
            9..=16 => self.work::<I, 16>(isa),
            17..=32 => self.work::<I, 32>(isa),
            _ => self.work::<I, 64>(isa),
        }
    }
}

impl Epoch<'_> {
    #[inline(always)]
    fn work<I: Isa, const R: usize>(mut self, isa: I) {
        self.changes.src.clear();
        self.changes.old.clear();
        self.changes.new.clear();
        self.scratch.search.forget();
        let offsets = Offsets::get();
        for sides in self.nearby.chunk_by(|a, b| a.0 == b.0) {
            self.tile::<I, R>(isa, offsets, sides[0].0, sides);
        }
        // What is remote and near a change was looked at with its tile, as were rows that have another node by now.
        let mut rest: Vec<(u32, u32)> = Vec::new();
        for &row in self.remote {
            if let Some((tile, ..)) = self.tiles.find(self.rows.node(row))
                && self.nearby.binary_search_by_key(&tile, |entry| entry.0).is_err()
            {
                rest.push((tile, row));
            }
        }
        rest.sort_unstable();
        for (tile, row) in rest {
            self.refresh::<I, R>(isa, tile, self.rows.node(row), row);
        }
    }

    /// Works out the lists of a tile that is near a change.
    #[inline(always)]
    fn tile<I: Isa, const R: usize>(&mut self, isa: I, offsets: &Offsets, index: u32, sides: &[(u32, u32)]) {
        let k = self.k;
        let tile = &self.tiles.all[index as usize];
        let (origin, occupied, differs, far) = (tile.origin(), tile.occupied, tile.changed, tile.far);
        let sides = || sides.iter().map(|&(_, side)| side as usize % 27);
        self.scratch.changed.clear();
        for side in sides() {
            self.scratch.changed.add(side, &self.tiles.all[tile.beside[side] as usize].changed);
        }
        let touched = self.scratch.changed.touched();
        let concerned: Mask = std::array::from_fn(|x| (occupied[x] | differs[x]) & (touched[x] | far[x]));
        if concerned == [0; 8] {
            return;
        }
        self.scratch.occupied.load(&self.tiles.all, index);
        let (mut still_far, mut changes_read) = (far, false);
        let old_rows = std::mem::take(&mut self.tiles.all[index as usize].rows);
        let (mut next, mut rows) = (old_rows.iter().copied(), std::mem::take(&mut self.scratch.rows));
        rows.clear();
        for (x, bits) in concerned.into_iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                let set = |mask: &Mask| mask[x] >> bit & 1 == 1;
                let node = tiles::id(origin, x, bit);
                let (is, was) = (set(&occupied), set(&occupied) != set(&differs));
                let old_row = if set(&far) { next.next() } else { None };
                let windows = (&self.scratch.occupied, &self.scratch.changed);
                let (now, change) = if old_row.is_none() {
                    around(windows, offsets, x, bit, k, is, was)
                } else if set(&touched) {
                    (windows.0.ranks(offsets, x, bit), windows.1.ranks(offsets, x, bit))
                } else {
                    ([0; 4], [0; 4])
                };
                let full = is && offsets::count(&now) >= k;
                if let Some(row) = old_row
                    && is
                    && !full
                {
                    // Far before and afterwards.
                    rows.push(row);
                    let reach = self.rows.reach(row);
                    let concerned =
                        change != [0; 4] || (reach > BESIDE && self.remote.binary_search(&row).is_ok()) || {
                            if !std::mem::replace(&mut changes_read, true) {
                                self.scratch.changes.changes_beside(&self.tiles.all, index, sides());
                            }
                            self.scratch.changes.any_within(isa, node, reach)
                        };
                    if concerned {
                        self.refresh::<I, R>(isa, index, node, row);
                    }
                    continue;
                }
                if is && was && old_row.is_none() && offsets::count_before(&now, &change) >= k {
                    continue;
                }
                // The list changes: the old one first.
                self.changes.src.push(node);
                if let Some(row) = old_row {
                    self.changes.old.push_row(self.rows.list(row));
                    self.rows.remove(row);
                    still_far[x] &= !(1 << bit);
                } else if was {
                    let before: Ranks = std::array::from_fn(|word| now[word] ^ change[word]);
                    near(&mut self.changes.old, offsets, node, &before, k);
                } else {
                    self.changes.old.push_row((&[], &[]));
                }
                if !is {
                    self.changes.new.push_row((&[], &[]));
                } else if full {
                    near(&mut self.changes.new, offsets, node, &now, k);
                } else {
                    self.scratch.search.run::<I, R>(isa, self.tiles, index, node, BESIDE);
                    let row = self.rows.add(node);
                    let list = &self.scratch.search.list;
                    self.rows.set(row, &list.dst, &list.d2, BESIDE);
                    self.changes.new.push_row((&list.dst, &list.d2));
                    still_far[x] |= 1 << bit;
                    rows.push(row);
                }
            }
        }
        let tile = &mut self.tiles.all[index as usize];
        tile.far = still_far;
        tile.rows = old_rows;
        if tile.rows != rows {
            tile.rows.clear();
            tile.rows.extend_from_slice(&rows);
        }
        self.scratch.rows = rows;
    }

    /// Searches again for a far list, and writes it out if it changed.
    #[inline(always)]
    fn refresh<I: Isa, const R: usize>(&mut self, isa: I, tile: u32, node: u64, row: u32) {
        self.scratch.search.run::<I, R>(isa, self.tiles, tile, node, self.rows.reach(row));
        let list = &self.scratch.search.list;
        let (dst, d2) = self.rows.list(row);
        if dst != list.dst || d2 != list.d2 {
            self.changes.src.push(node);
            self.changes.old.push_row((dst, d2));
            self.changes.new.push_row((&list.dst, &list.d2));
            self.rows.set(row, &list.dst, &list.d2, BESIDE);
        }
    }
}

/// All lists, in the order of their nodes.
struct Whole<'a> {
    graph: &'a VoxelKnn,
    /// By key, which is by x, then y, then z.
    tiles: &'a [u32],
    lists: &'a mut IdLists,
    nodes: &'a mut Vec<u64>,
}

impl Job for Whole<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Whole { graph, tiles, lists, nodes } = self;
        let offsets = Offsets::get();
        let at = |index: u32| tiles::voxel(graph.tiles.all[index as usize].origin());
        let mut windows = Vec::<Window>::new();
        // Ids ascend by x, then y, then z: a slab of tiles is gone through plane by plane, and a plane row by row.
        for slab in tiles.chunk_by(|&a, &b| at(a)[0] == at(b)[0]) {
            windows.resize_with(windows.len().max(slab.len()), || Window::EMPTY);
            for (window, &tile) in windows.iter_mut().zip(slab) {
                window.load(&graph.tiles.all, tile);
            }
            for x in 0..8 {
                let mut from = 0;
                for row in slab.chunk_by(|&a, &b| at(a)[1] == at(b)[1]) {
                    for y in 0..8 {
                        for (window, &tile) in windows[from..].iter().zip(row) {
                            let tile = &graph.tiles.all[tile as usize];
                            let (origin, mut bits) = (tile.origin(), tile.occupied[x] & 0xff << (8 * y));
                            while bits != 0 {
                                let bit = bits.trailing_zeros();
                                bits &= bits - 1;
                                let node = tiles::id(origin, x, bit);
                                nodes.push(node);
                                if let Some(row) = tile.row(x, bit) {
                                    lists.push_row(graph.rows.list(row));
                                    continue;
                                }
                                let mut ranks = [window.inner(offsets, x, bit), 0, 0, 0];
                                if (ranks[0].count_ones() as usize) < graph.k {
                                    ranks = window.ranks(offsets, x, bit);
                                }
                                near(lists, offsets, node, &ranks, graph.k);
                            }
                        }
                    }
                    from += row.len();
                }
            }
        }
    }
}
