//! The exact k-nearest-neighbour graph of points that come, go and move.
//!
//! # How it works
//!
//! A list keeps some entries more than `k`: the first `keep` neighbours when it was last searched for. What it holds is always a prefix of all
//! other nodes by (squared distance, id), so the first `k` are right as long as there are `k`. An epoch then is:
//!
//! 1. *Losses.* The lists that a node left are those within whose reach it was ([`super::reverse`]); they are filtered. Only a list with
//!    fewer than `k` entries left must be searched for again.
//! 2. *Arrivals* are put into the tree, and into every list within whose reach they are.
//! 3. *Searches* for the lists of new nodes and for those that ran short, leaf by leaf ([`super::search`]).
//! 4. *Changes.* Lists whose first `k` entries were touched are compared with what they were, by bits.
//!
//! Where most lists would change, all are searched for instead; which of the two happens shows in nothing but time. Within the engine, nodes are
//! tags (places in columns, used again) and ties are broken by labels ([`super::labels`]); ids appear at the border alone.

use super::changes::ListChanges;
use super::isa::{Isa, Job, Keys, SENTINEL, key_d2, key_id};
use super::labels::Labels;
use super::layout::{LANES, NO_ID};
use super::live::{LiveTree, NO_REACH};
use super::reverse::{self, Hit, Reverse};
use super::search::{BATCH, Batch, Members, Scratch, Searcher, Sink};
use super::tree::Item;
use super::{MAX_K, Simd, check};
use crate::Error;
use rustc_hash::FxHashMap;

/// What one epoch does to the nodes. Removals come before insertions: an id in both is a node that moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit<'a> {
    /// Nodes that go.
    pub remove: &'a [u64],
    /// Nodes that come, with their positions.
    pub insert: &'a [Placed],
    /// Nodes that are at another position from now on.
    pub moves: &'a [Placed],
}

/// A node and its position.
type Placed = (u64, [f32; 3]);

/// How an epoch is worked out. The result is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Whichever is expected to take less time.
    #[default]
    Auto,
    /// Only the lists that change.
    Incremental,
    /// All lists.
    Bulk,
}

/// An exact k-nearest-neighbour graph kept up to date. Its lists and changes depend on the live nodes alone, bit for bit.
pub struct KnnMap {
    k: usize,
    keep: usize,
    simd: Simd,
    live: LiveTree,
    labels: Labels,
    tag_of: FxHashMap<u64, u32>,
    free: Vec<u32>,
    nodes: Nodes,
    lists: Lists,
    old: Old,
    changes: ListChanges,
    scratch: Scratch,
    near: reverse::Near,
    hits: Vec<Hit>,
}

/// By tag: id and label, and whether the node goes in this epoch.
#[derive(Default)]
struct Nodes {
    id: Vec<u64>,
    label: Vec<u32>,
    gone: Marks,
    touched: Marks,
}

/// A bit for each tag.
#[derive(Default)]
struct Marks(Vec<u64>);

impl Marks {
    #[inline(always)]
    fn get(&self, tag: u32) -> bool {
        self.0.get(tag as usize / 64).is_some_and(|bits| bits >> (tag % 64) & 1 == 1)
    }

    /// Sets a mark; true if it was not set.
    fn set(&mut self, tag: u32) -> bool {
        let at = tag as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let fresh = !self.get(tag);
        self.0[at] |= 1 << (tag % 64);
        fresh
    }

    /// Takes back a mark that was set.
    fn clear(&mut self, tag: u32) {
        self.0[tag as usize / 64] &= !(1 << (tag % 64));
    }
}

/// By tag: the entries kept.
struct Lists {
    keep: usize,
    /// Tags and squared distances, `keep` a row, of which the first `len` count.
    dst: Vec<u32>,
    d2: Vec<f32>,
    len: Vec<u8>,
    /// The list has every other node.
    all: Vec<bool>,
}

/// Lists as they were before the epoch, those that may have changed.
#[derive(Default)]
struct Old {
    /// By tag: the row below, or [`NO_ID`].
    row: Vec<u32>,
    tags: Vec<u32>,
    len: Vec<u8>,
    dst: Vec<u32>,
    d2: Vec<f32>,
}

