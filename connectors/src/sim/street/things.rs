//! Things of a street, made of solids: vehicles, people, trees, fences, signs, buildings.

use super::classes::{BUILDING, CAR, FENCE, MOTORCYCLIST, OTHER_VEHICLE, POLE, TRAFFIC_SIGN, TRUCK, TRUNK, VEGETATION};
use super::solid::{Glass, Look, Scene, Spot};
use crate::sim::dice::Dice;

impl Scene<'_> {
    pub(super) fn car(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
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

    pub(super) fn truck(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
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
    pub(super) fn other_vehicle(&mut self, at: &Spot, instance: u32, dice: &mut Dice, bus: bool) {
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

    pub(super) fn cycle(&mut self, at: &Spot, look: Look, motor: bool) {
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
    pub(super) fn person(&mut self, at: &Spot, look: Look, dice: &mut Dice, stride: f32, seated: bool) {
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

    pub(super) fn tree(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
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

    pub(super) fn bush(&mut self, at: &Spot, size: f32, dice: &mut Dice) {
        let look = Look::new(VEGETATION, 0, dice.between(0.32, 0.48)).cells(0.13, 0.4);
        for _ in 0..3 {
            let (x, y, r) =
                (dice.between(-1.0, 1.0) * size, dice.between(-0.6, 0.6) * size, size * dice.between(0.5, 0.9));
            self.ball(at, look, [x, y, r * 0.7], [r, r, r]);
        }
    }

    /// A fence, a low wall, a rail or a hedge of `half` length along its spot.
    pub(super) fn boundary(&mut self, at: &Spot, half: f32, kind: f32, dice: &mut Dice) {
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

    pub(super) fn sign(&mut self, at: &Spot, instance: u32, dice: &mut Dice) {
        let high = dice.between(1.5, 2.9);
        let plate = Look::new(TRAFFIC_SIGN, instance, dice.between(0.4, 0.95));
        self.post(at, Look::new(POLE, instance, 0.25), [0.0, 0.0], 0.035, [-0.2, high]);
        let (wide, tall) = (dice.between(0.2, 0.42), dice.between(0.25, 0.45));
        self.slab(at, plate, [-0.05, 0.0], [0.015, wide], [high - 2.0 * tall, high]);
    }

    pub(super) fn building(&mut self, x: f64, d: f64, half: [f32; 2], instance: u32, dice: &mut Dice) {
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

    pub(super) fn rider(&mut self, at: &Spot, class: u8, instance: u32, dice: &mut Dice) {
        let look = Look::new(class, instance, dice.between(0.15, 0.45));
        self.cycle(at, look, class == MOTORCYCLIST);
        self.person(at, look, dice, 0.0, true);
    }
}
