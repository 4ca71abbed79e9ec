//! The drive as a source of frames, and any one of them on demand.

use libm::{atan, cos, cosf, sin, sinf, tanf};
use thalweg::source::Position;
use thalweg::{BoxError, Frame, Next, Pose, Source, Truth};

use super::classes::{PERSON, ROAD, TERRAIN};
use super::ground::{BLOCK, Ground, LOTS, centre_line};
use super::sensor::{BEAMS, COLUMNS, MOUNT, OWN_BODY, RANGE, STEP};
use super::solid::Scene;
use super::sweep::{Hit, Sweep};
use crate::sim::dice::Dice;

/// Metres along the road that the car covers in a frame of 0.1 s.
const ADVANCE: f64 = 1.0;

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
    pub(super) fn pose(&self, number: u64) -> Pose {
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
        Some(Position::of(self.name(), self.next))
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.next = self.next.max(position.items);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::classes::{POLE, TRUNK};
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
}
