//! The exact k-nearest-neighbour graph of occupied voxels, as voxels come and go: a node per voxel, at its integer index.
//!
//! # How it works
//!
//! Between integer points the order of neighbours is the same around every voxel: an offset's rank (see [`offsets`]) says where it stands among
//! all, ties included. So a neighbourhood is a set of ranks, and the list is its first `k` members. Three consequences carry the engine:
//!
//! 1. *A list near by is read from bits.* Occupancy is kept as bits ([`tiles`], [`pyramid`], [`window`]). In a plane of voxels those at one distance stand in
//!    the order of their ranks, so that 23 extractions of bits make the 92 ranks of squared distance up to 8, and 29 the other 158.
//! 2. *Nothing is stored for it.* The voxels that changed in an epoch are kept as bits beside the occupancy. Read in the same
//!    way they give the ranks `C` that came or went; with the ranks `N` afterwards, those before were `N xor C`. The list is unchanged if `k`
//!    members stand before the first of `C`, and otherwise it has changed: no old list is needed to know, or to write it out.
//! 3. *A change concerns the tiles around it.* Only nodes with a change within three voxels are looked at, and these are found by
//!    spreading the changed bits of a tile over it and those beside it ([`spread`]).
//!
//! Lists that have fewer than `k` ranked members, on thin and sparse surfaces, are *far* ([`far`]). They are stored ([`rows`], [`local`]). What
//! came or went within a list's reach is merged into it; it is searched for only if that leaves it short, which is put off by storing more
//! than `k` where they are known. Most end within the 27 tiles around the node and are selected from them as in [`super::search`]; the rest,
//! the *remote* ones, are searched for further out, at last down a pyramid of masks, and found again by what they reach through the tree of
//! [`super::live`].
//!
//! Changes are made tile by tile in the order of the tiles' keys, so that counting puts them in the order of their nodes.
//!
//! The work of an epoch follows its changes: no step looks at tiles that are not near a change or within a remote list's reach.
//! Nothing depends on history but the places of tiles and rows in memory, and these show in no result.

mod chunks;
mod epoch;
mod far;
mod list;
mod local;
mod mask;
mod offsets;
mod order;
mod pyramid;
mod rows;
mod spread;
mod tiles;
mod whole;
mod window;

