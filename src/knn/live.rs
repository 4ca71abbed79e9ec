//! A tree that points come to and go from.
//!
//! It grows as a B-tree does: a leaf that has no room is cut into units again, or into two leaves; a node that has no room for a child is
//! cut in two. A leaf with few points left is dissolved and its points are put in elsewhere. So an epoch pays for the leaves it touches.
//! How the points lie in the tree depends on history; what is found in it does not.
//!
//! Beside each point stands the reach of its list: the squared distance of its last entry. Every box knows the largest reach inside, so
//! that the lists which a point can enter or leave are found by one descent, and no reverse lists are kept.

use super::layout::{Bounds, LANES, NO_ID, Node, Unit};
use super::tree::{Item, Tree, parts};

/// Points in a leaf.
const FULL: usize = LANES * LANES;

/// A leaf is cut to pieces of about this many points.
const PIECE: usize = 44;

/// A leaf with fewer points is dissolved.
const FEW: usize = 14;

/// No parent, or no place.
const NONE: u32 = u32::MAX;

/// The reach of no list: nothing comes near it.
pub(super) const NO_REACH: f32 = -1.0;

/// A [`Tree`] under change. Points are known by tags, small numbers that the caller gives out.
#[derive(Default)]
pub(super) struct LiveTree {
    pub(super) tree: Tree,
    /// The tag of each point of a unit.
    pub(super) tags: Vec<[u32; LANES]>,
    /// The reach of each point of a unit; [`NO_REACH`] in an empty slot, or for a list that is still to be made.
    pub(super) reach: Vec<[f32; LANES]>,
    /// The largest reach in each unit of a leaf, and in each child of a node.
    pub(super) leaf_reach: Vec<[f32; LANES]>,
    pub(super) node_reach: Vec<[f32; LANES]>,
    leaf_parent: Vec<u32>,
    node_parent: Vec<u32>,
    leaves_used: usize,
    free_leaves: Vec<u32>,
    free_nodes: Vec<u32>,
    /// Where each tag's point is: unit * 8 + slot.
    place: Vec<u32>,
    /// Leaves to be looked at by [`LiveTree::settle`], each once.
    stale: Vec<u32>,
    is_stale: Vec<bool>,
}

impl LiveTree {
    /// A tree of one empty leaf.
    pub(super) fn new() -> Self {
        let mut live = LiveTree::default();
        live.rebuild(&mut []);
        live
    }

    /// Whether a tag's point is in the tree.
    pub(super) fn holds(&self, tag: u32) -> bool {
        self.place.get(tag as usize).is_some_and(|&place| place != NONE)
    }

    /// Unit and slot of a point.
    pub(super) fn place(&self, tag: u32) -> (usize, usize) {
        let place = self.place[tag as usize] as usize;
        (place / LANES, place % LANES)
    }

    /// Replaces everything by a bulk build. Reaches are still to be set.
    pub(super) fn rebuild(&mut self, items: &mut [Item<u32>]) {
        self.tags.clear();
        let tags = items.iter().map(|item| item.tag as usize + 1).max().unwrap_or(0);
        self.place.clear();
        self.place.resize(tags, NONE);
        let (mut tree, place, lanes) = (std::mem::take(&mut self.tree), &mut self.place, &mut self.tags);
        tree.rebuild(items, LANES - 1, &mut |unit, slot, item| {
            if lanes.len() <= unit {
                lanes.resize(unit + 1, [NO_ID; LANES]);
            }
            lanes[unit][slot] = item.tag;
            place[item.tag as usize] = (unit * LANES + slot) as u32;
        });
        self.tree = tree;
        let (leaves, nodes) = (self.tree.leaves.len(), self.tree.nodes.len());
        self.tags.resize(leaves * LANES, [NO_ID; LANES]);
        self.reach = vec![[NO_REACH; LANES]; leaves * LANES];
        self.leaf_reach = vec![[NO_REACH; LANES]; leaves];
        self.node_reach = vec![[NO_REACH; LANES]; nodes];
        self.leaf_parent = vec![NONE; leaves];
        self.node_parent = vec![NONE; nodes];
        self.leaves_used = leaves;
        self.free_leaves.clear();
        self.free_nodes.clear();
        self.stale = (0..leaves as u32).collect();
        self.is_stale = vec![true; leaves];
        self.adopt(self.tree.root.0, self.tree.root.1);
    }

