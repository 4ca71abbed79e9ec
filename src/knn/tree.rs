//! The tree of boxes, and its bulk build by a kd-split into full units.

use super::Points3;
use super::layout::{Bounds, LANES, Node, Unit};

/// A point while a tree is built.
#[derive(Clone, Copy)]
struct Item {
    p: [f32; 3],
    id: u32,
}

/// Points under a tree of boxes. Leaf `i` is `leaves[i]`, whose children are the units `8 i .. 8 i + 8` (slots without points are
/// empty units); the children of `nodes` are leaves at height 1 and nodes above.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) units: Vec<Unit>,
    pub(super) leaves: Vec<Node>,
    pub(super) nodes: Vec<Node>,
    /// Height of the root, and its index at that height: 0 is a leaf.
    pub(super) root: (u32, u32),
    items: Vec<Item>,
}

impl Tree {
    /// Replaces the tree by one over `points`, in the same memory; a point's id is its index.
    pub(super) fn rebuild(&mut self, points: Points3<'_>) {
        self.units.clear();
        self.leaves.clear();
        self.nodes.clear();
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        items.extend((0..points.len()).map(|i| Item { p: points.get(i), id: i as u32 }));
        let units = items.len().div_ceil(LANES);
        let (mut height, mut span) = (0, LANES);
        while span < units {
            height += 1;
            span *= LANES;
        }
        let (root, _) = self.subtree(&mut items, units, height);
        self.root = (height, root);
        self.items = items;
    }

    /// Builds a subtree of `units` units at `height`; returns its index there, and its box.
    fn subtree(&mut self, items: &mut [Item], units: usize, height: u32) -> (u32, Bounds) {
        if height == 0 {
            let index = self.leaves.len();
            self.leaves.push(Node::EMPTY);
            self.units.resize(self.units.len() + LANES, Unit::EMPTY);
            self.children(items, units, units, 0, &mut |tree, items, _, slot| {
                let unit = &mut tree.units[index * LANES + slot];
                for (i, item) in items.iter().enumerate() {
                    for axis in 0..3 {
                        unit.p[axis][i] = item.p[axis];
                    }
                    unit.id[i] = item.id;
                }
                let bounds = unit.bounds();
                tree.leaves[index].set(slot, (index * LANES + slot) as u32, &bounds);
            });
            (index as u32, self.leaves[index].bounds())
        } else {
            let mut node = Node::EMPTY;
            let span = LANES.pow(height);
            self.children(items, units, units.div_ceil(span), 0, &mut |tree, items, units, slot| {
                let (child, bounds) = tree.subtree(items, units, height - 1);
                node.set(slot, child, &bounds);
            });
            self.nodes.push(node);
            (self.nodes.len() as u32 - 1, self.nodes[self.nodes.len() - 1].bounds())
        }
    }

    /// Cuts `units` units into `count` children of nearly equal size, halving along the longest side, and hands them over in order.
    fn children(
        &mut self,
        items: &mut [Item],
        units: usize,
        count: usize,
        slot: usize,
        make: &mut impl FnMut(&mut Self, &mut [Item], usize, usize),
    ) {
        if count <= 1 {
            make(self, items, units, slot);
            return;
        }
        let left = count / 2;
        let left_units = units * left / count;
        cut(items, left_units * LANES);
        let (a, b) = items.split_at_mut(left_units * LANES);
        self.children(a, left_units, left, slot, make);
        self.children(b, units - left_units, count - left, slot + left, make);
    }
}

/// Moves the `at` points that come first along the longest side to the front. Points all at one place are cut by id, so that the
/// smallest id under a box says something.
fn cut(items: &mut [Item], at: usize) {
    let (mut lo, mut hi) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for item in items.iter() {
        for axis in 0..3 {
            lo[axis] = lo[axis].min(item.p[axis]);
            hi[axis] = hi[axis].max(item.p[axis]);
        }
    }
    let side = |axis: usize| hi[axis] - lo[axis];
    let axis = (1..3).fold(0, |best, axis| if side(axis) > side(best) { axis } else { best });
    if side(axis) > 0.0 {
        items.select_nth_unstable_by(at, |a, b| a.p[axis].total_cmp(&b.p[axis]));
    } else {
        items.select_nth_unstable_by_key(at, |item| item.id);
    }
}