impl Lists {
    /// How far a point may be from the list's node and still concern it.
    fn reach(&self, tag: u32) -> f32 {
        let (tag, len) = (tag as usize, self.len[tag as usize] as usize);
        if self.all[tag] || len == 0 { f32::INFINITY } else { self.d2[tag * self.keep + len - 1] }
    }

    fn row(&self, tag: u32) -> (&[u32], &[f32]) {
        let from = tag as usize * self.keep;
        let row = from..from + self.len[tag as usize] as usize;
        (&self.dst[row.clone()], &self.d2[row])
    }
}

impl Old {
    /// An old list.
    fn list(&self, k: usize, row: u32) -> (&[u32], &[f32]) {
        let from = row as usize * k;
        let row = from..from + self.len[row as usize] as usize;
        (&self.dst[row.clone()], &self.d2[row])
    }

    /// Notes a list, the first time it is about to change. Its members' tags keep their ids until the epoch ends.
    fn save(&mut self, k: usize, lists: &Lists, tag: u32) {
        if self.row[tag as usize] == NO_ID {
            let (from, len) = (tag as usize * lists.keep, lists.len[tag as usize].min(k as u8));
            self.row[tag as usize] = self.tags.len() as u32;
            self.tags.push(tag);
            self.len.push(len);
            self.dst.extend_from_slice(&lists.dst[from..from + k]);
            self.d2.extend_from_slice(&lists.d2[from..from + k]);
        }
    }
}

impl KnnMap {
    /// An empty graph with lists of up to `k` neighbours.
    ///
    /// # Errors
    /// [`Error::Value`] unless `k` is 1 to [`MAX_K`].
    pub fn new(k: usize) -> Result<Self, Error> {
        Self::with_simd(k, Simd::best())
    }

    /// An empty graph that uses one instruction set. All give the same bits.
    ///
    /// # Errors
    /// As [`KnnMap::new`].
    pub fn with_simd(k: usize, simd: Simd) -> Result<Self, Error> {
        check(k)?;
        let keep = (k + (k / 2).max(4)).min(MAX_K);
        Ok(KnnMap {
            k,
            keep,
            simd,
            live: LiveTree::new(),
            labels: Labels::default(),
            tag_of: FxHashMap::default(),
            free: Vec::new(),
            nodes: Nodes::default(),
            lists: Lists { keep, dst: Vec::new(), d2: Vec::new(), len: Vec::new(), all: Vec::new() },
            old: Old::default(),
            changes: ListChanges::default(),
            scratch: Scratch::new(),
            near: reverse::Near::default(),
            hits: Vec::new(),
        })
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.tag_of.len()
    }

    /// True without nodes.
    pub fn is_empty(&self) -> bool {
        self.tag_of.is_empty()
    }

    /// A node's neighbours and their squared distances, by (squared distance, id): `min(k, len - 1)` of them.
    pub fn list(&self, id: u64) -> Option<impl Iterator<Item = (u64, f32)>> {
        let (dst, d2) = self.lists.row(*self.tag_of.get(&id)?);
        Some(dst.iter().zip(d2).take(self.k).map(|(&tag, &d2)| (self.nodes.id[tag as usize], d2)))
    }

    /// Works out one epoch.
    ///
    /// # Errors
    /// [`Error::Value`], before anything changes, for an id of 64 bits, an id named twice, an insertion of a node that is there, a removal or move
    /// of one that is not, and a position that is not finite.
    pub fn apply(&mut self, edit: &Edit<'_>) -> Result<&ListChanges, Error> {
        self.apply_with(edit, Effort::Auto)
    }

