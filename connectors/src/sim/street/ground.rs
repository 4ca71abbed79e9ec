//! The ground: a winding centre line, blocks of lots beside it, their heights, classes and shades.

use libm::{atan, cos, sin};

use super::classes::{OTHER_GROUND, PARKING, ROAD, SIDEWALK, TERRAIN};
use super::sensor::RANGE;
use crate::sim::dice::{Dice, mix};

/// Length of a block, of the crossing at its beginning, and of one of its lots (m).
pub(super) const BLOCK: f64 = 96.0;
pub(super) const CROSSING: f64 = 10.4;
pub(super) const LOTS: usize = 6;
pub(super) const LOT: f64 = (BLOCK - CROSSING) / LOTS as f64;
/// Distances from the centre line: end of the road, of the parking strip or verge, and of the sidewalk (m).
pub(super) const KERB: f64 = 4.2;
pub(super) const STRIP: f64 = 6.4;
pub(super) const FRONT: f64 = 9.2;

/// How a block is built up.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    Town,
    Suburb,
    Green,
}

/// The ground of one lot: what lies between road and sidewalk, what behind the sidewalk, and how that rises (m per m).
#[derive(Clone, Copy)]
pub(super) struct Lot {
    pub(super) style: Style,
    pub(super) strip: u8,
    pub(super) yard: u8,
    pub(super) slope: f64,
}

impl Lot {
    pub(super) fn new(seed: u64, block: i64, side: usize, lot: usize) -> Lot {
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

pub(super) fn lot_number(block: i64, side: usize, lot: usize) -> i64 {
    (block * 2 + side as i64) * 8 + lot as i64
}

/// The part of the world that one frame can see: centre line and lots as tables, both at fixed places of the world.
pub(super) struct Ground {
    /// Centre line every half metre of `x`: y, height (m), cosine and sine of the heading.
    pub(super) line: Vec<[f64; 4]>,
    pub(super) line_from: f64,
    pub(super) lots: Vec<Lot>,
    pub(super) blocks: std::ops::Range<i64>,
}

impl Ground {
    pub(super) fn around(seed: u64, x: f64) -> Ground {
        let reach = f64::from(RANGE[1]) + 20.0;
        let line_from = (x - reach).floor();
        let line = (0..(4.0 * reach) as usize + 4).map(|i| centre_line(seed, line_from + i as f64 * 0.5)).collect();
        let blocks = (line_from / BLOCK).floor() as i64..((x + reach) / BLOCK).floor() as i64 + 2;
        let lots =
            blocks.clone().flat_map(|b| (0..2 * LOTS).map(move |i| Lot::new(seed, b, i / LOTS, i % LOTS))).collect();
        Ground { line, line_from, lots, blocks }
    }

    pub(super) fn line(&self, x: f64) -> [f64; 4] {
        let at = ((x - self.line_from) * 2.0).clamp(0.0, (self.line.len() - 2) as f64);
        let (a, b) = (&self.line[at as usize], &self.line[at as usize + 1]);
        let w = at.fract();
        std::array::from_fn(|i| a[i] + (b[i] - a[i]) * w)
    }

    pub(super) fn lot(&self, block: i64, side: usize, lot: usize) -> &Lot {
        let block = block.clamp(self.blocks.start, self.blocks.end - 1) - self.blocks.start;
        &self.lots[(block as usize * 2 + side) * LOTS + lot]
    }

    /// Height (m) and class of the ground at a place of the world.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, u8) {
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
pub(super) fn centre_line(seed: u64, x: f64) -> [f64; 4] {
    let mut dice = Dice::new(seed, 3, 0);
    let phase: [f64; 3] = std::array::from_fn(|_| f64::from(dice.between(0.0, 6.0)));
    let (u, v) = (x / 70.0 + phase[0], x / 31.0 + phase[1]);
    let heading = atan(9.0 / 70.0 * cos(u) + 3.0 / 31.0 * cos(v));
    [9.0 * sin(u) + 3.0 * sin(v), 0.8 * sin(x / 45.0 + phase[2]), cos(heading), sin(heading)]
}

/// Smooth noise between 0 and 1 with a wavelength of about 2.
pub(super) fn ripple(x: f64, y: f64) -> f64 {
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

/// Reflectivity of the ground, with the road's painted lines and its worn and patched places.
pub(super) fn ground_shade(ground: &Ground, class: u8, x: f64, y: f64) -> f32 {
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
