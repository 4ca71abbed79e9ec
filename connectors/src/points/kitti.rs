//! A KITTI odometry sequence: scans in the order of names, and what stands beside them: `poses.txt`, `calib.txt`, `times.txt`, `labels/`.
//!
//! With P a line of `poses.txt` (camera frame of frame 0) and Tr from `calib.txt` (camera from sensor),
//! `world_from_sensor = inv(Tr) · P · Tr`. A `calib.txt` without Tr: the axis swap x_cam = −y, y_cam = −z, z_cam = x, with a warning.
//! Both are rigid motions `[R | t]`: an R with |R Rᵀ − 1| above 0.01 anywhere is no rotation, and an error.
//! A scan whose name is a number takes the line of that number, from 0, where all scans have one; else there is one line a scan, in order. A line
//! of 13 numbers begins with the number of its frame, or a time. In the benchmark's own layout the poses of `sequences/00` are `poses/00.txt`.
//! Geiger, Lenz, Urtasun, "Are we ready for autonomous driving?", CVPR 2012; the odometry benchmark's devkit.

use std::path::{Path, PathBuf};

use thalweg::{Frame, Pose};

use crate::error::{At, Error};
use crate::order;
use crate::points::beside::{Beside, MOST_FRAMES, Row};
use crate::points::options::ReadOptions;
use crate::points::{label, listing};

/// Camera from sensor where `calib.txt` does not say it.
const AXIS_SWAP: Pose = Pose([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]);

/// How far an entry of R Rᵀ may be from that of 1 for R to be a rotation: a benchmark's seven digits leave 1e-6.
const ROUNDING: f64 = 0.01;

/// What a matrix has to be, for messages.
const RIGID: &str = "12 numbers, a 3×4 matrix [R | t] row by row, R a rotation";

/// What a sequence folder says of its frames beyond their points.
#[derive(Debug)]
pub struct Sequence {
    poses: Option<Beside<Pose>>,
    times_ns: Option<Beside<i64>>,
    folder: PathBuf,
    /// Camera from sensor, and its inverse, once a pose was asked for.
    calibration: Option<(Pose, Pose)>,
    options: ReadOptions,
}

/// The folder of a sequence's scans: `velodyne` inside it, or itself where `poses.txt` stands beside the scans. `None` if `path` is
/// no sequence folder.
pub fn scans(path: &Path) -> Option<PathBuf> {
    let velodyne = path.join("velodyne");
    if velodyne.is_dir() {
        return Some(velodyne);
    }
    path.join("poses.txt").is_file().then(|| path.to_path_buf())
}

/// Where the poses of a sequence stand: `poses.txt` in it, or in the benchmark's layout `../../poses/NAME.txt`.
fn poses_of(path: &Path) -> PathBuf {
    let own = path.join("poses.txt");
    let official = || {
        let whole = path.canonicalize().ok()?;
        let name = whole.file_name()?.to_string_lossy().into_owned();
        let poses = whole.parent()?.parent()?.join("poses").join(format!("{name}.txt"));
        poses.is_file().then_some(poses)
    };
    if own.exists() { own } else { official().unwrap_or(own) }
}

/// All that is wrong with the texts and labels of a sequence, as `run` would say it.
pub fn check(path: &Path) -> Vec<String> {
    let options = ReadOptions::default();
    let scans = scans(path).and_then(|folder| listing::list(&folder, None).ok().flatten()).map_or(vec![], |l| l.files);
    let mut problems = Vec::new();
    let mut note = |error: Error| problems.push(error.to_string());
    match Sequence::read(path, &options) {
        Err(error) => note(error),
        Ok(mut sequence) => {
            if let Some(poses) = &mut sequence.poses {
                poses.bad().for_each(&mut note);
                poses.assign(&scans).unwrap_or_else(&mut note);
            }
            if let Some(times) = &mut sequence.times_ns {
                times.bad().for_each(&mut note);
                times.assign(&scans).unwrap_or_else(&mut note);
            }
            if sequence.poses.is_some() {
                sequence.calibrate().map_or_else(&mut note, drop);
            }
        }
    }
    problems.extend(options.notices.warnings());
    problems
}

impl Sequence {
    /// Reads what stands beside the scans of the sequence at `path`.
    ///
    /// # Errors
    /// A line that does not parse, or is no rigid motion; poses or times that are neither one a scan nor found by the scans' numbers.
    pub fn load(path: &Path, scans: &[PathBuf], options: &ReadOptions) -> Result<Sequence, Error> {
        let mut sequence = Sequence::read(path, options)?;
        if let Some(poses) = &mut sequence.poses {
            poses.bad().next().map_or(Ok(()), Err)?;
            poses.assign(scans)?;
            sequence.calibrate()?;
        }
        if let Some(times) = &mut sequence.times_ns {
            times.bad().next().map_or(Ok(()), Err)?;
            times.assign(scans)?;
        }
        Ok(sequence)
    }

    fn read(path: &Path, options: &ReadOptions) -> Result<Sequence, Error> {
        let mut sequence = Sequence::follow(path, options);
        sequence.refresh(true)?;
        Ok(sequence)
    }

    /// A sequence whose texts grow; nothing is read of them yet.
    pub(crate) fn follow(path: &Path, options: &ReadOptions) -> Sequence {
        let (folder, options) = (path.to_path_buf(), options.clone());
        Sequence { poses: None, times_ns: None, folder, calibration: None, options }
    }