    /// [`KnnMap::apply`], one way or the other.
    ///
    /// # Errors
    /// As there.
    pub fn apply_with(&mut self, edit: &Edit<'_>, effort: Effort) -> Result<&ListChanges, Error> {
        let (gone, mut come) = self.plan(edit)?;
        come.sort_unstable_by_key(|&(id, _)| id);
        let lost = self.losses(&gone);
        let bulk = match effort {
            Effort::Auto => {
                let (n, edits) = (self.len(), gone.len() + come.len());
                edits > n / 3 || lost.len() > n / 2
            }
            Effort::Incremental => false,
            Effort::Bulk => true,
        };
        self.leave(&gone, &come, bulk);
        let mut pending = if bulk {
            lost.iter().for_each(|&tag| self.nodes.touched.clear(tag));
            Vec::new()
        } else {
            self.filter(&lost)
        };
        let tags = self.arrive(&come, bulk);
        if bulk {
            self.rebuild(&mut pending);
        } else {
            self.live.settle();
            self.merge(&tags);
            pending.extend_from_slice(&tags);
        }
        self.search(pending);
        self.live.settle();
        self.compare(&tags);
        self.finish(gone);
        Ok(&self.changes)
    }

    /// Checks an edit; returns the tags that go and the nodes that come. A node that moves does both, one that stays where it is neither.
    fn plan(&self, edit: &Edit<'_>) -> Result<(Vec<u32>, Vec<Placed>), Error> {
        const REMOVED: u8 = 1;
        let wrong = |what, found: String, expected: &str| Err(Error::Value { what, found, expected: expected.into() });
        let mut seen: FxHashMap<u64, u8> = FxHashMap::default();
        let mut gone = Vec::with_capacity(edit.remove.len() + edit.moves.len());
        for &id in edit.remove {
            let Some(&tag) = self.tag_of.get(&id) else {
                return wrong("removal", format!("node {id}"), "a node that is there");
            };
            if seen.insert(id, REMOVED).is_some() {
                return wrong("removal", format!("node {id} twice"), "each node once");
            }
            gone.push(tag);
        }
        let mut come = Vec::with_capacity(edit.insert.len() + edit.moves.len());
        let (mut stay, mut named) = (Vec::new(), |id| seen.insert(id, 0));
        for (insert, &(id, p)) in edit.insert.iter().map(|n| (true, n)).chain(edit.moves.iter().map(|n| (false, n))) {
            let what = if insert { "insertion" } else { "move" };
            if id >> 63 != 0 {
                return wrong(what, format!("node {id}"), "an id below 2^63");
            }
            if !p.iter().all(|v| v.is_finite()) {
                return wrong(what, format!("node {id} at {p:?}"), "finite coordinates");
            }
            let before = named(id);
            let tag = self.tag_of.get(&id).copied();
            match (insert, tag, before) {
                (_, _, Some(0)) | (false, _, Some(_)) => {
                    return wrong(what, format!("node {id} twice"), "each node once");
                }
                (true, Some(_), None) => {
                    return wrong(what, format!("node {id}, which is there"), "a node that is not there");
                }
                (false, None, _) => return wrong(what, format!("node {id}"), "a node that is there"),
                _ => (),
            }
            match tag {
                Some(tag) if self.live.point(tag).map(f32::to_bits) == p.map(f32::to_bits) => stay.push(tag),
                Some(tag) if !insert => {
                    gone.push(tag);
                    come.push((id, p));
                }
                _ => come.push((id, p)),
            }
        }
        if !stay.is_empty() {
            stay.sort_unstable();
            gone.retain(|tag| stay.binary_search(tag).is_err());
        }
        Ok((gone, come))
    }

    /// The lists that may have lost a member, each once, and marked as touched.
    fn losses(&mut self, gone: &[u32]) -> Vec<u32> {
        let mut order: Vec<(usize, u32)> = gone.iter().map(|&tag| (self.live.place(tag).0, tag)).collect();
        order.sort_unstable();
        let mut lost = Vec::new();
        for group in order.chunk_by(|a, b| a.0 / LANES == b.0 / LANES).flat_map(|leaf| leaf.chunks(BATCH)) {
            let points: Vec<[f32; 3]> = group.iter().map(|&(_, tag)| self.live.point(tag)).collect();
            self.hits.clear();
            let (near, hits) = (&mut self.near, &mut self.hits);
            self.simd.run(Reverse { live: &self.live, points: &points, near, hits });
            for hit in &self.hits {
                if self.nodes.touched.set(hit.tag) {
                    lost.push(hit.tag);
                }
            }
        }
        lost
    }