    /// Tells the nodes below who their parent is.
    fn adopt(&mut self, height: u32, index: u32) {
        if height > 0 {
            for child in self.tree.nodes[index as usize].child.into_iter().filter(|&child| child != NONE) {
                if height == 1 {
                    self.leaf_parent[child as usize] = index;
                } else {
                    self.node_parent[child as usize] = index;
                    self.adopt(height - 1, child);
                }
            }
        }
    }

    /// Sets a list's reach.
    pub(super) fn set_reach(&mut self, tag: u32, reach: f32) {
        let (unit, slot) = self.place(tag);
        self.reach[unit][slot] = reach;
        self.touch((unit / LANES) as u32);
    }

    fn touch(&mut self, leaf: u32) {
        if !self.is_stale[leaf as usize] {
            self.is_stale[leaf as usize] = true;
            self.stale.push(leaf);
        }
    }

    /// Takes out a point.
    pub(super) fn remove(&mut self, tag: u32) {
        let (unit, slot) = self.place(tag);
        self.tree.units[unit].set(slot, [f32::INFINITY; 3], NO_ID);
        self.tags[unit][slot] = NO_ID;
        self.reach[unit][slot] = NO_REACH;
        self.place[tag as usize] = NONE;
        self.touch((unit / LANES) as u32);
    }

    /// Points in a leaf.
    fn count(&self, leaf: u32) -> usize {
        let units = &self.tree.units[leaf as usize * LANES..][..LANES];
        units.iter().flat_map(|unit| &unit.id).filter(|&&id| id != NO_ID).count()
    }

    /// Appends a leaf's points, with their reach, and empties it.
    fn take(&mut self, leaf: u32, out: &mut Vec<Item<(u32, f32)>>) {
        for index in leaf as usize * LANES..(leaf as usize + 1) * LANES {
            for slot in 0..LANES {
                let unit = &self.tree.units[index];
                if unit.id[slot] != NO_ID {
                    let tag = (self.tags[index][slot], self.reach[index][slot]);
                    out.push(Item { p: unit.point(slot), id: unit.id[slot], tag });
                }
            }
            self.tree.units[index] = Unit::EMPTY;
            self.tags[index] = [NO_ID; LANES];
            self.reach[index] = [NO_REACH; LANES];
        }
    }

    /// Puts points into an empty leaf, as units along the kd-split. At most [`FULL`].
    fn fill(&mut self, leaf: u32, items: &mut [Item<(u32, f32)>]) {
        let count = items.len().div_ceil(LANES - 2).clamp(1, LANES);
        let fill = items.len().div_ceil(count);
        let mut node = Node::EMPTY;
        parts(items, count, count, fill, 0, &mut |items, _, part| {
            let index = leaf as usize * LANES + part;
            for (slot, item) in items.iter().enumerate() {
                self.put(index, slot, item);
            }
            node.set(part, index as u32, &self.tree.units[index].bounds());
        });
        for part in count..LANES {
            node.child[part] = (leaf as usize * LANES + part) as u32;
        }
        self.tree.leaves[leaf as usize] = node;
        self.touch(leaf);
    }

    fn put(&mut self, index: usize, slot: usize, item: &Item<(u32, f32)>) {
        self.tree.units[index].set(slot, item.p, item.id);
        self.tags[index][slot] = item.tag.0;
        self.reach[index][slot] = item.tag.1;
        self.place[item.tag.0 as usize] = (index * LANES + slot) as u32;
    }