use super::changes::{IdLists, ListChanges};
use super::reverse;
use super::scalar::Scalar;
use super::search::BATCH;
use super::{Simd, check};
use crate::Error;
use epoch::Epoch;
use far::{Around, Hits, Search};
use list::Change;
use mask::{NONE, members};
use offsets::Offsets;
use rows::{Rows, position};
use spread::spread;
use tiles::{Last, Note, REMOTE, Tiles};
use whole::{Whole, near};
use window::Window;

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
    #[inline(always)]
    fn has(self, tiles: &Tiles, tile: u32) -> bool {
        if self.shards == 1 {
            return true;
        }
        let [x, y, z] = tiles::voxel(tiles.origin(tile)).map(|v| u64::from(v >> 5));
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
    /// What of it is within a list's reach.
    reached: Vec<Change>,
    hits_beside: Hits,
    search: Search,
    near: reverse::Near,
    hits: Vec<reverse::Hit>,
    nearby: Vec<u32>,
    /// Tiles nearby, to be put in the order of their keys.
    keys: Vec<(u64, u32)>,
    rows: Vec<u32>,
    /// Keys of the tiles that were looked at, and the first of the changes of each.
    spans: Vec<(u64, usize)>,
    order: Vec<u32>,
    spare: Vec<u32>,
    src: Vec<u64>,
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
            tiles: Tiles::new(),
            rows: Rows::new(k),
            epoch: 0,
            touched: Vec::new(),
            scratch: Scratch {
                occupied: Window::EMPTY,
                changed: Window::EMPTY,
                changes: Around::default(),
                reached: Vec::new(),
                hits_beside: Hits::default(),
                search: Search::new(k),
                near: reverse::Near::default(),
                hits: Vec::new(),
                nearby: Vec::new(),
                keys: Vec::new(),
                rows: Vec::new(),
                order: Vec::new(),
                spare: Vec::new(),
                spans: Vec::new(),
                src: Vec::new(),
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
        self.occupied(id).is_some()
    }

    /// Where an occupied voxel is.
    fn occupied(&self, id: u64) -> Option<(u32, usize, u32)> {
        self.tiles.find(id).filter(|&(tile, x, bit)| self.tiles.occupied[tile].0[x] >> bit & 1 == 1)
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
                let (occupied, changed) = (&mut self.tiles.occupied[tile].0, &mut self.tiles.changed[tile].0);
                occupied.iter_mut().zip(changed).for_each(|(bits, changed)| *bits ^= std::mem::take(changed));
            }
            self.sweep();
            return Err(error);
        }
        let len = self.len + insert.len() - remove.len();
        let company = self.len.min(len) > 1;
        self.len = len;
        let mut nearby = std::mem::take(&mut self.scratch.nearby);
        self.nearby(&mut nearby);
        self.remote(&mut nearby);
        self.scratch.keys.clear();
        self.scratch.keys.extend(nearby.iter().map(|&tile| (self.tiles.notes[tile].key, tile)));
        self.scratch.keys.sort_unstable();
        nearby.clear();
        nearby.extend(self.scratch.keys.iter().map(|&(_, tile)| tile));
        let VoxelKnn { k, simd, tiles, rows, scratch, changes, .. } = self;
        simd.run(Epoch { k: *k, tiles, rows, scratch, changes, nearby: &nearby });
        nearby.iter().for_each(|&tile| self.tiles.notes[tile].sides = 0);
        self.scratch.nearby = nearby;
        self.sweep();
        self.sort(company);
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
        let (tile, x, bit) = self.occupied(id)?;
        if !self.share.has(&self.tiles, tile) {
            return None;
        }
        if let Some(row) = self.tiles.all[tile].row(x, bit) {
            let mut lists = IdLists::default();
            self.rows.push_any(&mut lists, id, row);
            let (dst, d2) = lists.row(0);
            return Some((dst.to_vec(), d2.to_vec()));
        }
        let mut window = Window::EMPTY;
        window.load(Scalar, &self.tiles.occupied_around(tile), (x, x));
        let mut lists = IdLists::default();
        let offsets = Offsets::get();
        near(&mut lists, offsets, id, &window.ranks(Scalar, x, bit, window.inner(Scalar, x, bit)), self.k);
        let (dst, d2) = lists.row(0);
        Some((dst.to_vec(), d2.to_vec()))
    }

    /// All lists of this shard's nodes, ascending by id; `lists` is cleared first. The nodes are returned.
    pub fn lists(&self, lists: &mut IdLists) -> Vec<u64> {
        let mut tiles: Vec<u32> =
            self.tiles.pyramid.tiles().filter(|&tile| self.share.has(&self.tiles, tile)).collect();
        tiles.sort_unstable_by_key(|&tile| self.tiles.notes[tile].key);
        lists.clear();
        let nodes: u32 =
            tiles.iter().flat_map(|&tile| &self.tiles.occupied[tile].0).map(|word| word.count_ones()).sum();
        lists.reserve(nodes as usize, nodes as usize * self.k);
        let mut nodes = Vec::with_capacity(nodes as usize);
        self.simd.run(Whole { graph: self, tiles: &tiles, lists, nodes: &mut nodes });
        nodes
    }

    fn begin(&mut self) {
        self.touched.clear();
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.tiles.notes.iter_mut().for_each(|note| note.seen = 0);
            self.epoch = 1;
        }
    }

    /// Notes what changes: occupancy becomes what it is afterwards, and `changed` what differs.
    fn mark(&mut self, remove: &[u64], insert: &[u64]) -> Result<(), Error> {
        let wrong = |what, id: u64, more: &str, expected: &str| {
            Err(Error::Value { what, found: format!("node {id}{more}"), expected: expected.into() })
        };
        // Ids near each other often stand next to each other.
        let mut last = Last { id: u64::MAX, tile: NONE };
        for &id in remove {
            let Some((index, x, bit)) = last.find(id).or_else(|| self.tiles.find(id)) else {
                return wrong("removal", id, "", "a node that is there");
            };
            last = Last { id, tile: index };
            let (occupied, changed) = (&mut self.tiles.occupied[index].0[x], &mut self.tiles.changed[index].0[x]);
            let bit = 1 << bit;
            if *occupied & bit == 0 {
                if *changed & bit != 0 {
                    return wrong("removal", id, " twice", "each node once");
                }
                return wrong("removal", id, "", "a node that is there");
            }
            *occupied ^= bit;
            *changed ^= bit;
            touch(&mut self.touched, &mut self.tiles.notes[index], index, self.epoch);
        }
        for &id in insert {
            if id >> 63 != 0 {
                return wrong("insertion", id, "", "an id below 2^63");
            }
            let (index, x, bit) = last.find(id).unwrap_or_else(|| self.tiles.make(id));
            last = Last { id, tile: index };
            touch(&mut self.touched, &mut self.tiles.notes[index], index, self.epoch);
            let (occupied, changed) = (&mut self.tiles.occupied[index].0[x], &mut self.tiles.changed[index].0[x]);
            let bit = 1 << bit;
            if *occupied & bit != 0 {
                if *changed & bit != 0 {
                    return wrong("insertion", id, " twice", "each node once");
                }
                return wrong("insertion", id, ", which is there", "a node that is not there");
            }
            *occupied ^= bit;
            *changed ^= bit;
        }
        Ok(())
    }

    /// Collects this shard's tiles with a change in or beside them, and tells them where it is and which of their voxels are near it.
    fn nearby(&mut self, nearby: &mut Vec<u32>) {
        nearby.clear();
        self.tiles.touched.clear();
        for &tile in &self.touched {
            if self.tiles.changed[tile].0 != [0; 8] {
                for (beside, side) in self.tiles.all[tile].beside.into_iter().zip((0..27).rev()) {
                    if beside != NONE && self.share.has(&self.tiles, beside) {
                        self.tiles.put(beside, 1 << side, nearby);
                    }
                }
                let (changed, beside) = (self.tiles.changed[tile].0, self.tiles.all[tile].beside);
                spread(&changed, |side, near| {
                    let tile = beside[side];
                    if tile != NONE && self.share.has(&self.tiles, tile) {
                        let slot = self.tiles.notes[tile].slot as usize;
                        self.tiles.touched[slot].0.iter_mut().zip(near).for_each(|(touched, near)| *touched |= near);
                    }
                });
            }
        }
    }

    /// Notes what changed within the reach of remote lists. The tiles that they are in are put to those nearby.
    fn remote(&mut self, nearby: &mut Vec<u32>) {
        let (mut points, mut ids) = (Vec::new(), Vec::new());
        let Scratch { near, hits, .. } = &mut self.scratch;
        for &tile in &self.touched {
            points.clear();
            ids.clear();
            let (origin, occupied) = (self.tiles.origin(tile), &self.tiles.occupied[tile].0);
            members(&self.tiles.changed[tile].0, |x, bit| {
                let id = tiles::id(origin, x, bit);
                points.push(position(id));
                ids.push((id, occupied[x] >> bit & 1 == 1));
            });
            for (points, ids) in points.chunks(BATCH).zip(ids.chunks(BATCH)) {
                hits.clear();
                self.simd.run(reverse::Reverse { live: &self.rows.remote, points, near, hits });
                for hit in hits.iter() {
                    let (id, came) = ids[hit.point as usize];
                    if self.rows.note(hit.tag, Change { d2: hit.d2, id, came })
                        && let Some((tile, ..)) = self.tiles.find(self.rows.node(hit.tag))
                    {
                        self.tiles.put(tile, REMOTE, nearby);
                    }
                }
            }
        }
    }

    /// Forgets what only this epoch needed.
    fn sweep(&mut self) {
        for index in std::mem::take(&mut self.touched) {
            self.tiles.changed[index].0 = [0; 8];
            if self.tiles.occupied[index].0 == [0; 8] {
                self.tiles.remove(index);
            }
        }
        self.rows.settle();
    }
}

/// Puts a tile on the list of those touched.
fn touch(touched: &mut Vec<u32>, note: &mut Note, index: u32, epoch: u32) {
    if note.seen != epoch {
        note.seen = epoch;
        touched.push(index);
    }
}