    /// Takes out the nodes that go.
    fn leave(&mut self, gone: &[u32], come: &[Placed], bulk: bool) {
        if bulk {
            for &tag in self.tag_of.values() {
                self.old.save(self.k, &self.lists, tag);
            }
        }
        for &tag in gone {
            self.old.save(self.k, &self.lists, tag);
            self.nodes.gone.set(tag);
            let id = self.nodes.id[tag as usize];
            self.tag_of.remove(&id);
            if come.binary_search_by_key(&id, |&(id, _)| id).is_err() {
                self.labels.remove(id);
            }
            self.live.remove(tag);
        }
    }

    /// Takes the nodes that went out of the lists that lost them; returns the lists that ran short.
    fn filter(&mut self, lost: &[u32]) -> Vec<u32> {
        let mut short = Vec::new();
        for &tag in lost {
            let at = tag as usize;
            self.nodes.touched.clear(tag);
            if self.nodes.gone.get(tag) {
                continue;
            }
            let len = self.lists.len[at] as usize;
            let row = at * self.keep..at * self.keep + len;
            let gone = |&tag: &u32| self.nodes.gone.get(tag);
            let Some(first) = self.lists.dst[row.clone()].iter().position(gone) else { continue };
            if first < self.k {
                self.old.save(self.k, &self.lists, tag);
            }
            let (dst, d2) = (&mut self.lists.dst[row.clone()], &mut self.lists.d2[row]);
            let mut to = first;
            for from in first + 1..len {
                if !self.nodes.gone.get(dst[from]) {
                    (dst[to], d2[to]) = (dst[from], d2[from]);
                    to += 1;
                }
            }
            self.lists.len[at] = to as u8;
            if to < self.k && !self.lists.all[at] {
                self.live.set_reach(tag, NO_REACH);
                short.push(tag);
            } else {
                self.live.set_reach(tag, self.lists.reach(tag));
            }
        }
        short
    }

    /// Gives the nodes that come tags and labels, and puts them into the tree unless that is built anew; returns the tags.
    fn arrive(&mut self, come: &[Placed], bulk: bool) -> Vec<u32> {
        let mut tags = Vec::with_capacity(come.len());
        for &(id, _) in come {
            let tag = self.free.pop().unwrap_or_else(|| {
                self.nodes.id.push(0);
                self.nodes.label.push(0);
                self.old.row.push(NO_ID);
                self.lists.dst.resize(self.lists.dst.len() + self.keep, NO_ID);
                self.lists.d2.resize(self.lists.d2.len() + self.keep, 0.0);
                self.lists.len.push(0);
                self.lists.all.push(false);
                self.nodes.id.len() as u32 - 1
            });
            self.nodes.id[tag as usize] = id;
            self.lists.len[tag as usize] = 0;
            tags.push(tag);
        }
        let fresh: Vec<u64> = come.iter().map(|&(id, _)| id).filter(|&id| !self.labels.contains(id)).collect();
        for (&(id, _), &tag) in come.iter().zip(&tags) {
            self.tag_of.insert(id, tag);
            if let Some(label) = self.labels.get(id) {
                self.nodes.label[tag as usize] = label;
            }
        }
        let mut moved = Vec::new();
        self.labels.insert(&fresh, |id, label| {
            let tag = self.tag_of[&id];
            self.nodes.label[tag as usize] = label;
            moved.push(tag);
        });
        let items: Vec<Item<u32>> =
            come.iter().zip(&tags).map(|(&(_, p), &tag)| Item { p, id: self.nodes.label[tag as usize], tag }).collect();
        if bulk {
            let mut all: Vec<Item<u32>> = items;
            let tags = self.tag_of.values().filter(|&&tag| self.live.holds(tag));
            all.extend(tags.map(|&tag| Item { p: self.live.point(tag), id: self.nodes.label[tag as usize], tag }));
            all.sort_unstable_by_key(|item| item.id);
            self.live.rebuild(&mut all);
        } else {
            for tag in moved {
                if self.live.holds(tag) {
                    self.live.set_id(tag, self.nodes.label[tag as usize]);
                }
            }
            self.live.insert(&items);
        }
        tags
    }

    /// After a bulk build, every list is to be searched for.
    fn rebuild(&mut self, pending: &mut Vec<u32>) {
        pending.extend(self.tag_of.values());
        self.live.settle();
    }

