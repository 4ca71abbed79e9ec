//! The tree of boxes, and its bulk build by a kd-split into full units.

use super::layout::{Bounds, LANES, Node, Unit};

/// A point while a tree is built; `tag` is what the builder's caller wants to find again.
#[derive(Clone, Copy)]
pub(super) struct Item<T> {
    pub(super) p: [f32; 3],
    pub(super) id: u32,
    pub(super) tag: T,
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
}

impl Tree {
    /// Replaces the tree by one over `items`, in the same memory, with `fill` points a unit; `placed` is told unit and slot of each.
    pub(super) fn rebuild<T: Copy>(
        &mut self,
        items: &mut [Item<T>],
        fill: usize,
        placed: &mut impl FnMut(usize, usize, &Item<T>),
    ) {
        self.units.clear();
        self.leaves.clear();
        self.nodes.clear();
        let units = items.len().div_ceil(fill);
        let (mut height, mut span) = (0, LANES);
        while span < units {
            height += 1;
            span *= LANES;
        }
        let root = Builder { tree: self, fill, placed }.subtree(items, units, height).0;
        self.root = (height, root);
    }
}

/// A bulk build under way.
struct Builder<'a, F> {
    tree: &'a mut Tree,
    fill: usize,
    placed: &'a mut F,
}

impl<F> Builder<'_, F> {
    /// Builds a subtree of `units` units at `height`; returns its index there, and its box.
    fn subtree<T: Copy>(&mut self, items: &mut [Item<T>], units: usize, height: u32) -> (u32, Bounds)
    where
        F: FnMut(usize, usize, &Item<T>),
    {
        let mut node = Node::EMPTY;
        if height == 0 {
            let leaf = self.tree.leaves.len();
            self.tree.leaves.push(Node::EMPTY);
            self.tree.units.resize((leaf + 1) * LANES, Unit::EMPTY);
            let fill = self.fill;
            parts(items, units, units, fill, 0, &mut |items, _, slot| {
                let index = leaf * LANES + slot;
                let unit = &mut self.tree.units[index];
                for (lane, item) in items.iter().enumerate() {
                    unit.set(lane, item.p, item.id);
                    (self.placed)(index, lane, item);
                }
                node.set(slot, index as u32, &unit.bounds());
            });
            let bounds = node.bounds();
            self.tree.leaves[leaf] = node;
            (leaf as u32, bounds)
        } else {
            let (span, fill) = (LANES.pow(height), self.fill);
            parts(items, units, units.div_ceil(span), fill, 0, &mut |items, units, slot| {
                let (child, bounds) = self.subtree(items, units, height - 1);
                node.set(slot, child, &bounds);
            });
            let bounds = node.bounds();
            self.tree.nodes.push(node);
            (self.tree.nodes.len() as u32 - 1, bounds)
        }
    }
}

/// Cuts `units` units of `fill` items into `count` parts of nearly equal size, halving along the longest side, and hands over each
/// with its number of units and its place in the order.
pub(super) fn parts<T: Copy>(
    items: &mut [Item<T>],
    units: usize,
    count: usize,
    fill: usize,
    first: usize,
    make: &mut impl FnMut(&mut [Item<T>], usize, usize),
) {
    if count <= 1 {
        make(items, units, first);
        return;
    }
    let left = count / 2;
    let left_units = units * left / count;
    let at = (left_units * fill).min(items.len());
    cut(items, at);
    let (a, b) = items.split_at_mut(at);
    parts(a, left_units, left, fill, first, make);
    parts(b, units - left_units, count - left, fill, first + left, make);
}

/// Moves the `at` points that come first along the longest side to the front. Points all at one place are cut by id, so that the
/// smallest id under a box says something.
fn cut<T: Copy>(items: &mut [Item<T>], at: usize) {
    if at == 0 || at >= items.len() {
        return;
    }
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
