//! What stands where: lots, crossings and the traffic of a moment.

use libm::sinf;

use super::classes::{BICYCLE, BICYCLIST, MOTORCYCLE, MOTORCYCLIST, PARKING, PERSON, POLE, TERRAIN};
use super::ground::{BLOCK, CROSSING, FRONT, LOT, Lot, Style, lot_number};
use super::solid::{Look, Scene};
use crate::sim::dice::Dice;

impl Scene<'_> {
    /// Everything that stands on one lot.
    pub(super) fn fill_lot(&mut self, seed: u64, block: i64, side: usize, lot: usize) {
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
    pub(super) fn fill_crossing(&mut self, seed: u64, block: i64) {
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
    pub(super) fn fill_traffic(&mut self, seed: u64, time: f64, car: f64) {
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
}
