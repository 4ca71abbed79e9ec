//! A person to simulate, two metres before a sensor: a skeleton that walks on the spot, lunges, squats and raises arms and legs, seen by a
//! radar of few points or by a LiDAR.
//!
//! Everything follows from (frames, seed, sensor), on every machine. Frames are 0.1 s apart. The sensor's frame is that of MARS: x to the
//! side, y away from the sensor, z up, the origin at the sensor, about a metre above the floor. Sizes and movements are those of its people.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use libm::{cosf, powf, sinf, sqrtf};
use thalweg::points::radar::{BONES, JOINTS, Skeleton};
use thalweg::source::Position;
use thalweg::{BoxError, Frame, Next, Source};

use super::dice::Dice;
use crate::error::Error;
use crate::out::publish::StagedFolder;

const PI: f32 = std::f32::consts::PI;
/// Seconds between two frames.
const STEP: f32 = 0.1;
/// Frames of one movement.
const MOVEMENT: u64 = 150;
/// How far the radar's x is from the camera's (m).
const BESIDE: f32 = 0.17;
/// Most points of a radar's frame.
const MOST: usize = 64;

/// How thick each bone's limb is (m).
const THICK: [f32; BONES.len()] =
    [0.14, 0.15, 0.06, 0.09, 0.06, 0.05, 0.04, 0.06, 0.05, 0.04, 0.09, 0.08, 0.05, 0.04, 0.09, 0.08, 0.05, 0.04];

/// What looks at the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensor {
    /// A radar: 0 to 64 points with `doppler` (m/s) and `intensity`, some of them of nothing.
    #[default]
    Radar,
    /// A LiDAR: some thousand points on the side that it sees.
    Lidar,
}

impl std::str::FromStr for Sensor {
    type Err = ();
    fn from_str(text: &str) -> Result<Sensor, ()> {
        match text {
            "radar" => Ok(Sensor::Radar),
            "lidar" => Ok(Sensor::Lidar),
            _ => Err(()),
        }
    }
}

/// The source.
#[derive(Clone, Debug)]
pub struct Person {
    frames: u64,
    seed: u64,
    sensor: Sensor,
    next: u64,
    /// Size against MARS's mean, and where the person stands (m).
    size: f32,
    stand: [f32; 2],
}

/// What is done for [`MOVEMENT`] frames: which one, how far, how fast (rad/s).
struct Movement {
    kind: u64,
    depth: f32,
    pace: f32,
}

impl Person {
    /// A person, and what it does for so many frames.
    pub fn new(frames: u64, seed: u64, sensor: Sensor) -> Person {
        let mut dice = Dice::new(seed, 1, 0);
        let size = dice.between(0.9, 1.1);
        let stand = [dice.between(0.0, 0.3), dice.between(1.8, 2.1)];
        Person { frames, seed, sensor, next: 0, size, stand }
    }

    fn movement(&self, number: u64) -> Movement {
        let mut dice = Dice::new(self.seed, 2, (number / MOVEMENT) as i64);
        Movement { kind: dice.bits() % 9, depth: dice.between(0.7, 1.1), pace: dice.between(1.5, 3.0) }
    }