    /// Puts in points, whose tags are not in the tree; their lists are still to be made.
    pub(super) fn insert(&mut self, points: &[Item<u32>]) {
        let mut items: Vec<Item<(u32, f32)>> =
            points.iter().map(|item| Item { p: item.p, id: item.id, tag: (item.tag, NO_REACH) }).collect();
        if let Some(last) = items.iter().map(|item| item.tag.0 as usize + 1).max() {
            self.place.resize(self.place.len().max(last), NONE);
        }
        for leaf in std::mem::take(&mut self.stale) {
            self.is_stale[leaf as usize] = false;
            self.touch(leaf);
            if self.leaf_parent[leaf as usize] != NONE && self.leaves_used > 1 && self.count(leaf) < FEW {
                self.take(leaf, &mut items);
                self.detach(leaf);
            }
        }
        let mut homes: Vec<(u32, u32)> = (0..).zip(&items).map(|(i, item)| (self.home(item.p), i)).collect();
        homes.sort_unstable();
        let mut over = Vec::new();
        for group in homes.chunk_by(|a, b| a.0 == b.0) {
            let leaf = group[0].0;
            over.clear();
            for &(_, i) in group {
                let item = items[i as usize];
                if !self.squeeze(leaf, &item) {
                    over.push(item);
                }
            }
            self.touch(leaf);
            if !over.is_empty() {
                self.take(leaf, &mut over);
                self.cut(leaf, &mut over);
            }
        }
    }

    /// The leaf whose box is nearest, from the root on.
    fn home(&self, p: [f32; 3]) -> u32 {
        let (mut height, mut index) = self.tree.root;
        while height > 0 {
            index = self.tree.nodes[index as usize].child[nearest(&self.tree.nodes[index as usize], p)];
            height -= 1;
        }
        index
    }

    /// Puts a point into the leaf's nearest unit if that has an empty slot.
    fn squeeze(&mut self, leaf: u32, item: &Item<(u32, f32)>) -> bool {
        let slot = nearest(&self.tree.leaves[leaf as usize], item.p);
        let index = leaf as usize * LANES + slot;
        let Some(free) = self.tree.units[index].id.iter().position(|&id| id == NO_ID) else { return false };
        self.put(index, free, item);
        let bounds = self.tree.units[index].bounds();
        self.tree.leaves[leaf as usize].set(slot, index as u32, &bounds);
        true
    }

    /// Puts points into an empty leaf, and into new ones beside it where they are too many.
    fn cut(&mut self, leaf: u32, items: &mut [Item<(u32, f32)>]) {
        if items.len() <= FULL - LANES / 2 {
            self.fill(leaf, items);
            self.grow(leaf);
            return;
        }
        let pieces = items.len().div_ceil(PIECE);
        let fill = items.len().div_ceil(pieces);
        parts(items, pieces, pieces, fill, 0, &mut |items, _, piece| {
            if piece == 0 {
                self.fill(leaf, items);
                self.grow(leaf);
            } else {
                let beside = self.leaf();
                self.fill(beside, items);
                let bounds = self.tree.leaves[beside as usize].bounds();
                self.attach(0, self.leaf_parent[leaf as usize], leaf, beside, &bounds);
            }
        });
    }

    /// An unused leaf.
    fn leaf(&mut self) -> u32 {
        self.leaves_used += 1;
        if let Some(leaf) = self.free_leaves.pop() {
            return leaf;
        }
        let leaf = self.tree.leaves.len();
        self.tree.leaves.push(Node::EMPTY);
        self.tree.units.resize((leaf + 1) * LANES, Unit::EMPTY);
        self.tags.resize((leaf + 1) * LANES, [NO_ID; LANES]);
        self.reach.resize((leaf + 1) * LANES, [NO_REACH; LANES]);
        self.leaf_reach.push([NO_REACH; LANES]);
        self.leaf_parent.push(NONE);
        self.is_stale.push(false);
        leaf as u32
    }

    /// An unused node.
    fn node(&mut self) -> u32 {
        if let Some(node) = self.free_nodes.pop() {
            return node;
        }
        self.tree.nodes.push(Node::EMPTY);
        self.node_reach.push([NO_REACH; LANES]);
        self.node_parent.push(NONE);
        self.tree.nodes.len() as u32 - 1
    }

