//! One turn of the sensor: the nearest thing that each ray meets.

use libm::{asinf, atan2f, cosf, sinf};

use super::ground::{Ground, ground_shade};
use super::sensor::{BEAMS, COLUMNS, RANGE, STEP};
use super::solid::{Cut, Glass, Look, Scene, Solid, Spot};
use crate::sim::dice::{Dice, mix};

/// The nearest thing that one ray meets.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    /// Horizontal distance (m).
    pub(super) t: f32,
    pub(super) facing: f32,
    pub(super) shade: f32,
    pub(super) instance: u32,
    pub(super) class: u8,
    pub(super) glass: bool,
}

/// One turn of the sensor: all rays, by column and then beam.
pub(super) struct Sweep {
    /// Tangent of each beam's elevation, falling.
    pub(super) tan: [f32; BEAMS],
    /// Azimuth of column 0 in the sensor frame, and the sensor's own heading in the world (rad).
    pub(super) phase: f32,
    pub(super) yaw: f32,
    pub(super) eye: [f64; 3],
    pub(super) hits: Vec<Hit>,
}

impl Sweep {
    pub(super) fn direction(&self, column: usize) -> [f32; 2] {
        let azimuth = self.yaw + self.phase + column as f32 * STEP;
        [cosf(azimuth), sinf(azimuth)]
    }

    pub(super) fn cast(&mut self, scene: &Scene, seed: u64, rays: &[[f32; 2]]) {
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
    pub(super) fn cast_column(&mut self, scene: &Scene, solid: &Solid, seed: u64, column: usize, [dx, dy]: [f32; 2]) {
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
    pub(super) fn leaf(&self, solid: &Solid, seed: u64, ray: usize, [dx, dy, dz]: [f32; 3], cut: Cut) -> Option<f32> {
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
    pub(super) fn cast_ground(&mut self, ground: &Ground, column: usize, [dx, dy]: [f32; 2]) {
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
pub(super) fn is_pane(along: f64, z: f32, building: u32) -> bool {
    let kind = mix(u64::from(building));
    let pitch = 2.0 + (kind & 15) as f64 * 0.1;
    let bay = along / pitch;
    let (u, floor) = ((bay - bay.floor()) * pitch, z - (z / 2.9).floor() * 2.9);
    let door = mix(kind ^ bay.floor() as i64 as u64).is_multiple_of(7) && z < 2.9;
    if door { u < 1.0 && z < 2.1 } else { (0.5..1.6).contains(&u) && (0.95..2.25).contains(&floor) }
}
