//! `sim:street`: a simulated drive of a 64-beam spinning LiDAR through an endless street, every point labelled.
//!
//! Frame `n` of seed `s` is a pure function of `(s, n)`: whatever was generated before, and with the same bits on every
//! platform, for it uses only exactly rounded arithmetic, `libm`, and random numbers that depend on a key alone (`dice`).
//!
//! The world is laid out beside a gently winding centre line `y = f(x)`: a place is named by `x` and by its distance `d` from
//! the centre line (left positive). Blocks of 96 m begin with a crossing; six lots a side follow. Ground is a height field;
//! everything else is a `Solid`: a convex body or an ellipsoid, opaque or a lattice of leaves. All beams of one azimuth
//! share a vertical plane, so a solid is cut once a column, and the ground's profile is walked once a column.
//!
//! Sensor after the Velodyne HDL-64E as mounted in KITTI (Geiger et al., "Are we ready for autonomous driving?", CVPR 2012):
//! 1.73 m above the road, +2° to −24.8°, 0.179° of azimuth. More than 400 lines, since a
//! simulation is one connector, and a connector one file: ground, things, traffic, sensor, source, in this order.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::dice::{Dice, mix};
use crate::points::label;
use libm::{asinf, atan, atan2f, cos, cosf, sin, sinf, tanf};
use thalweg::source::{Place, Position};
use thalweg::{BoxError, Frame, Next, Pose, Source, Truth};

const BEAMS: usize = 64;
const COLUMNS: usize = 2011;
const STEP: f32 = 2.0 * std::f32::consts::PI / COLUMNS as f32;
/// Range of the sensor (m).
const RANGE: [f32; 2] = [2.0, 110.0];
/// Sensor above the road (m).
const MOUNT: f64 = 1.73;
/// Metres along the road that the car covers in a frame of 0.1 s.
const ADVANCE: f64 = 1.0;
/// What the car's own body hides, as azimuth, half-width and highest elevation (degrees).
const OWN_BODY: [[f32; 3]; 6] = [
    [0.0, 52.0, -23.0],
    [-70.0, 9.0, -18.0],
    [140.0, 5.0, -19.0],
    [160.0, 9.0, -19.5],
    [-152.0, 9.0, -20.0],
    [180.0, 9.0, -22.0],
];

/// Length of a block, of the crossing at its beginning, and of one of its lots (m).
const BLOCK: f64 = 96.0;
const CROSSING: f64 = 10.4;
const LOTS: usize = 6;
const LOT: f64 = (BLOCK - CROSSING) / LOTS as f64;
/// Distances from the centre line: end of the road, of the parking strip or verge, and of the sidewalk (m).
const KERB: f64 = 4.2;
const STRIP: f64 = 6.4;
const FRONT: f64 = 9.2;

// SemanticKITTI train ids.
const CAR: u8 = 1;
const BICYCLE: u8 = 2;
const MOTORCYCLE: u8 = 3;
const TRUCK: u8 = 4;
const OTHER_VEHICLE: u8 = 5;
const PERSON: u8 = 6;
const BICYCLIST: u8 = 7;
const MOTORCYCLIST: u8 = 8;
const ROAD: u8 = 9;
const PARKING: u8 = 10;
const SIDEWALK: u8 = 11;
const OTHER_GROUND: u8 = 12;
const BUILDING: u8 = 13;
const FENCE: u8 = 14;
const VEGETATION: u8 = 15;
const TRUNK: u8 = 16;
const TERRAIN: u8 = 17;
const POLE: u8 = 18;
const TRAFFIC_SIGN: u8 = 19;

/// How a block is built up.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Town,
    Suburb,
    Green,
}

/// The ground of one lot: what lies between road and sidewalk, what behind the sidewalk, and how that rises (m per m).
#[derive(Clone, Copy)]
struct Lot {
    style: Style,
    strip: u8,
    yard: u8,
    slope: f64,
}

impl Lot {
    fn new(seed: u64, block: i64, side: usize, lot: usize) -> Lot {
        let style = match Dice::new(seed, 1, block * 2 + side as i64).unit() {
            u if u < 0.35 => Style::Town,
            u if u < 0.65 => Style::Suburb,
            _ => Style::Green,
        };
        let mut dice = Dice::new(seed, 2, lot_number(block, side, lot));
        let strip = match (style, dice.unit()) {
            _ if lot == 2 && side as i64 == block.rem_euclid(2) => OTHER_GROUND,
            (Style::Green, u) if u < 0.8 => TERRAIN,
            (_, u) if u < 0.42 => PARKING,
            (_, u) if u < 0.75 => TERRAIN,
            _ => SIDEWALK,
        };
        let yard = match (style, dice.unit()) {
            (Style::Town, u) if u < 0.4 => OTHER_GROUND,
            (Style::Town, u) if u < 0.6 => SIDEWALK,
            (Style::Suburb, u) if u < 0.1 => OTHER_GROUND,
            (_, u) if u > 0.92 => PARKING,
            _ => TERRAIN,
        };
        let slope = if style == Style::Green { f64::from(dice.between(-0.08, 0.16)) } else { 0.01 };
        Lot { style, strip, yard, slope: if yard == TERRAIN { slope } else { 0.005 } }
    }
}

fn lot_number(block: i64, side: usize, lot: usize) -> i64 {
    (block * 2 + side as i64) * 8 + lot as i64
}

/// The part of the world that one frame can see: centre line and lots as tables, both at fixed places of the world.
struct Ground {
    /// Centre line every half metre of `x`: y, height (m), cosine and sine of the heading.
    line: Vec<[f64; 4]>,
    line_from: f64,
    lots: Vec<Lot>,
    blocks: std::ops::Range<i64>,
}

impl Ground {
    fn around(seed: u64, x: f64) -> Ground {
        let reach = f64::from(RANGE[1]) + 20.0;
        let line_from = (x - reach).floor();
        let line = (0..(4.0 * reach) as usize + 4).map(|i| centre_line(seed, line_from + i as f64 * 0.5)).collect();
        let blocks = (line_from / BLOCK).floor() as i64..((x + reach) / BLOCK).floor() as i64 + 2;
        let lots =
            blocks.clone().flat_map(|b| (0..2 * LOTS).map(move |i| Lot::new(seed, b, i / LOTS, i % LOTS))).collect();
        Ground { line, line_from, lots, blocks }
    }

    fn line(&self, x: f64) -> [f64; 4] {
        let at = ((x - self.line_from) * 2.0).clamp(0.0, (self.line.len() - 2) as f64);
        let (a, b) = (&self.line[at as usize], &self.line[at as usize + 1]);
        let w = at.fract();
        std::array::from_fn(|i| a[i] + (b[i] - a[i]) * w)
    }

    fn lot(&self, block: i64, side: usize, lot: usize) -> &Lot {
        let block = block.clamp(self.blocks.start, self.blocks.end - 1) - self.blocks.start;
        &self.lots[(block as usize * 2 + side) * LOTS + lot]
    }

    /// Height (m) and class of the ground at a place of the world.
    fn at(&self, x: f64, y: f64) -> (f64, u8) {
        let [centre, base, cos, _] = self.line(x);
        let d = (y - centre) * cos;
        let (a, side) = (d.abs(), usize::from(d < 0.0));
        let along = x - (x / BLOCK).floor() * BLOCK;
        let from_crossing = (along - CROSSING / 2.0).abs();
        if a < KERB || from_crossing < 3.2 {
            let crown = 1.0 - (a / KERB).min(1.0);
            return (base + 0.06 * crown, ROAD);
        }
        if from_crossing < CROSSING / 2.0 {
            return (base + 0.12, SIDEWALK);
        }
        let block = (x / BLOCK).floor() as i64;
        let lot = self.lot(block, side, (((along - CROSSING) / LOT) as usize).min(LOTS - 1));
        let class = match a {
            a if a < STRIP => lot.strip,
            a if a < FRONT => SIDEWALK,
            _ => lot.yard,
        };
        let rise = lot.slope * (a - FRONT).clamp(0.0, 12.0);
        match class {
            PARKING => (base + 0.02 + rise, class),
            TERRAIN => {
                let swell = if a < STRIP { 0.0 } else { 0.2 * ripple(x * 0.25, y * 0.25) };
                (base + 0.1 + rise + swell + 0.07 * ripple(x * 1.7, y * 1.7), class)
            }
            _ => (base + 0.12 + rise, class),
        }
    }
}