    /// Places of the joints (m) at a time (s).
    fn joints(&self, number: u64, time: f32) -> [[f32; 3]; JOINTS] {
        let Movement { kind, depth, pace } = self.movement(number);
        let swing = sinf(pace * time);
        // From rest to the end of the movement and back.
        let far = depth * 0.5 * (1.0 - cosf(pace * time));
        let sway = [0.03 * sinf(0.7 * time), 0.02 * sinf(0.5 * time)];
        let (mut arms, mut legs, mut ahead, mut aside, mut squat) =
            ([0.45f32; 2], [0.0f32; 2], [0.0f32; 2], 0.0f32, 0.0f32);
        match kind {
            0 => arms[0] += 2.0 * far,
            1 => arms[1] += 2.0 * far,
            2 => arms = [0.45 + 2.0 * far; 2],
            3 => (ahead[0], squat) = (0.55 * far, 0.2 * far),
            4 => (ahead[1], squat) = (0.55 * far, 0.2 * far),
            5 => squat = 0.4 * far,
            6 => (aside, squat) = (0.3 * far * if depth > 0.9 { 1.0 } else { -1.0 }, 0.15 * far),
            7 => legs = if depth > 0.9 { [far, 0.0] } else { [0.0, far] },
            _ => {
                // On the spot, as in walking.
                ahead = [0.2 * swing, -0.2 * swing];
                arms = [0.45 - 0.1 * swing, 0.45 + 0.1 * swing];
                legs = [(0.5 * swing).max(0.0), (-0.5 * swing).max(0.0)];
            }
        }
        let floor = -0.93;
        let s = self.size;
        let hip = floor + s * (0.75 - squat);
        let base = [self.stand[0] + sway[0] + aside, self.stand[1] + sway[1] - 0.4 * (ahead[0].max(ahead[1])), hip];
        let at = |x: f32, y: f32, z: f32| [base[0] + s * x, base[1] + s * y, base[2] + s * z];
        let mut joint = [[0.0f32; 3]; JOINTS];
        joint[0] = base;
        joint[1] = at(0.0, 0.0, 0.32);
        joint[18] = at(0.0, -0.01, 0.56);
        joint[2] = at(0.0, -0.02, 0.63);
        joint[3] = at(0.0, -0.03, 0.78);
        for (side, sign) in [(0, 1.0f32), (1, -1.0)] {
            let [shoulder, elbow, wrist] = [4 + 3 * side, 5 + 3 * side, 6 + 3 * side];
            let [hips, knee, ankle, foot] = [10, 11, 12, 13].map(|joint| joint + 4 * side);
            joint[shoulder] = at(0.18 * sign, -0.01, 0.51);
            let raised = arms[side];
            let along = |from: [f32; 3], length: f32, angle: f32, forward: f32| {
                let (out, down) = (sinf(angle) * length, cosf(angle) * length);
                [from[0] + s * sign * out, from[1] - s * forward, from[2] - s * down]
            };
            joint[elbow] = along(joint[shoulder], 0.27, raised, 0.02);
            joint[wrist] = along(joint[elbow], 0.24, raised - 0.15, 0.08);
            joint[hips] = at(0.08 * sign, -0.02, 0.0);
            // A leg that is raised goes out to the side; one that lunges goes ahead.
            let ground = floor + 0.06;
            let raise = 0.45 * legs[side];
            let under = [
                joint[hips][0] + s * sign * (0.06 + raise) - aside,
                self.stand[1] + sway[1] - ahead[side],
                ground + 0.7 * s * raise,
            ];
            let bend = 0.05 + 0.6 * squat + 0.2 * ahead[side].max(0.0);
            joint[knee] = [
                0.5 * (joint[hips][0] + under[0]) + 0.01 * sign,
                0.5 * (joint[hips][1] + under[1]) - s * bend,
                0.5 * (joint[hips][2] + under[2]),
            ];
            joint[ankle] = under;
            joint[foot] = [under[0] + 0.02 * sign, under[1] - 0.1 * s, under[2] - 0.05];
        }
        joint
    }

    /// What is true of a frame; no sigma.
    pub fn truth(&self, number: u64) -> Skeleton {
        let joint = self.joints(number, number as f32 * STEP);
        Skeleton { frame: number as i64, joint, sigma: [0.0; JOINTS] }
    }

    /// One frame, as the sensor sees it.
    pub fn frame(&self, number: u64) -> Frame {
        let time = number as f32 * STEP;
        let (now, next) = (self.joints(number, time), self.joints(number, time + 0.01));
        let mut dice = Dice::new(self.seed, 3, number as i64);
        let mut frame =
            Frame { id: number as i64, time_ns: Some((number as i64).saturating_mul(100_000_000)), ..Frame::default() };
        let (mut doppler, mut intensity) = (Vec::new(), Vec::new());
        let wanted = match self.sensor {
            // A radar sees more of those who move, and at times nothing.
            Sensor::Radar if dice.chance(0.02) => 0,
            Sensor::Radar => (dice.between(8.0, 60.0) as usize).min(MOST),
            Sensor::Lidar => 3000,
        };
        for _ in 0..wanted {
            let ghost = self.sensor == Sensor::Radar && dice.chance(0.12);
            if ghost {
                frame.x.push(dice.between(-2.0, 2.0));
                frame.y.push(dice.between(0.3, 3.4));
                frame.z.push(dice.between(-1.0, 1.8));
                doppler.push(0.3 * dice.bell());
                intensity.push(dice.between(5.0, 15.0));
                continue;
            }
            let bone = (dice.bits() % BONES.len() as u64) as usize;
            let ((a, b), thick) = (BONES[bone], THICK[bone]);
            let share = dice.unit();
            let between = |joints: &[[f32; 3]; JOINTS]| {
                let (a, b) = (joints[a], joints[b]);
                [0, 1, 2].map(|axis| a[axis] + share * (b[axis] - a[axis]))
            };
            let (here, soon) = (between(&now), between(&next));
            // On the half of the limb that faces the sensor.
            let angle = dice.between(-0.5 * PI, 0.5 * PI);
            let skin = [thick * sinf(angle), -thick * cosf(angle), thick * dice.between(-0.3, 0.3)];
            let noise = if self.sensor == Sensor::Radar { 0.04 } else { 0.005 };
            let point = [0, 1, 2].map(|axis| here[axis] + skin[axis] + noise * dice.bell());
            let range = sqrtf(point.iter().map(|v| v * v).sum::<f32>()).max(0.1);
            // Towards the sensor is negative, in steps of the radar's resolution.
            let speed: f32 = (0..3).map(|axis| (soon[axis] - here[axis]) / 0.01 * point[axis] / range).sum();
            // Places are those of the camera that sees the joints, as in MARS; its radar stands beside it.
            frame.x.push(point[0] - if self.sensor == Sensor::Radar { BESIDE } else { 0.0 });
            frame.y.push(point[1]);
            frame.z.push(point[2]);
            doppler.push(libm::roundf(speed / 0.13) * 0.13);
            intensity.push(10.0 + 600.0 * dice.unit() * dice.unit() / powf(range, 4.0));
        }
        if self.sensor == Sensor::Radar {
            frame.columns.insert("doppler".into(), doppler);
            frame.columns.insert("intensity".into(), intensity);
        }
        frame
    }
}