    /// Reads what has been written since; `whole` if nothing more will be.
    fn refresh(&mut self, whole: bool) -> Result<(), Error> {
        let poses = poses_of(&self.folder);
        if self.poses.is_none() && poses.exists() {
            self.poses = Some(Beside::new(poses, RIGID, matrix));
        }
        let times = self.folder.join("times.txt");
        if self.times_ns.is_none() && times.exists() {
            self.times_ns = Some(Beside::new(times, "a time in seconds", time));
        }
        self.poses.as_mut().map_or(Ok(()), |poses| poses.read(whole))?;
        self.times_ns.as_mut().map_or(Ok(()), |times| times.read(whole))
    }

    /// Of a sequence that grows: false if the scan's line of poses or times has not been written yet. `position` is the scan's place among those
    /// taken, from 0; `posed` if a scan without a pose is of no use.
    ///
    /// # Errors
    /// A text that cannot be read.
    pub(crate) fn has(&mut self, scan: &Path, position: usize, posed: bool) -> Result<bool, Error> {
        self.refresh(false)?;
        let line =
            order::number(scan).filter(|&number| number < MOST_FRAMES).map_or(position, |number| number as usize);
        let posed = self.poses.as_mut().map_or(!posed, |poses| poses.expect(position, line));
        let timed = self.times_ns.as_mut().is_none_or(|times| times.expect(position, line));
        Ok(posed && timed)
    }

    /// Gives the scan at a position, from 0, its pose, time and labels, where there are some.
    ///
    /// # Errors
    /// A line that does not parse; labels that do not fit the points.
    pub fn dress(&mut self, position: usize, frame: &mut Frame) -> Result<(), Error> {
        if let Some(pose) = self.poses.as_mut().map_or(Ok(None), |poses| poses.get(position))? {
            let (tr, inverse) = self.calibrate()?;
            frame.pose = Some(inverse.then_after(&pose).then_after(&tr));
        }
        let time = self.times_ns.as_mut().map_or(Ok(None), |times| times.get(position))?;
        frame.time_ns = time.or(frame.time_ns);
        let labels = self.folder.join("labels");
        if let Some(scan) = frame.path.as_deref().filter(|_| labels.is_dir())
            && let Some(path) = label::beside(&labels, scan).filter(|path| path.exists())
        {
            frame.truth = Some(label::read(&path, scan, frame.len())?);
        }
        Ok(())
    }

    /// Camera from sensor, and its inverse.
    fn calibrate(&mut self) -> Result<(Pose, Pose), Error> {
        if let Some(known) = self.calibration {
            return Ok(known);
        }
        let tr = calibration(&self.folder.join("calib.txt"), &self.options)?;
        Ok(*self.calibration.insert((tr, tr.inverse())))
    }
}

/// True if a pose turns and moves, and neither stretches nor squashes; a translation (m) has to be an f32.
fn is_rigid(pose: &Pose) -> bool {
    let rows = &pose.0;
    let product = |i: usize, j: usize| rows[i][0] * rows[j][0] + rows[i][1] * rows[j][1] + rows[i][2] * rows[j][2];
    let near = |i: usize, j: usize| (product(i, j) - f64::from(u8::from(i == j))).abs() <= ROUNDING;
    (0..3).all(|i| (0..3).all(|j| near(i, j)) && (rows[i][3] as f32).is_finite())
}

/// A rigid pose of 12 numbers, or 13 with the number of its frame, or a time, before it.
fn matrix(line: &str) -> Option<Row<Pose>> {
    let v: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let (lead, v) = if v.len() == 13 { (v.first().copied(), &v[1..]) } else { (None, &v[..]) };
    let rows = v.as_chunks::<4>().0.try_into().ok().filter(|_| v.len() == 12)?;
    let value = Pose(rows);
    let number = lead.filter(|lead| lead.fract() == 0.0 && (0.0..9e15).contains(lead)).map(|lead| lead as u64);
    is_rigid(&value).then_some(Row { value, number })
}

fn time(line: &str) -> Option<Row<i64>> {
    let value = crate::tables::times::float_ns(line.trim().parse().ok()?)?;
    Some(Row { value, number: None })
}

/// Camera from sensor.
fn calibration(path: &Path, options: &ReadOptions) -> Result<Pose, Error> {
    if path.exists() {
        let bytes = crate::files::read_regular(path)?;
        for (line, number) in String::from_utf8_lossy(&bytes).lines().zip(1..) {
            let names = ["Tr", "Tr_velo_to_cam", "Tr_velo_cam"];
            let Some((name, tr)) = line.trim_start().split_once([':', ' ']) else { continue };
            if names.contains(&name.trim()) {
                let row = matrix(tr.trim_start_matches(':')).filter(|row| row.number.is_none());
                let expected = format!("Tr: and {RIGID}");
                return row
                    .map(|row| row.value)
                    .ok_or_else(|| Error::malformed(path, At::Line(number), format!("{line:?}"), expected));
            }
        }
    }
    options.notices.warn(path, "found no Tr, took the axis swap x_cam = -y, y_cam = -z, z_cam = x");
    Ok(AXIS_SWAP)
}