/// y, height, cosine and sine of the heading of the centre line at `x`.
fn centre_line(seed: u64, x: f64) -> [f64; 4] {
    let mut dice = Dice::new(seed, 3, 0);
    let phase: [f64; 3] = std::array::from_fn(|_| f64::from(dice.between(0.0, 6.0)));
    let (u, v) = (x / 70.0 + phase[0], x / 31.0 + phase[1]);
    let heading = atan(9.0 / 70.0 * cos(u) + 3.0 / 31.0 * cos(v));
    [9.0 * sin(u) + 3.0 * sin(v), 0.8 * sin(x / 45.0 + phase[2]), cos(heading), sin(heading)]
}

/// Smooth noise between 0 and 1 with a wavelength of about 2.
fn ripple(x: f64, y: f64) -> f64 {
    let (i, j) = (x.floor(), y.floor());
    let corner = |a: f64, b: f64| {
        let key = (a as i64 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (b as i64 as u64).rotate_left(32);
        (mix(key) >> 40) as f64 / (1u32 << 24) as f64
    };
    let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - i), smooth(y - j));
    let (near, far) = (corner(i, j), corner(i, j + 1.0));
    let near = near + (corner(i + 1.0, j) - near) * u;
    let far = far + (corner(i + 1.0, j + 1.0) - far) * u;
    near + (far - near) * v
}

/// What a solid is made of.
#[derive(Clone, Copy)]
struct Look {
    class: u8,
    instance: u32,
    /// Reflectivity, 0 to 1.
    shade: f32,
    /// Edge of the cells (m) of which the share `fill` is solid; 0 = opaque throughout.
    cell: f32,
    fill: f32,
    glass: Glass,
}

#[derive(Clone, Copy, PartialEq)]
enum Glass {
    None,
    /// Window panes set back in the walls.
    Panes,
    /// All sides but the top.
    Sides,
}

impl Look {
    fn new(class: u8, instance: u32, shade: f32) -> Look {
        Look { class, instance, shade, cell: 0.0, fill: 1.0, glass: Glass::None }
    }
    fn cells(self, cell: f32, fill: f32) -> Look {
        Look { cell, fill, ..self }
    }
    fn glass(self, glass: Glass) -> Look {
        Look { glass, ..self }
    }
}

/// The place of a thing: position relative to the sensor (m), heading as cosine and sine. Its own axes: x ahead, y left, z up.
#[derive(Clone, Copy)]
struct Spot {
    x: f32,
    y: f32,
    z: f32,
    cos: f32,
    sin: f32,
}

/// A body: all points inside its planes (`n · p ≤ c`), its ellipse and its two heights. Relative to the sensor, in metres.
struct Solid {
    look: Look,
    /// A circle around it, seen from above.
    centre: [f32; 2],
    radius: f32,
    low: f32,
    high: f32,
    /// Planes in the scene's pool: vertical ones, then slanted ones.
    planes: std::ops::Range<usize>,
    walls: usize,
    /// One over the radii of its ellipsoid along its own axes; all 0 = none, the last 0 = an upright cylinder.
    curve: [f32; 3],
    spot: Spot,
    /// Where the ellipsoid's centre is, in its own axes.
    middle: [f32; 3],
}

struct Scene<'a> {
    ground: &'a Ground,
    eye: [f64; 3],
    solids: Vec<Solid>,
    planes: Vec<[f32; 4]>,
}

/// An interval of horizontal distance along a ray, and how squarely the ray meets the surface where it enters.
#[derive(Clone, Copy)]
struct Cut {
    enter: f32,
    leave: f32,
    facing: f32,
    top: bool,
}

