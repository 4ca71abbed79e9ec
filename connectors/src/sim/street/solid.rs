//! Solids: convex bodies and ellipsoids in a pool of planes, and how a ray cuts them.

use libm::{cosf, sinf};

use super::ground::Ground;

/// What a solid is made of.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) class: u8,
    pub(super) instance: u32,
    /// Reflectivity, 0 to 1.
    pub(super) shade: f32,
    /// Edge of the cells (m) of which the share `fill` is solid; 0 = opaque throughout.
    pub(super) cell: f32,
    pub(super) fill: f32,
    pub(super) glass: Glass,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Glass {
    None,
    /// Window panes set back in the walls.
    Panes,
    /// All sides but the top.
    Sides,
}

impl Look {
    pub(super) fn new(class: u8, instance: u32, shade: f32) -> Look {
        Look { class, instance, shade, cell: 0.0, fill: 1.0, glass: Glass::None }
    }
    pub(super) fn cells(self, cell: f32, fill: f32) -> Look {
        Look { cell, fill, ..self }
    }
    pub(super) fn glass(self, glass: Glass) -> Look {
        Look { glass, ..self }
    }
}

/// The place of a thing: position relative to the sensor (m), heading as cosine and sine. Its own axes: x ahead, y left, z up.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
    pub(super) cos: f32,
    pub(super) sin: f32,
}

/// A body: all points inside its planes (`n · p ≤ c`), its ellipse and its two heights. Relative to the sensor, in metres.
pub(super) struct Solid {
    pub(super) look: Look,
    /// A circle around it, seen from above.
    pub(super) centre: [f32; 2],
    pub(super) radius: f32,
    pub(super) low: f32,
    pub(super) high: f32,
    /// Planes in the scene's pool: vertical ones, then slanted ones.
    pub(super) planes: std::ops::Range<usize>,
    pub(super) walls: usize,
    /// One over the radii of its ellipsoid along its own axes; all 0 = none, the last 0 = an upright cylinder.
    pub(super) curve: [f32; 3],
    pub(super) spot: Spot,
    /// Where the ellipsoid's centre is, in its own axes.
    pub(super) middle: [f32; 3],
}

pub(super) struct Scene<'a> {
    pub(super) ground: &'a Ground,
    pub(super) eye: [f64; 3],
    pub(super) solids: Vec<Solid>,
    pub(super) planes: Vec<[f32; 4]>,
}

/// An interval of horizontal distance along a ray, and how squarely the ray meets the surface where it enters.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) enter: f32,
    pub(super) leave: f32,
    pub(super) facing: f32,
    pub(super) top: bool,
}

impl Cut {
    /// Keeps what lies where `slope · t ≤ limit`; false if nothing is left.
    pub(super) fn clip(&mut self, slope: f32, limit: f32, facing: f32) -> bool {
        if slope < -1e-6 {
            let t = limit / slope;
            if t > self.enter {
                (self.enter, self.facing, self.top) = (t, facing, false);
            }
        } else if slope > 1e-6 {
            self.leave = self.leave.min(limit / slope);
        } else if limit < 0.0 {
            return false;
        }
        self.enter < self.leave
    }

    /// Keeps what lies inside the unit sphere around `middle`, seen along `ray`.
    pub(super) fn sphere(&mut self, ray: [f32; 3], middle: [f32; 3]) -> bool {
        let dot = |a: [f32; 3], b: [f32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let (a, b, c) = (dot(ray, ray), dot(ray, middle), dot(middle, middle) - 1.0);
        let disc = b * b - a * c;
        if disc <= 0.0 {
            return false;
        }
        let root = disc.sqrt();
        let enter = (b - root) / a;
        if enter > self.enter {
            (self.enter, self.facing, self.top) = (enter, root / a.sqrt(), false);
        }
        self.leave = self.leave.min((b + root) / a);
        self.enter < self.leave
    }
}

impl Scene<'_> {
    /// The spot at `x` along the road and `d` beside the centre line, turned by `yaw` (rad) from the road's direction.
    pub(super) fn spot(&self, x: f64, d: f64, yaw: f32) -> Spot {
        let [centre, _, road_cos, road_sin] = self.ground.line(x);
        let y = centre + d / road_cos;
        let z = self.ground.at(x, y).0;
        let (c, s) = (cosf(yaw), sinf(yaw));
        let (rc, rs) = (road_cos as f32, road_sin as f32);
        Spot {
            x: (x - self.eye[0]) as f32,
            y: (y - self.eye[1]) as f32,
            z: (z - self.eye[2]) as f32,
            cos: rc * c - rs * s,
            sin: rs * c + rc * s,
        }
    }