/// Rows of a row group.
const ROWS: usize = 1 << 16;

/// Writes what a sensor sees and the true joints into a folder: `radar.parquet` with `frame,x,y,z,doppler,intensity` and `radar.npy`,
/// `[frames, 19, 3]` f32 (m); of a LiDAR `lidar.*`, without the last two columns. A frame without points has no row, but where it is the
/// first or the last it has one of NaN, so that the table says how long the recording is.
///
/// # Errors
/// A folder that holds something already or cannot be written.
pub fn write(folder: &Path, frames: u64, seed: u64, sensor: Sensor) -> Result<(), Error> {
    let (person, staged) = (Person::new(frames, seed, sensor), StagedFolder::create(folder)?);
    let name = match sensor {
        Sensor::Radar => "radar",
        Sensor::Lidar => "lidar",
    };
    staged.write_with(&format!("{name}.parquet"), |out| person.table(out))?;
    staged.write_with(&format!("{name}.npy"), |out| person.array(out))?;
    staged.publish()
}

impl Person {
    /// The points of all frames as Parquet.
    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let carried: &[&str] = if self.sensor == Sensor::Radar { &["doppler", "intensity"] } else { &[] };
        let names = ["x", "y", "z"].iter().chain(carried);
        let numbers = names.map(|name| Field::new(*name, DataType::Float32, false));
        let fields: Vec<Field> = [Field::new("frame", DataType::Int64, false)].into_iter().chain(numbers).collect();
        let (schema, width) = (Arc::new(Schema::new(fields)), 3 + carried.len());
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        let (mut number, mut columns) = (Vec::new(), vec![Vec::new(); width]);
        for i in 0..self.frames {
            let frame = self.frame(i);
            let own =
                [&frame.x, &frame.y, &frame.z].into_iter().chain(carried.iter().filter_map(|c| frame.columns.get(*c)));
            if frame.is_empty() && (i == 0 || i + 1 == self.frames) {
                number.push(frame.id);
                columns.iter_mut().enumerate().for_each(|(c, column)| column.push(if c < 3 { f32::NAN } else { 0.0 }));
            }
            number.resize(number.len() + frame.len(), frame.id);
            columns.iter_mut().zip(own).for_each(|(column, own)| column.extend_from_slice(own));
            if number.len() >= ROWS || i + 1 == self.frames {
                let numbers = columns.iter_mut().map(|c| Arc::new(Float32Array::from(std::mem::take(c))) as ArrayRef);
                let first = Arc::new(Int64Array::from(std::mem::take(&mut number))) as ArrayRef;
                let batch = RecordBatch::try_new(Arc::clone(&schema), [first].into_iter().chain(numbers).collect());
                writer.write(&batch.map_err(io::Error::other)?)?;
                writer.flush()?;
                // What stands in the file need not stand in memory.
                out.write_all(&std::mem::take(writer.inner_mut()))?;
            }
        }
        out.write_all(&writer.into_inner()?)
    }

    /// The joints of all frames as NumPy's `.npy`, version 1.0.
    fn array(&self, out: &mut dyn Write) -> io::Result<()> {
        let shape = format!("({}, {JOINTS}, 3)", self.frames);
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        // The numbers begin at a multiple of 64 bytes.
        let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&(length as u16).to_le_bytes())?;
        writeln!(out, "{header:width$}", width = length - 1)?;
        for i in 0..self.frames {
            for v in self.truth(i).joint.as_flattened() {
                out.write_all(&v.to_le_bytes())?;
            }
        }
        Ok(())
    }
}

impl Source for Person {
    type Item = Frame;

    fn name(&self) -> String {
        "sim:person".into()
    }

    fn time(&self, frame: &Frame) -> Option<i64> {
        frame.time_ns
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
    use super::*;

    #[test]
    fn bones_keep_a_person_together_and_frames_follow_from_the_seed() {
        for seed in 0..20 {
            let person = Person::new(600, seed, Sensor::Radar);
            for number in (0..600).step_by(7) {
                let joint = person.truth(number).joint;
                for (a, b) in BONES {
                    let length = (0..3).map(|axis| (joint[a][axis] - joint[b][axis]).powi(2)).sum::<f32>().sqrt();
                    assert!((0.02..0.9).contains(&length), "seed {seed}, frame {number}, bone {a}-{b}: {length} m");
                }
                assert!(joint.iter().flatten().all(|v| (-1.5..3.5).contains(v)));
                let (one, two) = (person.frame(number), person.clone().frame(number));
                assert_eq!((&one.x, &one.columns), (&two.x, &two.columns));
                assert!(one.len() <= MOST && one.check().is_ok());
            }
        }
    }
}