impl Cut {
    /// Keeps what lies where `slope · t ≤ limit`; false if nothing is left.
    fn clip(&mut self, slope: f32, limit: f32, facing: f32) -> bool {
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
    fn sphere(&mut self, ray: [f32; 3], middle: [f32; 3]) -> bool {
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
    fn spot(&self, x: f64, d: f64, yaw: f32) -> Spot {
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

    fn push(&mut self, at: &Spot, look: Look, footprint: [f32; 3], z: [f32; 2], curve: [f32; 3], middle: [f32; 3]) {
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
    fn cut(&mut self, at: &Spot, [nx, ny, nz, c]: [f32; 4]) {
        let n = [at.cos * nx - at.sin * ny, at.sin * nx + at.cos * ny, nz];
        self.planes.push([n[0], n[1], n[2], c + n[0] * at.x + n[1] * at.y + n[2] * at.z]);
        if let Some(solid) = self.solids.last_mut() {
            solid.planes.end = self.planes.len();
            solid.walls += usize::from(nz == 0.0);
        }
    }

    /// A box `[half length, half width]` around `centre`, from height `z[0]` to `z[1]`.
    fn slab(&mut self, at: &Spot, look: Look, centre: [f32; 2], half: [f32; 2], z: [f32; 2]) {
        let radius = (half[0] * half[0] + half[1] * half[1]).sqrt();
        self.push(at, look, [centre[0], centre[1], radius], z, [0.0; 3], [0.0; 3]);
        self.cut(at, [1.0, 0.0, 0.0, centre[0] + half[0]]);
        self.cut(at, [-1.0, 0.0, 0.0, half[0] - centre[0]]);
        self.cut(at, [0.0, 1.0, 0.0, centre[1] + half[1]]);
        self.cut(at, [0.0, -1.0, 0.0, half[1] - centre[1]]);
    }

    fn post(&mut self, at: &Spot, look: Look, centre: [f32; 2], radius: f32, z: [f32; 2]) {
        let [x, y] = centre;
        self.push(at, look, [x, y, radius], z, [1.0 / radius, 1.0 / radius, 0.0], [x, y, 0.0]);
    }

    fn ball(&mut self, at: &Spot, look: Look, [x, y, z]: [f32; 3], radii: [f32; 3]) {
        let radius = radii[0].max(radii[1]);
        self.push(at, look, [x, y, radius], [z - radii[2], z + radii[2]], radii.map(|r| 1.0 / r), [x, y, z]);
    }

    fn wheels(&mut self, at: &Spot, look: Look, axles: &[f32], track: f32, radius: f32) {
        for &x in axles {
            for y in [-track, track] {
                self.ball(at, Look { shade: 0.05, ..look }, [x, y, radius], [radius, 0.12, radius]);
            }
        }
    }

    /// A body that narrows from `z[0]` to `z[1]`: `front` and `rear` are x at the bottom and at the top, `side` likewise y.
    fn wedge(&mut self, at: &Spot, look: Look, front: [f32; 2], rear: [f32; 2], side: [f32; 2], z: [f32; 2]) {
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

    fn car(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
        let paint = Look::new(CAR, instance, dice.unit() * dice.unit() * 0.4 + 0.02);
        let (kind, grow) = (dice.unit(), dice.between(0.94, 1.06));
        let (l, w, h, belt) = match kind {
            k if k < 0.7 => (2.1 * grow, 0.87 * grow, 1.48, 0.92),
            k if k < 0.88 => (2.25 * grow, 0.93, 1.75, 1.05),
            _ => (2.45 * grow, 0.96, 2.05, 1.15),
        };
        let nose = if kind < 0.88 { belt - 0.22 } else { belt };
        self.wedge(at, paint, [l - 0.12, l], [-l + 0.15, -l], [w - 0.08, w], [0.2, 0.5]);
        self.wedge(at, paint, [l, l - 0.1], [-l, -l + 0.06], [w, w - 0.04], [0.5, belt]);
        self.cut(at, [belt - nose, 0.0, 0.4 * l, (belt - nose) * (l - 0.1) + 0.4 * l * nose]);
        let (hood, tail) = (if kind < 0.88 { 0.45 * l } else { 0.75 * l }, if kind < 0.3 { 0.62 } else { 0.95 });
        let cabin = paint.glass(Glass::Sides);
        let roof = h - 0.06;
        self.wedge(at, cabin, [hood, 0.08 * l], [-tail * l, -(tail - 0.2) * l], [w - 0.05, w - 0.2], [belt, roof]);
        self.ball(at, paint, [(0.14 - tail / 2.0) * l, 0.0, roof - 0.03], [(tail / 2.0 - 0.08) * l, w - 0.22, 0.09]);
        self.wheels(at, paint, &[0.62 * l, -0.6 * l], w - 0.11, 0.31);
        for y in [-w - 0.06, w + 0.06] {
            self.ball(at, paint, [0.36 * l, y, belt + 0.05], [0.06, 0.1, 0.08]);
        }
    }

    fn truck(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
        let look = Look::new(TRUCK, instance, dice.between(0.15, 0.45));
        let half = dice.between(2.8, 3.6);
        let box_ = Look { shade: dice.between(0.2, 0.5), ..look };
        self.wedge(at, look, [half, half - 0.15], [half - 1.9, half - 1.9], [1.15, 1.1], [0.45, 1.5]);
        self.wedge(
            at,
            look.glass(Glass::Sides),
            [half - 0.15, half - 0.4],
            [half - 1.9, half - 1.9],
            [1.1, 1.0],
            [1.5, 2.6],
        );
        self.slab(at, box_, [-1.0, 0.0], [half - 1.05, 1.24], [1.0, dice.between(2.8, 3.5)]);
        self.slab(at, look, [-0.6, 0.0], [half - 0.7, 0.5], [0.55, 1.0]);
        self.wheels(at, look, &[half - 0.9, -half + 1.3, -half + 2.3], 1.05, 0.48);
    }

    /// A bus, or a trailer without its car.
    fn other_vehicle(&mut self, at: &Spot, instance: u32, dice: &mut Dice, bus: bool) {
        let look = Look::new(OTHER_VEHICLE, instance, dice.between(0.15, 0.45));
        let (half, wide) = if bus { (5.3, 1.25) } else { (dice.between(1.3, 2.6), 1.05) };
        self.slab(at, look, [0.0, 0.0], [half, wide], [0.4, 1.15]);
        let upper = look.glass(if bus { Glass::Sides } else { Glass::None });
        self.wedge(
            at,
            upper,
            [half, half - 0.15],
            [-half, -half + 0.1],
            [wide, wide - 0.05],
            [1.15, 2.3 + 0.3 * f32::from(bus)],
        );
        if bus {
            self.slab(at, look, [0.0, 0.0], [half - 0.2, 1.2], [2.6, 3.0]);
            self.wheels(at, look, &[3.4, -2.9], 1.1, 0.48);
        } else {
            self.slab(at, look, [half + 0.6, 0.0], [0.7, 0.06], [0.4, 0.5]);
            self.wheels(at, look, &[0.0], 1.0, 0.32);
        }
    }

    fn cycle(&mut self, at: &Spot, look: Look, motor: bool) {
        if motor {
            self.wheels(at, Look { shade: 0.1, ..look }, &[0.68, -0.66], 0.0, 0.31);
            self.ball(at, look, [0.0, 0.0, 0.55], [0.5, 0.2, 0.25]);
            self.ball(at, look, [0.2, 0.0, 0.85], [0.35, 0.17, 0.17]);
            self.ball(at, look, [-0.45, 0.0, 0.8], [0.4, 0.15, 0.1]);
            self.ball(at, look, [0.62, 0.0, 0.95], [0.12, 0.2, 0.25]);
            self.slab(at, look, [0.5, 0.0], [0.04, 0.38], [0.98, 1.06]);
        } else {
            for x in [-0.52, 0.52] {
                self.ball(at, look.cells(0.1, 0.5), [x, 0.0, 0.34], [0.34, 0.035, 0.34]);
            }
            self.slab(at, look.cells(0.12, 0.6), [0.0, 0.0], [0.42, 0.03], [0.35, 0.85]);
            self.slab(at, look, [0.42, 0.0], [0.04, 0.29], [0.95, 1.03]);
            self.ball(at, look, [-0.22, 0.0, 0.95], [0.14, 0.08, 0.06]);
        }
    }

    /// Somebody on foot, `stride` from −1 to 1; or seated on a cycle.
    fn person(&mut self, at: &Spot, look: Look, dice: &mut Dice, stride: f32, seated: bool) {
        let h = dice.between(0.88, 1.06);
        let lean = if seated { 0.12 } else { 0.0 };
        for y in [-1.0f32, 1.0] {
            let (swing, knee) = if seated { (0.12, 0.62) } else { (y * stride * 0.16, 0.42) };
            self.ball(at, look, [swing, y * 0.1, knee * h], [0.11 + 0.1 * stride.abs(), 0.085, 0.44 * h]);
            self.ball(at, look, [lean * 2.0 - swing, y * 0.26, 1.12 * h], [0.1 + 0.2 * lean, 0.06, 0.3 * h]);
        }
        self.ball(
            at,
            Look { shade: look.shade * 0.8, ..look },
            [lean, 0.0, 1.14 * h],
            [0.15 + 0.4 * lean, 0.22, 0.38 * h],
        );
        self.ball(at, look, [lean * 2.0, 0.0, 1.6 * h], [0.11, 0.09, 0.14]);
    }

    fn tree(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
        let leaves = Look::new(VEGETATION, instance, dice.between(0.34, 0.5)).cells(0.22, 0.3);
        let conifer = dice.chance(0.2);
        let (radius, wide) = (dice.between(0.07, 0.24), dice.between(1.3, 2.7));
        let base = if conifer { 0.4 } else { dice.between(1.2, 2.6) };
        self.post(at, Look::new(TRUNK, instance, dice.between(0.25, 0.45)), [0.0, 0.0], radius, [-0.3, base + 1.5]);
        self.ball(at, Look::new(TRUNK, instance, 0.35), [0.0, 0.0, 0.0], [radius * 1.7, radius * 1.6, 0.35]);
        for i in 0..5 {
            let i = i as f32;
            if conifer {
                let r = wide * (0.75 - 0.13 * i);
                self.ball(at, leaves, [0.0, 0.0, base + 0.7 + 1.1 * i], [r, r, 0.9]);
            } else {
                let (x, y) = (dice.between(-0.6, 0.6) * wide, dice.between(-0.6, 0.6) * wide);
                let r = wide * dice.between(0.45, 0.75);
                self.ball(at, leaves, [x, y, base + r * 0.8 + 0.5 * i * dice.unit()], [r, r, r * 0.8]);
            }
        }
    }

    fn bush(&mut self, at: &Spot, size: f32, dice: &mut Dice) {
        let look = Look::new(VEGETATION, 0, dice.between(0.32, 0.48)).cells(0.13, 0.4);
        for _ in 0..3 {
            let (x, y, r) =
                (dice.between(-1.0, 1.0) * size, dice.between(-0.6, 0.6) * size, size * dice.between(0.5, 0.9));
            self.ball(at, look, [x, y, r * 0.7], [r, r, r]);
        }
    }

    /// A fence, a low wall, a rail or a hedge of `half` length along its spot.
    fn boundary(&mut self, at: &Spot, half: f32, kind: f32, dice: &mut Dice) {
        let fence = Look::new(FENCE, 0, dice.between(0.22, 0.42));
        let high = dice.between(0.8, 1.7);
        match kind {
            k if k < 0.25 => self.slab(at, fence, [0.0, 0.0], [half, 0.12], [-0.3, high * 0.8]),
            k if k < 0.65 => {
                let (cell, fill) = if k < 0.45 { (0.11, 0.65) } else { (0.07, 0.35) };
                self.slab(at, fence.cells(cell, fill), [0.0, 0.0], [half, 0.025], [0.05, high]);
                let posts = (half / 1.2) as i32;
                for i in -posts..=posts {
                    self.slab(at, fence, [i as f32 * 1.2, 0.0], [0.04, 0.04], [-0.2, high + 0.05]);
                }
            }
            k if k < 0.75 => {
                self.slab(at, fence, [0.0, 0.0], [half, 0.04], [0.45, 0.75]);
                for i in -3..=3 {
                    self.slab(at, fence, [i as f32 * half / 3.2, -0.08], [0.06, 0.06], [-0.2, 0.7]);
                }
            }
            _ => {
                let hedge = Look::new(VEGETATION, 0, dice.between(0.32, 0.46)).cells(0.12, 0.45);
                self.slab(at, hedge, [0.0, 0.0], [half, dice.between(0.3, 0.6)], [0.0, high]);
            }
        }
    }

    fn sign(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
        let high = dice.between(1.5, 2.9);
        let plate = Look::new(TRAFFIC_SIGN, instance, dice.between(0.4, 0.95));
        self.post(at, Look::new(POLE, instance, 0.25), [0.0, 0.0], 0.035, [-0.2, high]);
        let (wide, tall) = (dice.between(0.2, 0.42), dice.between(0.25, 0.45));
        self.slab(at, plate, [-0.05, 0.0], [0.015, wide], [high - 2.0 * tall, high]);
    }

    fn building(&mut self, x: f64, d: f64, half: [f32; 2], instance: u32, dice: &mut Dice) {
        let side = if d > 0.0 { -1.0 } else { 1.0 };
        let at = self.spot(x, d, 0.0);
        let look = Look::new(BUILDING, instance, dice.between(0.3, 0.5));
        let high = dice.between(5.0, 14.0);
        self.slab(&at, look.glass(Glass::Panes), [0.0, 0.0], half, [-1.5, high]);
        self.slab(&at, look, [0.0, 0.0], [half[0] + 0.05, half[1] + 0.06], [-1.5, 0.55]);
        let front = side * half[1];
        let door = dice.between(-0.8, 0.8) * half[0];
        self.slab(&at, look, [door, front + side * 0.5], [0.8, 0.5], [-0.5, 0.35]);
        if dice.chance(0.4) {
            self.slab(&at, look, [door, front + side * 0.6], [1.1, 0.6], [2.4, 2.6]);
            self.post(&at, look, [door + 1.0, front + side * 1.1], 0.08, [0.0, 2.4]);
        }
        if dice.chance(0.35) {
            let bay = dice.between(-0.6, 0.6) * half[0];
            self.slab(&at, look.glass(Glass::Panes), [bay, front], [1.6, 0.9], [-0.5, 3.2]);
        }
        for i in [-1.0, 1.0] {
            self.post(&at, look, [i * (half[0] - 0.2), front + side * 0.08], 0.06, [0.0, high]);
        }
    }

    /// Everything that stands on one lot.
    fn fill_lot(&mut self, seed: u64, block: i64, side: usize, lot: usize) {
        let Lot { style, strip, yard, .. } = *self.ground.lot(block, side, lot);
        let number = lot_number(block, side, lot);
        let dice = &mut Dice::new(seed, 4, number);
        let sign = if side == 0 { 1.0 } else { -1.0 };
        let middle = block as f64 * BLOCK + CROSSING + (lot as f64 + 0.5) * LOT;
        let mut instance = 1 + 64 * number as u32;
        let mut next = || {
            instance += 1;
            instance
        };
        let across = |dice: &mut Dice, from: f64, to: f64| sign * f64::from(dice.between(from as f32, to as f32));
        let along = |dice: &mut Dice, reach: f32| middle + f64::from(dice.between(-reach, reach));
        match strip {
            PARKING => {
                for i in [-1.0, 1.0] {
                    let x = middle + i * LOT / 4.0 + f64::from(dice.between(-0.5, 0.5));
                    let turn = if dice.chance(0.7) == (side == 1) { 0.0 } else { std::f32::consts::PI };
                    let at = self.spot(x, sign * 5.3, turn + dice.between(-0.04, 0.04));
                    match dice.unit() {
                        u if u < 0.42 => self.car(&at, next(), dice),
                        u if u < 0.5 => {
                            let look = Look::new(MOTORCYCLE, next(), dice.between(0.1, 0.4));
                            self.cycle(&self.spot(x, sign * 5.4, turn + 1.2), look, true);
                        }
                        u if u < 0.53 => self.truck(&at, next(), dice),
                        u if u < 0.57 => self.other_vehicle(&at, next(), dice, false),
                        _ => {}
                    }
                }
            }
            TERRAIN if dice.chance(0.7) => {
                let (x, d) = (along(dice, 5.0), across(dice, 5.0, 5.8));
                let at = self.spot(x, d, 0.0);
                if dice.chance(0.75) { self.tree(&at, next(), dice) } else { self.bush(&at, 0.5, dice) }
            }
            _ => {
                for i in -2..3 {
                    let at = self.spot(middle + 1.7 * f64::from(i), sign * 4.6, 0.0);
                    if dice.chance(0.3) {
                        self.post(&at, Look::new(POLE, next(), 0.2), [0.0, 0.0], 0.06, [-0.1, 0.9]);
                    }
                }
            }
        }
        if lot % 2 == side {
            let at = self.spot(along(dice, 3.0), sign * 6.75, 0.0);
            self.post(
                &at,
                Look::new(POLE, next(), dice.between(0.1, 0.35)),
                [0.0, 0.0],
                dice.between(0.06, 0.13),
                [-0.2, 7.0],
            );
        }
        if dice.chance(0.3) {
            let turn = if side == 1 { 0.0 } else { std::f32::consts::PI };
            let at = self.spot(along(dice, 6.0), sign * 6.7, turn + dice.between(-0.2, 0.2));
            self.sign(&at, next(), dice);
        }
        for _ in 0..if dice.chance(0.18) { 3 } else { 0 } {
            let at = self.spot(along(dice, 3.0), sign * 8.85, dice.sign() * 1.57 + dice.between(-1.5, 0.4));
            self.cycle(&at, Look::new(BICYCLE, next(), dice.between(0.25, 0.5)), false);
        }
        let (setback, half) = match style {
            Style::Town => (if yard == TERRAIN { 2.5 } else { 0.3 }, dice.between(6.3, 7.1)),
            Style::Suburb => (f64::from(dice.between(4.0, 8.0)), dice.between(4.0, 6.0)),
            Style::Green => (0.0, 0.0),
        };
        let depth = dice.between(4.0, 6.0);
        let built = style != Style::Green && dice.chance(0.92);
        if built {
            self.building(middle, sign * (FRONT + setback + f64::from(depth)), [half, depth], next(), dice);
        }
        let boundary = if style == Style::Green { 0.35 } else { 0.75 };
        let kind = dice.unit();
        if (setback > 1.0 || style == Style::Green) && dice.chance(boundary) {
            let gap = dice.between(0.0, 1.4);
            let at = self.spot(middle - f64::from(gap), sign * (FRONT + 0.5), 0.0);
            self.boundary(&at, LOT as f32 / 2.0 - gap, kind, dice);
        }
        if style == Style::Suburb && dice.chance(0.6) {
            let at = self.spot(middle + LOT / 2.0 - 0.3, sign * (FRONT + 6.0), std::f32::consts::FRAC_PI_2);
            self.boundary(&at, 5.0, kind, dice);
        }
        let room = if built { FRONT + setback - 0.8 } else { 24.0 };
        let plants = if yard == TERRAIN { 4 + (dice.bits() % 4) as usize } else { 0 };
        for _ in 0..plants * if built { 1 } else { 2 } {
            let (x, d) = (along(dice, 6.5), across(dice, FRONT + 1.0, room.max(FRONT + 1.1)));
            let at = self.spot(x, d, dice.between(0.0, 3.0));
            let size = dice.between(
                0.35,
                if setback > 3.0 {
                    1.2
                } else if built {
                    0.6
                } else {
                    2.0
                },
            );
            if dice.chance(if setback > 3.0 || !built { 0.3 } else { 0.1 }) {
                self.tree(&at, next(), dice)
            } else {
                self.bush(&at, size, dice)
            }
        }
        if yard == PARKING && (setback > 5.5 || !built) {
            for i in -2..2 {
                let at = self.spot(middle + 3.0 * f64::from(i), sign * (FRONT + 3.2), 1.57 * dice.sign());
                if dice.chance(0.6) {
                    self.car(&at, next(), dice);
                }
            }
        }
        for _ in 0..7 {
            let (x, d) = (along(dice, 7.0), across(dice, 25.0, 45.0));
            let at = self.spot(x, d, 0.0);
            let size = dice.between(1.2, 3.0);
            if dice.chance(0.4) { self.tree(&at, next(), dice) } else { self.bush(&at, size, dice) }
        }
    }

    /// The side street at a block's beginning.
    fn fill_crossing(&mut self, seed: u64, block: i64) {
        let dice = &mut Dice::new(seed, 5, block);
        let middle = block as f64 * BLOCK + CROSSING / 2.0;
        let mut instance = 1 + 64 * lot_number(block, 0, 7) as u32;
        let mut next = || {
            instance += 1;
            instance
        };
        for sign in [-1.0f64, 1.0] {
            let ahead = std::f32::consts::FRAC_PI_2 * sign as f32;
            for i in 0..6 {
                let d = sign * (14.0 + 6.0 * f64::from(i));
                let at = self.spot(middle + 2.2, d, ahead + dice.between(-0.04, 0.04));
                if dice.chance(0.5) {
                    self.car(&at, next(), dice);
                }
            }
            if dice.chance(0.5) {
                self.car(&self.spot(middle - 1.3 * sign, sign * 10.2, -ahead), next(), dice);
            }
            let look = Look::new(MOTORCYCLE, next(), dice.between(0.1, 0.4));
            self.cycle(&self.spot(middle - 4.4, sign * 5.6, ahead + 0.5), look, true);
            self.sign(&self.spot(middle - 4.0, sign * 8.1, dice.between(-0.3, 0.3)), next(), dice);
            let at = self.spot(middle + 4.6, sign * 8.8, 0.0);
            self.post(&at, Look::new(POLE, next(), 0.2), [0.0, 0.0], 0.09, [-0.2, 5.0]);
            for v in [-5.6, 5.6] {
                let at = self.spot(middle + v, sign * 22.0, ahead);
                let kind = dice.unit();
                self.boundary(&at, 7.0, kind, dice);
            }
            for i in 0..4 {
                let at = self.spot(middle + f64::from(dice.sign()) * 5.0, sign * (12.0 + 8.0 * f64::from(i)), 0.0);
                if dice.chance(0.3) { self.tree(&at, next(), dice) } else { self.bush(&at, 0.9, dice) }
            }
        }
    }

    /// Everything that moves, `time` in seconds.
    fn fill_traffic(&mut self, seed: u64, time: f64, car: f64) {
        // Lane, distance from the centre line, spacing, travelled: each lane is a train of slots that moves as a whole.
        let lanes = [
            (0, 2.1, 21.0, -9.0 * time),
            (1, -2.0, 19.0, car),
            (2, 3.75, 41.0, -4.6 * time),
            (3, -3.75, 37.0, 4.4 * time),
            (4, 7.5, 13.0, 1.3 * time),
            (5, 8.2, 15.0, -1.2 * time),
            (6, -7.5, 12.0, 1.35 * time),
            (7, -8.2, 14.0, -1.25 * time),
        ];
        for (lane, d, spacing, travelled) in lanes {
            let slot = |x: f64| ((x - travelled) / spacing).floor() as i64;
            for j in slot(car - 100.0)..=slot(car + 100.0) {
                let dice = &mut Dice::new(seed, 10 + lane, j);
                let instance = (8 + lane as u32) << 28 | (j as u32 & 0xff_ffff);
                let jitter = f64::from(dice.between(-0.12, 0.12)) * spacing;
                let back = matches!(lane, 0 | 2 | 5 | 7);
                let turn = if back { std::f32::consts::PI } else { 0.0 };
                let aside = f64::from(dice.between(-0.12, 0.12));
                let at = self.spot(travelled + spacing * j as f64 + jitter, d + aside, turn);
                let stride = sinf(time as f32 * 6.0 + dice.between(0.0, 6.0));
                let shade = dice.between(0.2, 0.55);
                match lane {
                    1 if j == 0 => {}
                    0 | 1 => match (j.rem_euclid(8), lane) {
                        (0 | 4, 0) => self.rider(&at, MOTORCYCLIST, instance, dice),
                        (2, _) => self.truck(&at, instance, dice),
                        (6, _) => self.other_vehicle(&at, instance, dice, true),
                        _ if dice.chance(0.7) => self.car(&at, instance, dice),
                        _ => {}
                    },
                    2 | 3 if dice.chance(0.8) => self.rider(&at, BICYCLIST, instance, dice),
                    4.. if dice.chance(0.35) => {
                        self.person(&at, Look::new(PERSON, instance, shade), dice, stride, false);
                    }
                    _ => {}
                }
            }
        }
    }

    fn rider(&mut self, at: &Spot, class: u8, instance: u32, dice: &mut Dice) {
        let look = Look::new(class, instance, dice.between(0.15, 0.45));
        self.cycle(at, look, class == MOTORCYCLIST);
        self.person(at, look, dice, 0.0, true);
    }
}

/// The nearest thing that one ray meets.
#[derive(Clone, Copy)]
struct Hit {
    /// Horizontal distance (m).
    t: f32,
    facing: f32,
    shade: f32,
    instance: u32,
    class: u8,
    glass: bool,
}

/// One turn of the sensor: all rays, by column and then beam.
struct Sweep {
    /// Tangent of each beam's elevation, falling.
    tan: [f32; BEAMS],
    /// Azimuth of column 0 in the sensor frame, and the sensor's own heading in the world (rad).
    phase: f32,
    yaw: f32,
    eye: [f64; 3],
    hits: Vec<Hit>,
}

impl Sweep {
    fn direction(&self, column: usize) -> [f32; 2] {
        let azimuth = self.yaw + self.phase + column as f32 * STEP;
        [cosf(azimuth), sinf(azimuth)]
    }

    fn cast(&mut self, scene: &Scene, seed: u64, rays: &[[f32; 2]]) {
        let mut order: Vec<(f32, usize)> = (scene.solids.iter().enumerate())
            .map(|(i, s)| ((s.centre[0] * s.centre[0] + s.centre[1] * s.centre[1]).sqrt() - s.radius, i))
            .filter(|&(near, _)| near < RANGE[1])
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, i) in order {
            let solid = &scene.solids[i];
            let [x, y] = solid.centre;
            let far = (x * x + y * y).sqrt();
            let half = if far > solid.radius { asinf(solid.radius / far) } else { 4.0 };
            let middle = (atan2f(y, x) - self.yaw - self.phase) / STEP;
            let wide = (half / STEP).min(COLUMNS as f32 / 2.0 - 1.0);
            for column in (middle - wide).ceil() as i64..=(middle + wide).floor() as i64 {
                let column = column.rem_euclid(COLUMNS as i64) as usize;
                self.cast_column(scene, solid, seed, column, rays[column]);
            }
        }
    }

    /// All beams of one column against one solid.
    fn cast_column(&mut self, scene: &Scene, solid: &Solid, seed: u64, column: usize, [dx, dy]: [f32; 2]) {
        let mut side = Cut { enter: 0.5, leave: RANGE[1], facing: 1.0, top: false };
        let (walls, slants) = scene.planes[solid.planes.clone()].split_at(solid.walls);
        let mut normal = [0.0, 0.0];
        for &[nx, ny, _, c] in walls {
            let slope = nx * dx + ny * dy;
            let enter = side.enter;
            if !side.clip(slope, c, -slope) {
                return;
            }
            if side.enter > enter {
                normal = [nx, ny];
            }
        }
        let Spot { x, y, z, cos, sin } = solid.spot;
        let own = [(dx * cos + dy * sin) * solid.curve[0], (dy * cos - dx * sin) * solid.curve[1]];
        let middle = [
            (x * cos + y * sin + solid.middle[0]) * solid.curve[0],
            (y * cos - x * sin + solid.middle[1]) * solid.curve[1],
            (z + solid.middle[2]) * solid.curve[2],
        ];
        if solid.curve[0] > 0.0 {
            let mut shadow = side;
            if !shadow.sphere([own[0], own[1], 0.0], [middle[0], middle[1], 0.0]) {
                return;
            }
            if solid.curve[2] == 0.0 {
                side = shadow;
            }
            (side.leave, side.enter) = (shadow.leave, if solid.curve[2] == 0.0 { shadow.enter } else { side.enter });
        }
        let steep = |height: f32, above: bool| height / if (height > 0.0) == above { side.enter } else { side.leave };
        let first = self.tan.partition_point(|&t| t > steep(solid.high, true));
        let last = self.tan.partition_point(|&t| t >= steep(solid.low, false));
        let along = if solid.look.glass == Glass::Panes {
            let world = [self.eye[0] + f64::from(dx * side.enter), self.eye[1] + f64::from(dy * side.enter)];
            f64::from(normal[0]) * world[1] - f64::from(normal[1]) * world[0]
        } else {
            0.0
        };
        for beam in first..last {
            let (tan, hit) = (self.tan[beam], column * BEAMS + beam);
            let mut cut = side;
            let enter = cut.enter;
            let inside = cut.clip(tan, solid.high, tan.abs()) && {
                cut.top = cut.enter > enter;
                cut.clip(-tan, -solid.low, tan.abs())
            };
            if !inside
                || !slants.iter().all(|&[nx, ny, nz, c]| {
                    let slope = nx * dx + ny * dy + nz * tan;
                    let size = (nx * nx + ny * ny + nz * nz).sqrt();
                    cut.clip(slope, c, -slope / size)
                })
                || (solid.curve[2] > 0.0 && !cut.sphere([own[0], own[1], tan * solid.curve[2]], middle))
                || cut.enter >= self.hits[hit].t
            {
                continue;
            }
            let mut glass = solid.look.glass == Glass::Sides && !cut.top;
            if solid.look.glass == Glass::Panes && !cut.top && is_pane(along, tan * cut.enter - z, solid.look.instance)
            {
                cut.enter += 0.18 / cut.facing.max(0.25);
                glass = true;
            }
            if solid.look.cell > 0.0 {
                match self.leaf(solid, seed, hit, [dx, dy, tan], cut) {
                    Some(t) => (cut.enter, cut.facing) = (t, 0.7),
                    None => continue,
                }
            }
            if cut.enter < self.hits[hit].t {
                let Look { class, instance, shade, .. } = solid.look;
                self.hits[hit] = Hit { t: cut.enter, facing: cut.facing.abs(), shade, instance, class, glass };
            }
        }
    }

    /// Where a ray first meets a filled cell of a lattice fixed in the world.
    fn leaf(&self, solid: &Solid, seed: u64, ray: usize, [dx, dy, dz]: [f32; 3], cut: Cut) -> Option<f32> {
        let Look { cell, fill, .. } = solid.look;
        let limit = (fill * 65536.0) as u64;
        let mut dice = Dice::new(seed, 6, ray as i64 ^ (self.eye[0].to_bits() as i64));
        let mut t = cut.enter + cell * 0.5 * dice.unit();
        while t <= cut.leave.max(cut.enter + cell * 0.5) {
            let at = |eye: f64, d: f32| ((eye + f64::from(d * t)) / f64::from(cell)).floor() as i64 as u64;
            let (i, j, k) = (at(self.eye[0], dx), at(self.eye[1], dy), at(self.eye[2], dz));
            if mix(i << 42 ^ j << 21 ^ k ^ seed << 7) & 0xffff < limit && dice.chance(0.85) {
                return Some(t);
            }
            t += cell * (0.6 + 0.4 * dice.unit());
        }
        None
    }

    /// The ground, walked outwards once for all beams of a column: a higher beam cannot meet it nearer than a lower one.
    fn cast_ground(&mut self, ground: &Ground, column: usize, [dx, dy]: [f32; 2]) {
        let place = |t: f32| (self.eye[0] + f64::from(dx * t), self.eye[1] + f64::from(dy * t));
        let height = |t: f32| {
            let (x, y) = place(t);
            (ground.at(x, y).0 - self.eye[2]) as f32
        };
        let (mut near, mut far) = (2.0, 2.1);
        let (mut near_z, mut far_z) = (height(near), height(far));
        for beam in (0..BEAMS).rev() {
            let (tan, hit) = (self.tan[beam], column * BEAMS + beam);
            let limit = self.hits[hit].t;
            while near < limit {
                let (above, below) = (tan * near - near_z, far_z - tan * far);
                if below >= 0.0 {
                    let t = near + (far - near) * above.max(0.0) / (above.max(0.0) + below).max(1e-6);
                    if t < limit {
                        let slope = (far_z - near_z) / (far - near);
                        let (x, y) = place(if slope > 0.3 { far } else { t });
                        let class = ground.at(x, y).1;
                        let facing = (slope - tan) / ((1.0 + tan * tan) * (1.0 + slope * slope)).sqrt();
                        let (x, y) = place(t);
                        let shade = ground_shade(ground, class, x, y);
                        self.hits[hit] = Hit { t, facing: facing.abs(), shade, instance: 0, class, glass: false };
                    }
                    break;
                }
                if far >= RANGE[1] {
                    break;
                }
                (near, near_z) = (far, far_z);
                far = near + 0.04 + 0.014 * near;
                far_z = height(far);
            }
        }
    }
}

/// Whether a wall has a window at `along` metres along it and `z` metres above its foot.
fn is_pane(along: f64, z: f32, building: u32) -> bool {
    let kind = mix(u64::from(building));
    let pitch = 2.0 + (kind & 15) as f64 * 0.1;
    let bay = along / pitch;
    let (u, floor) = ((bay - bay.floor()) * pitch, z - (z / 2.9).floor() * 2.9);
    let door = mix(kind ^ bay.floor() as i64 as u64).is_multiple_of(7) && z < 2.9;
    if door { u < 1.0 && z < 2.1 } else { (0.5..1.6).contains(&u) && (0.95..2.25).contains(&floor) }
}

/// Reflectivity of the ground, with the road's painted lines and its worn and patched places.
fn ground_shade(ground: &Ground, class: u8, x: f64, y: f64) -> f32 {
    let patch = 0.08 * (ripple(x * 0.3, y * 0.3) as f32 - 0.5);
    match class {
        ROAD => {
            let [centre, _, cos, _] = ground.line(x);
            let a = ((y - centre) * cos).abs();
            let along = x - (x / 9.0).floor() * 9.0;
            let painted = (a < 0.07 && along < 4.0) || (a - KERB + 0.25).abs() < 0.06;
            if painted { 0.55 } else { 0.27 + patch }
        }
        PARKING => 0.3 + patch,
        SIDEWALK => 0.31 + patch * 0.5,
        OTHER_GROUND => 0.36 + patch,
        _ => 0.35 + patch,
    }
}

/// The simulated drive: a source of `frames` frames, ten a second, and any one of them on demand.
///
/// Frames carry intensity (0 to 1), truth (SemanticKITTI train ids 1–19, objects numbered), `time_ns` and a pose whose world
/// is the sensor frame of frame 0. Points stand in the sensor frame (x ahead, y left, z up), by beam from the top, then azimuth.
///
/// ```
/// use thalweg::{Next, Source};
/// use thalweg_connectors::sim::street::Street;
///
/// let mut street = Street::new(1, 7);
/// let Next::Item(frame) = street.next()? else { panic!("one frame was asked for") };
/// assert!((100_000..130_000).contains(&frame.len()));
/// assert!(matches!(street.next()?, Next::End));
/// # Ok::<(), thalweg::BoxError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Street {
    frames: u64,
    seed: u64,
    next: u64,
}

impl Street {
    /// A drive of `frames` frames through the street of `seed`.
    pub fn new(frames: u64, seed: u64) -> Street {
        Street { frames, seed, next: 0 }
    }

    /// Where the sensor stands in frame `number`: position in the street's own coordinates (m), and heading (rad).
    fn stand(&self, number: u64) -> (Ground, [f64; 3], f64) {
        let start = 12.0 * BLOCK + BLOCK * f64::from(Dice::new(self.seed, 7, 0).unit());
        let x = start + ADVANCE * number as f64;
        let ground = Ground::around(self.seed, x);
        let [centre, _, cos, sin] = centre_line(self.seed, x);
        let y = centre - 2.0 / cos;
        let z = ground.at(x, y).0 + MOUNT;
        (ground, [x, y, z], atan(sin / cos))
    }

    /// Frame `number`, from 0; the same whatever was asked before.
    pub fn frame(&self, number: u64) -> Frame {
        let (ground, eye, yaw) = self.stand(number);
        let mut scene = Scene { ground: &ground, eye, solids: Vec::new(), planes: Vec::new() };
        for block in ground.blocks.clone() {
            scene.fill_crossing(self.seed, block);
            (0..2 * LOTS).for_each(|i| scene.fill_lot(self.seed, block, i / LOTS, i % LOTS));
        }
        scene.fill_traffic(self.seed, number as f64 * 0.1, eye[0]);

        let elevation: [f32; BEAMS] = std::array::from_fn(|beam| {
            let degrees = if beam < 32 { 2.0 - beam as f32 / 3.0 } else { -8.83 - (beam as f32 - 32.0) * 0.515 };
            degrees.to_radians()
        });
        let phase = STEP * Dice::new(self.seed, 8, number as i64).unit();
        let nothing = Hit { t: RANGE[1], facing: 1.0, shade: 0.0, instance: 0, class: 0, glass: false };
        let hits = vec![nothing; BEAMS * COLUMNS];
        let mut sweep = Sweep { tan: elevation.map(tanf), phase, yaw: yaw as f32, eye, hits };
        let rays: Vec<[f32; 2]> = (0..COLUMNS).map(|column| sweep.direction(column)).collect();
        sweep.cast(&scene, self.seed, &rays);
        for (column, &ray) in rays.iter().enumerate() {
            sweep.cast_ground(&ground, column, ray);
        }
        self.collect(number, &sweep, &elevation)
    }

    /// What comes back from the rays: noise, losses and intensities.
    fn collect(&self, number: u64, sweep: &Sweep, elevation: &[f32; BEAMS]) -> Frame {
        let count = BEAMS * COLUMNS;
        let (mut x, mut y, mut z) = (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut intensity, mut truth) = (Vec::with_capacity(count), Truth::default());
        let columns: Vec<[f32; 3]> = (0..COLUMNS)
            .map(|column| {
                let azimuth = sweep.phase + column as f32 * STEP;
                let hidden = |&[middle, half, top]: &[f32; 3]| {
                    let off = (azimuth.to_degrees() - middle + 540.0).rem_euclid(360.0) - 180.0;
                    top - (top + 25.0) * (off / half) * (off / half)
                };
                let below = OWN_BODY.iter().map(hidden).fold(-90.0, f32::max);
                [cosf(azimuth), sinf(azimuth), below.to_radians()]
            })
            .collect();
        for (beam, &elevation) in elevation.iter().enumerate() {
            let (up, flat) = (sinf(elevation), cosf(elevation));
            let gain = 0.9 + 0.2 * Dice::new(self.seed, 9, beam as i64).unit();
            for (column, &[cos, sin, below]) in columns.iter().enumerate() {
                let hit = &sweep.hits[column * BEAMS + beam];
                if hit.class == 0 || elevation < below {
                    continue;
                }
                let mut dice = Dice::new(self.seed, 100 + number, (beam * COLUMNS + column) as i64);
                let mut t = hit.t;
                if hit.class == TERRAIN {
                    let blade = 0.1 * dice.unit() * dice.unit();
                    t -= (blade / sweep.tan[beam].abs().max(0.02)).min(0.4);
                }
                let range = t / flat + 0.02 * dice.bell();
                let fading = (1.35 - range / 60.0).clamp(0.03, 1.0) * (hit.facing / 0.05).min(1.0);
                let lost = 0.01 + 0.45 * f32::from(hit.glass) + 0.5 * (0.3 - fading).max(0.0);
                if dice.chance(lost) || !(RANGE[0]..RANGE[1]).contains(&range) {
                    continue;
                }
                let mut shade = hit.shade * (0.88 + 0.12 * hit.facing) * gain * if hit.glass { 0.5 } else { 1.0 };
                if hit.class < PERSON && dice.chance(0.03) {
                    shade = dice.between(0.6, 1.0);
                }
                let spread = if hit.class < ROAD { 0.05 } else { 0.07 };
                x.push(range * flat * cos);
                y.push(range * flat * sin);
                z.push(range * up);
                intensity.push(((shade * fading + spread * dice.bell()) * 100.0).round().clamp(0.0, 99.0) / 100.0);
                truth.class.push(hit.class);
                truth.instance.push(hit.instance);
            }
        }
        Frame {
            id: number as i64,
            time_ns: Some(number as i64 * 100_000_000),
            x,
            y,
            z,
            intensity: Some(intensity),
            truth: Some(truth),
            pose: Some(self.pose(number)),
            ..Frame::default()
        }
    }

    /// `world_from_sensor` of frame `number`; the world is the sensor frame of frame 0.
    fn pose(&self, number: u64) -> Pose {
        let ((_, from, start), (_, to, heading)) = (self.stand(0), self.stand(number));
        let (c, s) = (cos(start), sin(start));
        let (dx, dy, dz) = (to[0] - from[0], to[1] - from[1], to[2] - from[2]);
        let turn = heading - start;
        Pose([
            [cos(turn), -sin(turn), 0.0, c * dx + s * dy],
            [sin(turn), cos(turn), 0.0, c * dy - s * dx],
            [0.0, 0.0, 1.0, dz],
        ])
    }
}

impl Source for Street {
    type Item = Frame;

    fn time(&self, frame: &Frame) -> Option<i64> {
        frame.time_ns
    }

    fn name(&self) -> String {
        "sim:street".into()
    }

    fn total(&self) -> Option<u64> {
        Some(self.frames)
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        if self.next >= self.frames {
            return Ok(Next::End);
        }
        let frame = self.frame(self.next);
        self.next += 1;
        Ok(Next::Item(frame))
    }

    fn position(&self) -> Option<Position> {
        let place = Place { input: self.name(), records: self.next };
        Some(Position { items: self.next, places: vec![place] })
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.next = self.next.max(position.items);
        Ok(())
    }
}

/// Writes the drive as a KITTI sequence folder with SemanticKITTI labels: `velodyne/*.bin`, `labels/*.label` (raw ids, objects
/// numbered from 1 in order of appearance in the upper 16 bits), `poses.txt` (camera convention), `calib.txt` (with `Tr`), `times.txt`.
/// The folder is written under a temporary name beside `dir`, then renamed.
///
/// # Errors
/// A folder that cannot be written, or that exists and is not empty; more than 65,535 objects in the drive.
pub fn write_kitti(dir: &Path, frames: u64, seed: u64) -> io::Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let temp = tempfile::Builder::new().prefix(".street-").tempdir_in(parent)?;
    let street = Street::new(frames, seed);
    let camera_from_sensor = Pose([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]);
    let line = |pose: &Pose| pose.0.as_flattened().iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(" ");
    for folder in ["velodyne", "labels"] {
        std::fs::create_dir(temp.path().join(folder))?;
    }
    let (mut poses, mut times) = (String::new(), String::new());
    let mut objects: HashMap<u32, u16> = HashMap::new();
    for number in 0..frames {
        let frame = street.frame(number);
        let (truth, intensity) = (frame.truth.unwrap_or_default(), frame.intensity.unwrap_or_default());
        let mut points = Vec::with_capacity(frame.x.len() * 16);
        let mut labels = Vec::with_capacity(frame.x.len() * 4);
        for (i, intensity) in intensity.into_iter().enumerate() {
            for value in [frame.x[i], frame.y[i], frame.z[i], intensity] {
                points.extend_from_slice(&value.to_le_bytes());
            }
            let object = match truth.instance[i] {
                0 => 0,
                instance => {
                    let fresh =
                        u16::try_from(objects.len() + 1).map_err(|_| io::Error::other("more than 65,535 objects"))?;
                    *objects.entry(instance).or_insert(fresh)
                }
            };
            let raw = label::raw_id(truth.class[i]).unwrap_or_default();
            let label = u32::from(raw) | u32::from(object) << 16;
            labels.extend_from_slice(&label.to_le_bytes());
        }
        std::fs::write(temp.path().join(format!("velodyne/{number:06}.bin")), points)?;
        std::fs::write(temp.path().join(format!("labels/{number:06}.label")), labels)?;
        let pose = camera_from_sensor.then_after(&street.pose(number)).then_after(&camera_from_sensor.inverse());
        let _ = writeln!(poses, "{}", line(&pose));
        let _ = writeln!(times, "{:e}", number as f64 / 10.0);
    }
    std::fs::write(temp.path().join("poses.txt"), poses)?;
    std::fs::write(temp.path().join("times.txt"), times)?;
    std::fs::write(temp.path().join("calib.txt"), format!("Tr: {}\n", line(&camera_from_sensor)))?;
    std::fs::rename(temp.path(), dir)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Where each pole and trunk with at least 20 points within 20 m stands, in the world of `pose`: the mean of its x and y.
    fn landmarks(frame: &Frame, pose: &Pose) -> BTreeMap<u32, [f64; 2]> {
        let truth = frame.truth.as_ref().unwrap();
        let mut sums: BTreeMap<u32, ([f64; 2], f64)> = BTreeMap::new();
        for i in 0..frame.len() {
            if [TRUNK, POLE].contains(&truth.class[i]) && frame.x[i].hypot(frame.y[i]) < 20.0 {
                let [x, y, _] = pose.apply([frame.x[i], frame.y[i], frame.z[i]].map(f64::from));
                let (sum, count) = sums.entry(truth.instance[i]).or_default();
                (sum[0], sum[1], *count) = (sum[0] + x, sum[1] + y, *count + 1.0);
            }
        }
        sums.into_iter().filter(|(_, (_, n))| *n >= 20.0).map(|(id, (sum, n))| (id, sum.map(|v| v / n))).collect()
    }

    #[test]
    fn twenty_frames_show_every_class_in_plausible_numbers() {
        let street = Street::new(20, 1);
        let (mut seen, mut total) = ([0u64; 20], 0);
        for number in 0..20 {
            let frame = street.frame(number);
            let (truth, intensity) = (frame.truth.as_ref().unwrap(), frame.intensity.as_ref().unwrap());
            assert_eq!((frame.id, frame.time_ns), (number as i64, Some(number as i64 * 100_000_000)));
            assert!([truth.class.len(), truth.instance.len(), intensity.len()].iter().all(|&n| n == frame.len()));
            assert!((108_000..128_704).contains(&frame.len()), "frame {number}: {} points", frame.len());
            let mut beam = f64::MAX;
            for i in 0..frame.len() {
                let [x, y, z] = [frame.x[i], frame.y[i], frame.z[i]].map(f64::from);
                let (range, elevation) = ((x * x + y * y + z * z).sqrt(), (z / x.hypot(y)).atan().to_degrees());
                assert!((1.999..110.001).contains(&range), "frame {number}, point {i}: range {range}");
                assert!(
                    (-24.81..2.01).contains(&elevation) && elevation < beam + 1e-3,
                    "frame {number}, point {i}: {elevation}°"
                );
                assert!((0.0..1.0).contains(&intensity[i]), "frame {number}, point {i}: intensity {}", intensity[i]);
                beam = elevation;
                seen[usize::from(truth.class[i])] += 1;
            }
            total += frame.len();
        }
        assert!((113_000..126_000).contains(&(total / 20)), "mean {} points", total / 20);
        assert_eq!(seen[0], 0);
        assert!(seen[1..].iter().all(|&n| n >= 20), "points per class: {seen:?}");
    }

    #[test]
    fn a_frame_depends_on_seed_and_number_alone() {
        let mut street = Street::new(3, 5);
        let mut drive = Vec::new();
        while let Next::Item(frame) = street.next().unwrap() {
            drive.push(frame);
        }
        assert_eq!(drive.len(), 3);
        let again = Street::new(100, 5).frame(2);
        let bits =
            |frame: &Frame| frame.x.iter().chain(&frame.y).chain(&frame.z).map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again), bits(&drive[2]));
        assert_eq!((&again.intensity, &again.truth, again.pose), (&drive[2].intensity, &drive[2].truth, drive[2].pose));
        assert_ne!(bits(&again), bits(&Street::new(3, 6).frame(2)));
    }

