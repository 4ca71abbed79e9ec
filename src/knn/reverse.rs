//! Reverse neighbours: the lists that a point can enter or leave, found geometrically.

use super::isa::{Isa, Job};
use super::layout::{Bounds, LANES, NO_ID, Node};
use super::live::LiveTree;
use super::search::{lanes, node_d2, sum_of_squares};

/// A point within the reach of a list.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    /// Which of the points asked for.
    pub(super) point: u32,
    /// The list, by its point's tag.
    pub(super) tag: u32,
    /// The squared distance between the two.
    pub(super) d2: f32,
}

/// Finds every list whose reach takes in one of some points that lie near each other, the points themselves included.
pub(super) struct Reverse<'a> {
    pub(super) live: &'a LiveTree,
    pub(super) points: &'a [[f32; 3]],
    pub(super) near: &'a mut Near,
    pub(super) hits: &'a mut Vec<Hit>,
}

/// Units within whose largest reach the points may be, as columns.
#[derive(Default)]
pub(super) struct Near {
    lo: [Vec<f32>; 3],
    hi: [Vec<f32>; 3],
    reach: Vec<f32>,
    unit: Vec<u32>,
    len: usize,
    stack: Vec<(u32, u32)>,
    listed: Vec<u32>,
}

impl Near {
    /// Makes room for eight units more and the end.
    #[inline(always)]
    fn reserve(&mut self) {
        if self.unit.len() < self.len + 2 * LANES {
            let len = 2 * self.len + 64;
            for column in self.lo.iter_mut().chain(&mut self.hi).chain([&mut self.reach]) {
                column.resize(len, f32::NAN);
            }
            self.unit.resize(len, 0);
            self.listed.resize(len, 0);
        }
    }
}

impl Job for Reverse<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Reverse { live, points, near, hits } = self;
        let mut bounds = Bounds::EMPTY;
        for &p in points {
            bounds.add(&Bounds { lo: p, hi: p, first: NO_ID });
        }
        gather(isa, live, &bounds, near);
        for (point, p) in (0..).zip(points) {
            let q = [isa.splat(p[0]), isa.splat(p[1]), isa.splat(p[2])];
            let zero = isa.splat(0.0);
            let mut listed = 0;
            for at in (0..near.len).step_by(LANES) {
                let mut gap = [zero; 3];
                for axis in 0..3 {
                    let below = isa.sub(lanes(isa, &near.lo[axis], at), q[axis]);
                    let above = isa.sub(q[axis], lanes(isa, &near.hi[axis], at));
                    gap[axis] = isa.max(zero, isa.max(below, above));
                }
                let mask = isa.le(sum_of_squares(isa, gap[0], gap[1], gap[2]), lanes(isa, &near.reach, at));
                isa.pack_ids(near.unit[at..].first_chunk().expect("padded"), mask, &mut near.listed[listed..]);
                listed += mask.count_ones() as usize;
            }
            for &index in &near.listed[..listed] {
                let unit = &live.tree.units[index as usize];
                let dx = isa.sub(isa.load(&unit.p[0]), q[0]);
                let dy = isa.sub(isa.load(&unit.p[1]), q[1]);
                let dz = isa.sub(isa.load(&unit.p[2]), q[2]);
                let d2 = sum_of_squares(isa, dx, dy, dz);
                let mut mask = isa.le(d2, isa.load(&live.reach[index as usize]));
                if mask != 0 {
                    let d2 = isa.array(d2);
                    while mask != 0 {
                        let slot = mask.trailing_zeros() as usize % LANES;
                        mask &= mask - 1;
                        hits.push(Hit { point, tag: live.tags[index as usize][slot], d2: d2[slot] });
                    }
                }
            }
        }
    }
}

/// Collects the units that have a list whose reach the box is within.
#[inline(always)]
fn gather<I: Isa>(isa: I, live: &LiveTree, bounds: &Bounds, near: &mut Near) {
    let lo = [isa.splat(bounds.lo[0]), isa.splat(bounds.lo[1]), isa.splat(bounds.lo[2])];
    let hi = [isa.splat(bounds.hi[0]), isa.splat(bounds.hi[1]), isa.splat(bounds.hi[2])];
    near.len = 0;
    near.reserve();
    near.stack.clear();
    near.stack.push(live.tree.root);
    while let Some((height, index)) = near.stack.pop() {
        let node: &Node = live.tree.node(height, index);
        let reach = isa.load(live.child_reach(height, index));
        let mut mask = isa.le(node_d2(isa, node, lo, hi), reach);
        if height == 0 {
            near.reserve();
            for axis in 0..3 {
                isa.pack(isa.load(&node.lo[axis]), mask, &mut near.lo[axis][near.len..]);
                isa.pack(isa.load(&node.hi[axis]), mask, &mut near.hi[axis][near.len..]);
            }
            isa.pack(reach, mask, &mut near.reach[near.len..]);
            isa.pack_ids(&node.child, mask, &mut near.unit[near.len..]);
            near.len += mask.count_ones() as usize;
        } else {
            while mask != 0 {
                near.stack.push((height - 1, node.child[mask.trailing_zeros() as usize % LANES]));
                mask &= mask - 1;
            }
        }
    }
    near.reserve();
    for column in near.lo.iter_mut().chain(&mut near.hi) {
        column[near.len..][..LANES].fill(f32::NAN);
    }
}