    /// Puts the nodes that came into the lists within whose reach they are.
    fn merge(&mut self, tags: &[u32]) {
        let mut order: Vec<(usize, u32)> = tags.iter().map(|&tag| (self.live.place(tag).0, tag)).collect();
        order.sort_unstable();
        for group in order.chunk_by(|a, b| a.0 / LANES == b.0 / LANES).flat_map(|leaf| leaf.chunks(BATCH)) {
            let points: Vec<[f32; 3]> = group.iter().map(|&(_, tag)| self.live.point(tag)).collect();
            self.hits.clear();
            let (near, hits) = (&mut self.near, &mut self.hits);
            self.simd.run(Reverse { live: &self.live, points: &points, near, hits });
            // List by list: what one needs is then at hand for the next.
            self.hits.sort_unstable_by_key(|hit| (hit.tag, hit.point));
            for i in 0..self.hits.len() {
                let hit = self.hits[i];
                self.merge_one(hit.tag, group[hit.point as usize].1, hit.d2);
            }
        }
    }

    /// Puts a node into a list if it belongs there.
    fn merge_one(&mut self, list: u32, node: u32, d2: f32) {
        let (at, keep) = (list as usize, self.keep);
        let len = self.lists.len[at] as usize;
        let label = self.nodes.label[node as usize];
        let (dst, d2s) = (&self.lists.dst[at * keep..][..keep], &self.lists.d2[at * keep..][..keep]);
        let before = |i: usize| d2s[i] < d2 || d2s[i] == d2 && self.nodes.label[dst[i] as usize] < label;
        let place = (0..len).rev().find(|&i| before(i)).map_or(0, |i| i + 1);
        if place == len && (!self.lists.all[at] || len == keep) {
            self.lists.all[at] = false;
            if len == keep {
                self.live.set_reach(list, self.lists.reach(list));
            }
            return;
        }
        if place < self.k {
            self.old.save(self.k, &self.lists, list);
        }
        let (dst, d2s) = (&mut self.lists.dst[at * keep..][..keep], &mut self.lists.d2[at * keep..][..keep]);
        let end = if len == keep { keep - 1 } else { len };
        dst.copy_within(place..end, place + 1);
        d2s.copy_within(place..end, place + 1);
        (dst[place], d2s[place]) = (node, d2);
        if len == keep {
            self.lists.all[at] = false;
            self.live.set_reach(list, self.lists.reach(list));
        } else {
            self.lists.len[at] = len as u8 + 1;
        }
    }

    /// Searches for lists.
    fn search(&mut self, mut pending: Vec<u32>) {
        let k = self.k.min(self.len().saturating_sub(1));
        let mut reaches = Vec::with_capacity(pending.len());
        if k == 0 {
            for tag in pending {
                self.lists.len[tag as usize] = 0;
                self.lists.all[tag as usize] = true;
                self.live.set_reach(tag, f32::INFINITY);
            }
            return;
        }
        pending.sort_unstable_by_key(|&tag| self.live.place(tag));
        let others = self.len() - 1;
        let job = Pending {
            live: &self.live,
            k,
            others,
            tags: &pending,
            lists: &mut self.lists,
            reaches: &mut reaches,
            scratch: &mut self.scratch,
        };
        self.simd.run(job);
        for (tag, reach) in reaches {
            self.live.set_reach(tag, reach);
        }
    }