    #[test]
    fn what_stands_still_stands_still_in_the_world() {
        for seed in 1..4 {
            let street = Street::new(10, seed);
            let (first, later) = (street.frame(2), street.frame(4));
            let (from, to) = (first.pose.unwrap(), later.pose.unwrap());
            let moved = (0..3).map(|row| (to.0[row][3] - from.0[row][3]).powi(2)).sum::<f64>().sqrt();
            assert!((1.95..2.25).contains(&moved), "seed {seed}: {moved} m in two frames");
            let (before, after) = (landmarks(&first, &from), landmarks(&later, &to));
            let unmoved = landmarks(&later, &from);
            let mut seen_twice = 0;
            for (id, [x, y]) in &before {
                if let (Some(with), Some(without)) = (after.get(id), unmoved.get(id)) {
                    let off = |p: &[f64; 2]| (p[0] - x).hypot(p[1] - y);
                    let (with, without) = (off(with), off(without));
                    assert!(
                        with < 0.15 && without > 1.5,
                        "seed {seed}, object {id}: {with} m off, {without} m without the pose"
                    );
                    seen_twice += 1;
                }
            }
            assert!(seen_twice >= 4, "seed {seed}: {seen_twice} objects seen twice");
        }
        assert_eq!(Street::new(1, 9).frame(0).pose, Some(Pose::IDENTITY));
    }