    fn parent(&mut self, height: u32, index: u32) -> &mut u32 {
        if height == 0 { &mut self.leaf_parent[index as usize] } else { &mut self.node_parent[index as usize] }
    }

    /// Hangs a new leaf or node at `height` under `parent`, beside a sibling that is there (or is the root).
    fn attach(&mut self, height: u32, parent: u32, sibling: u32, child: u32, bounds: &Bounds) {
        if parent == NONE {
            let root = self.node();
            let beside = self.tree.node(height, sibling).bounds();
            let mut node = Node::EMPTY;
            node.set(0, sibling, &beside);
            node.set(1, child, bounds);
            self.tree.nodes[root as usize] = node;
            self.node_reach[root as usize] = [NO_REACH; LANES];
            self.node_reach[root as usize][0] = largest(self.child_reach(height, sibling));
            self.node_reach[root as usize][1] = largest(self.child_reach(height, child));
            self.node_parent[root as usize] = NONE;
            *self.parent(height, sibling) = root;
            *self.parent(height, child) = root;
            self.tree.root = (height + 1, root);
            return;
        }
        let reach = largest(self.child_reach(height, child));
        let node = &mut self.tree.nodes[parent as usize];
        if let Some(slot) = node.child.iter().position(|&child| child == NONE) {
            node.set(slot, child, bounds);
            self.node_reach[parent as usize][slot] = reach;
            *self.parent(height, child) = parent;
            self.grow_node(parent);
            return;
        }
        // Nine children: the five that come first along the longest side of their centres stay, the rest get a node of their own.
        let reaches = self.node_reach[parent as usize];
        let mut children: Vec<(u32, Bounds, f32)> =
            (0..LANES).map(|slot| (node.child[slot], node.get(slot), reaches[slot])).collect();
        children.push((child, *bounds, reach));
        let around = children.iter().fold(Bounds::EMPTY, |mut all, (_, bounds, _)| {
            all.add(bounds);
            all
        });
        let side = |axis: usize| around.hi[axis] - around.lo[axis];
        let axis = (1..3).fold(0, |best, axis| if side(axis) > side(best) { axis } else { best });
        let centre = |bounds: &Bounds| bounds.lo[axis] * 0.5 + bounds.hi[axis] * 0.5;
        children.sort_by(|a, b| centre(&a.1).total_cmp(&centre(&b.1)));
        let beside = self.node();
        for (owner, children) in [(parent, &children[..5]), (beside, &children[5..])] {
            let mut node = Node::EMPTY;
            let mut reaches = [NO_REACH; LANES];
            for (slot, (child, bounds, reach)) in children.iter().enumerate() {
                node.set(slot, *child, bounds);
                reaches[slot] = *reach;
                *self.parent(height, *child) = owner;
            }
            self.tree.nodes[owner as usize] = node;
            self.node_reach[owner as usize] = reaches;
        }
        let bounds = self.tree.nodes[beside as usize].bounds();
        self.attach(height + 1, self.node_parent[parent as usize], parent, beside, &bounds);
        self.grow_node(parent);
        self.grow_reach(parent);
    }

    /// Removes an empty leaf, not the only one, and the nodes above that have no other child.
    fn detach(&mut self, leaf: u32) {
        self.leaves_used -= 1;
        self.free_leaves.push(leaf);
        let (mut height, mut index) = (0, leaf);
        loop {
            let parent = std::mem::replace(self.parent(height, index), NONE);
            self.set_child_reach(parent, index, NO_REACH);
            self.set_child(parent, index, &Bounds::EMPTY);
            let node = &mut self.tree.nodes[parent as usize];
            node.child.iter_mut().filter(|child| **child == index).for_each(|child| *child = NONE);
            if node.child.iter().any(|&child| child != NONE) {
                return self.grow_node(parent);
            }
            self.free_nodes.push(parent);
            (height, index) = (height + 1, parent);
        }
    }

