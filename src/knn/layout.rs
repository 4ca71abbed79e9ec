//! How points lie in memory: units of eight points, leaves of eight units, and nodes that hold the boxes of eight children.

/// Points in a unit, units in a leaf, children of a node.
pub(super) const LANES: usize = 8;

/// Eight points as columns. An unused slot is at infinity with id [`NO_ID`].
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct Unit {
    pub(super) p: [[f32; LANES]; 3],
    pub(super) id: [u32; LANES],
}

/// The id of no point.
pub(super) const NO_ID: u32 = u32::MAX;

impl Unit {
    pub(super) const EMPTY: Unit = Unit { p: [[f32::INFINITY; LANES]; 3], id: [NO_ID; LANES] };

    /// The point in a slot.
    #[inline(always)]
    pub(super) fn point(&self, slot: usize) -> [f32; 3] {
        [self.p[0][slot], self.p[1][slot], self.p[2][slot]]
    }

    /// Puts a point into a slot.
    pub(super) fn set(&mut self, slot: usize, p: [f32; 3], id: u32) {
        for (column, v) in self.p.iter_mut().zip(p) {
            column[slot] = v;
        }
        self.id[slot] = id;
    }

    /// Its bounding box and smallest id; [`Bounds::EMPTY`] without points.
    pub(super) fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::EMPTY;
        for slot in 0..LANES {
            if self.id[slot] != NO_ID {
                bounds.add(&Bounds { lo: self.point(slot), hi: self.point(slot), first: self.id[slot] });
            }
        }
        bounds
    }
}

/// A box of points, and their smallest id.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) lo: [f32; 3],
    pub(super) hi: [f32; 3],
    pub(super) first: u32,
}

impl Bounds {
    /// Around nothing.
    pub(super) const EMPTY: Bounds = Bounds { lo: [f32::NAN; 3], hi: [f32::NAN; 3], first: NO_ID };

    /// Grows around another box.
    #[inline(always)]
    pub(super) fn add(&mut self, other: &Bounds) {
        for axis in 0..3 {
            self.lo[axis] = self.lo[axis].min(other.lo[axis]);
            self.hi[axis] = self.hi[axis].max(other.hi[axis]);
        }
        self.first = self.first.min(other.first);
    }
}

/// The boxes of eight children: units under a leaf, nodes above. A child that is not there has NaN limits, which pass no comparison.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct Node {
    pub(super) lo: [[f32; LANES]; 3],
    pub(super) hi: [[f32; LANES]; 3],
    /// Smallest id in the child.
    pub(super) first: [u32; LANES],
    /// Index of the child among units or nodes.
    pub(super) child: [u32; LANES],
}

impl Node {
    pub(super) const EMPTY: Node = Node {
        lo: [[f32::NAN; LANES]; 3],
        hi: [[f32::NAN; LANES]; 3],
        first: [NO_ID; LANES],
        child: [u32::MAX; LANES],
    };

    /// Puts a child in a slot.
    pub(super) fn set(&mut self, slot: usize, child: u32, bounds: &Bounds) {
        for axis in 0..3 {
            self.lo[axis][slot] = bounds.lo[axis];
            self.hi[axis][slot] = bounds.hi[axis];
        }
        self.first[slot] = bounds.first;
        self.child[slot] = child;
    }

    /// The box of a child.
    pub(super) fn get(&self, slot: usize) -> Bounds {
        Bounds {
            lo: [self.lo[0][slot], self.lo[1][slot], self.lo[2][slot]],
            hi: [self.hi[0][slot], self.hi[1][slot], self.hi[2][slot]],
            first: self.first[slot],
        }
    }

    /// The box around all children.
    pub(super) fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::EMPTY;
        for slot in 0..LANES {
            bounds.add(&self.get(slot));
        }
        bounds
    }
}