    #[test]
    fn the_kitti_folder_gives_points_labels_and_poses_back() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("street");
        write_kitti(&dir, 2, 3).unwrap();
        let frame = Street::new(2, 3).frame(1);
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
        let points: Vec<f32> =
            read("velodyne/000001.bin").chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(points.chunks_exact(4).map(|p| p[1]).collect::<Vec<_>>(), frame.y);
        let class = |raw: u32| label::train_id(raw as u16);
        let labels: Vec<u32> =
            read("labels/000001.label").chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        let truth = frame.truth.unwrap();
        assert_eq!(labels.iter().map(|&raw| class(raw)).collect::<Vec<_>>(), truth.class);
        assert!(labels.iter().zip(&truth.instance).all(|(raw, &instance)| (raw >> 16 == 0) == (instance == 0)));
        let rows = |text: &str| -> Vec<Pose> {
            let pose = |line: &str| {
                let v: Vec<f64> = line.split_whitespace().filter_map(|v| v.parse().ok()).collect();
                Pose(std::array::from_fn(|row| std::array::from_fn(|column| v[row * 4 + column])))
            };
            text.lines().map(pose).collect()
        };
        let camera_from_sensor = rows(&String::from_utf8(read("calib.txt")).unwrap())[0];
        let camera_pose = rows(&String::from_utf8(read("poses.txt")).unwrap())[1];
        let pose = camera_from_sensor.inverse().then_after(&camera_pose).then_after(&camera_from_sensor);
        assert_eq!(Some(pose), frame.pose);
        assert_eq!(read("times.txt"), b"0e0\n1e-1\n");
        assert!(write_kitti(&dir, 1, 3).is_err(), "a folder that holds something is left alone");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing temporary stays behind");
    }
}