    /// Refreshes the boxes above a leaf.
    fn grow(&mut self, leaf: u32) {
        let bounds = self.tree.leaves[leaf as usize].bounds();
        let parent = self.leaf_parent[leaf as usize];
        if parent != NONE {
            self.set_child(parent, leaf, &bounds);
            self.grow_node(parent);
        }
    }

    fn grow_node(&mut self, mut index: u32) {
        loop {
            let parent = self.node_parent[index as usize];
            if parent == NONE {
                return;
            }
            let bounds = self.tree.nodes[index as usize].bounds();
            self.set_child(parent, index, &bounds);
            index = parent;
        }
    }

    /// Refreshes the reaches above a node.
    fn grow_reach(&mut self, mut index: u32) {
        while self.node_parent[index as usize] != NONE {
            let parent = self.node_parent[index as usize];
            self.set_child_reach(parent, index, largest(&self.node_reach[index as usize]));
            index = parent;
        }
    }

    fn set_child(&mut self, parent: u32, child: u32, bounds: &Bounds) {
        let node = &mut self.tree.nodes[parent as usize];
        let slot = node.child.iter().position(|&c| c == child).expect("a parent knows its children");
        node.set(slot, child, bounds);
    }

    /// Brings boxes and reaches up to date.
    pub(super) fn settle(&mut self) {
        let mut above = Vec::new();
        for leaf in std::mem::take(&mut self.stale) {
            self.is_stale[leaf as usize] = false;
            for slot in 0..LANES {
                let index = leaf as usize * LANES + slot;
                let bounds = self.tree.units[index].bounds();
                self.tree.leaves[leaf as usize].set(slot, index as u32, &bounds);
                self.leaf_reach[leaf as usize][slot] = largest(&self.reach[index]);
            }
            let parent = self.leaf_parent[leaf as usize];
            if parent != NONE {
                let bounds = self.tree.leaves[leaf as usize].bounds();
                self.set_child(parent, leaf, &bounds);
                self.set_child_reach(parent, leaf, largest(&self.leaf_reach[leaf as usize]));
                above.push(parent);
            }
        }
        while !above.is_empty() {
            above.sort_unstable();
            above.dedup();
            let mut next = Vec::new();
            for &index in &above {
                let parent = self.node_parent[index as usize];
                if parent != NONE {
                    let bounds = self.tree.nodes[index as usize].bounds();
                    self.set_child(parent, index, &bounds);
                    self.set_child_reach(parent, index, largest(&self.node_reach[index as usize]));
                    next.push(parent);
                }
            }
            above = next;
        }
    }

    fn set_child_reach(&mut self, parent: u32, child: u32, reach: f32) {
        let slot = self.tree.nodes[parent as usize].child.iter().position(|&c| c == child);
        self.node_reach[parent as usize][slot.expect("a parent knows its children")] = reach;
    }

    /// The largest reach in a child of a node at a height.
    #[inline(always)]
    pub(super) fn child_reach(&self, height: u32, index: u32) -> &[f32; LANES] {
        if height == 0 { &self.leaf_reach[index as usize] } else { &self.node_reach[index as usize] }
    }
}

fn largest(v: &[f32; LANES]) -> f32 {
    v.iter().copied().fold(NO_REACH, f32::max)
}

/// The child whose box is nearest to a point; the first slot if there is no box.
fn nearest(node: &Node, p: [f32; 3]) -> usize {
    let mut best = (f32::INFINITY, 0);
    let mut sum = [0.0f32; LANES];
    for ((lo, hi), p) in node.lo.iter().zip(&node.hi).zip(p) {
        for ((sum, lo), hi) in sum.iter_mut().zip(lo).zip(hi) {
            let gap = (lo - p).max(p - hi).max(0.0);
            *sum += if lo.is_nan() { f32::NAN } else { gap * gap };
        }
    }
    for (slot, d2) in sum.into_iter().enumerate() {
        if d2 < best.0 {
            best = (d2, slot);
        }
    }
    if best.0 == f32::INFINITY {
        // Overflow, or no boxes: any child that exists.
        best.1 = node.child.iter().position(|&child| child != NONE).unwrap_or(0);
    }
    best.1
}