    pub(super) fn push(
        &mut self,
        at: &Spot,
        look: Look,
        footprint: [f32; 3],
        z: [f32; 2],
        curve: [f32; 3],
        middle: [f32; 3],
    ) {
        let [x, y, radius] = footprint;
        let centre = [at.x + at.cos * x - at.sin * y, at.y + at.sin * x + at.cos * y];
        let end = self.planes.len();
        let (low, high) = (at.z + z[0], at.z + z[1]);
        self.solids.push(Solid {
            look,
            centre,
            radius,
            low,
            high,
            planes: end..end,
            walls: 0,
            curve,
            spot: *at,
            middle,
        });
    }

    /// Cuts the solid pushed last by a plane `n · p ≤ c` in the axes of its spot; vertical planes first.
    pub(super) fn cut(&mut self, at: &Spot, [nx, ny, nz, c]: [f32; 4]) {
        let n = [at.cos * nx - at.sin * ny, at.sin * nx + at.cos * ny, nz];
        self.planes.push([n[0], n[1], n[2], c + n[0] * at.x + n[1] * at.y + n[2] * at.z]);
        if let Some(solid) = self.solids.last_mut() {
            solid.planes.end = self.planes.len();
            solid.walls += usize::from(nz == 0.0);
        }
    }

    /// A box `[half length, half width]` around `centre`, from height `z[0]` to `z[1]`.
    pub(super) fn slab(&mut self, at: &Spot, look: Look, centre: [f32; 2], half: [f32; 2], z: [f32; 2]) {
        let radius = (half[0] * half[0] + half[1] * half[1]).sqrt();
        self.push(at, look, [centre[0], centre[1], radius], z, [0.0; 3], [0.0; 3]);
        self.cut(at, [1.0, 0.0, 0.0, centre[0] + half[0]]);
        self.cut(at, [-1.0, 0.0, 0.0, half[0] - centre[0]]);
        self.cut(at, [0.0, 1.0, 0.0, centre[1] + half[1]]);
        self.cut(at, [0.0, -1.0, 0.0, half[1] - centre[1]]);
    }

    pub(super) fn post(&mut self, at: &Spot, look: Look, centre: [f32; 2], radius: f32, z: [f32; 2]) {
        let [x, y] = centre;
        self.push(at, look, [x, y, radius], z, [1.0 / radius, 1.0 / radius, 0.0], [x, y, 0.0]);
    }

    pub(super) fn ball(&mut self, at: &Spot, look: Look, [x, y, z]: [f32; 3], radii: [f32; 3]) {
        let radius = radii[0].max(radii[1]);
        self.push(at, look, [x, y, radius], [z - radii[2], z + radii[2]], radii.map(|r| 1.0 / r), [x, y, z]);
    }

    pub(super) fn wheels(&mut self, at: &Spot, look: Look, axles: &[f32], track: f32, radius: f32) {
        for &x in axles {
            for y in [-track, track] {
                self.ball(at, Look { shade: 0.05, ..look }, [x, y, radius], [radius, 0.12, radius]);
            }
        }
    }

    /// A body that narrows from `z[0]` to `z[1]`: `front` and `rear` are x at the bottom and at the top, `side` likewise y.
    pub(super) fn wedge(
        &mut self,
        at: &Spot,
        look: Look,
        front: [f32; 2],
        rear: [f32; 2],
        side: [f32; 2],
        z: [f32; 2],
    ) {
        let (ahead, behind) = (front[0].max(front[1]), rear[0].min(rear[1]));
        let wide = side[0].max(side[1]);
        self.slab(at, look, [(ahead + behind) / 2.0, 0.0], [(ahead - behind) / 2.0, wide], z);
        let rise = z[1] - z[0];
        let lean = |a: f32, b: f32| (a - b, rise * a + (a - b) * z[0]);
        let ((fz, fc), (rz, rc), (sz, sc)) =
            (lean(front[0], front[1]), lean(-rear[0], -rear[1]), lean(side[0], side[1]));
        self.cut(at, [rise, 0.0, fz, fc]);
        self.cut(at, [-rise, 0.0, rz, rc]);
        self.cut(at, [0.0, rise, sz, sc]);
        self.cut(at, [0.0, -rise, sz, sc]);
    }
}