    /// Writes old and new lists of the nodes whose lists differ.
    fn compare(&mut self, come: &[u32]) {
        let (k, ids, old, lists) = (self.k, &self.nodes.id, &self.old, &self.lists);
        let id = |tag: u32| ids[tag as usize];
        // Id, row of the old list, tag of the new one. A node that moved has one of each, in either order.
        let mut events: Vec<(u64, u32, u32)> = Vec::with_capacity(old.tags.len() + come.len());
        for (row, &tag) in (0..).zip(&old.tags) {
            events.push((id(tag), row, if self.nodes.gone.get(tag) { NO_ID } else { tag }));
        }
        events.extend(come.iter().map(|&tag| (id(tag), NO_ID, tag)));
        events.sort_unstable_by_key(|event| event.0);
        let changes = &mut self.changes;
        changes.src.clear();
        changes.old.clear();
        changes.new.clear();
        for group in events.chunk_by(|a, b| a.0 == b.0) {
            let row = group.iter().fold(NO_ID, |row, event| row.min(event.1));
            let tag = group.iter().fold(NO_ID, |tag, event| tag.min(event.2));
            let (old_dst, old_d2) = if row == NO_ID { (&[][..], &[][..]) } else { old.list(k, row) };
            let (new_dst, new_d2) = if tag == NO_ID { (&[][..], &[][..]) } else { lists.row(tag) };
            let len = new_d2.len().min(k);
            let (new_dst, new_d2) = (&new_dst[..len], &new_d2[..len]);
            let same = old_d2.len() == len
                && old_d2.iter().zip(new_d2).all(|(a, b)| a.to_bits() == b.to_bits())
                && old_dst.iter().zip(new_dst).all(|(&a, &b)| a == b || id(a) == id(b));
            if !same {
                changes.src.push(group[0].0);
                changes.old.push(old_dst.iter().map(|&tag| id(tag)), old_d2);
                changes.new.push(new_dst.iter().map(|&tag| id(tag)), new_d2);
            }
        }
    }

    /// Forgets what only this epoch needed.
    fn finish(&mut self, gone: Vec<u32>) {
        for &tag in &self.old.tags {
            self.old.row[tag as usize] = NO_ID;
        }
        self.old.tags.clear();
        self.old.len.clear();
        self.old.dst.clear();
        self.old.d2.clear();
        for &tag in &gone {
            self.nodes.gone.clear(tag);
        }
        self.free.extend(gone);
    }
}

/// Lists to be searched for, by their nodes' places.
struct Pending<'a> {
    live: &'a LiveTree,
    k: usize,
    /// Nodes but one.
    others: usize,
    tags: &'a [u32],
    lists: &'a mut Lists,
    reaches: &'a mut Vec<(u32, f32)>,
    scratch: &'a mut Scratch,
}

impl Job for Pending<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        match self.lists.keep {
            ..=8 => self.search::<I, 8>(isa),
            9..=16 => self.search::<I, 16>(isa),
            17..=32 => self.search::<I, 32>(isa),
            _ => self.search::<I, 64>(isa),
        }
    }
}

impl Pending<'_> {
    #[inline(always)]
    fn search<I: Isa, const R: usize>(self, isa: I) {
        let Pending { live, k, others, tags, lists, reaches, scratch } = self;
        let mut searcher = Searcher::<I, true>::new(isa, &live.tree, &live.tags, k, true, scratch);
        let (mut batch, mut seeds) = (Batch::EMPTY, Vec::new());
        for group in tags.chunk_by(|&a, &b| live.place(a).0 / LANES == live.place(b).0 / LANES) {
            let leaf = live.place(group[0]).0 / LANES;
            live.seeds(leaf as u32, &mut seeds);
            for tags in group.chunks(BATCH) {
                batch.clear();
                for &tag in tags {
                    let (unit, slot) = live.place(tag);
                    batch.extend(&live.tree.units[unit], 1 << slot);
                }
                searcher.search::<R>(&batch, &seeds, &mut Writer { isa, others, tags, lists, reaches });
            }
        }
    }
}

/// Writes lists where they belong.
struct Writer<'a, I> {
    isa: I,
    others: usize,
    tags: &'a [u32],
    lists: &'a mut Lists,
    reaches: &'a mut Vec<(u32, f32)>,
}

impl<I: Isa> Sink for Writer<'_, I> {
    #[inline(always)]
    fn list(&mut self, at: usize, _: u32, keys: &Keys, members: Members<'_>) {
        let (tag, keep) = (self.tags[at] as usize, self.lists.keep);
        let mut len = 0;
        for &key in keys[..keep].iter().take_while(|&&key| key != SENTINEL) {
            self.lists.dst[tag * keep + len] = members.tag(self.isa, key_id(key));
            self.lists.d2[tag * keep + len] = key_d2(key);
            len += 1;
        }
        self.lists.len[tag] = len as u8;
        self.lists.all[tag] = len == self.others;
        self.reaches.push((tag as u32, self.lists.reach(tag as u32)));
    }
}
