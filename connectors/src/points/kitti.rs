//! A KITTI odometry sequence: scans in name order, and what stands beside them: `poses.txt`, `calib.txt`, `times.txt`, `labels/`.
//!
//! With P a line of `poses.txt` (camera frame of frame 0) and Tr from `calib.txt` (camera from sensor),
//! `world_from_sensor = inv(Tr) · P · Tr`. A `calib.txt` without Tr: the axis swap x_cam = −y, y_cam = −z, z_cam = x, with a warning.
//! Geiger, Lenz, Urtasun, "Are we ready for autonomous driving?", CVPR 2012; the odometry benchmark's devkit.

use std::path::{Path, PathBuf};

use thalweg::{Frame, Pose};

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::label;

/// Camera from sensor where `calib.txt` does not say it.
const AXIS_SWAP: Pose = Pose([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]);

/// What a sequence folder says of its frames beyond their points.
#[derive(Debug, Default)]
pub struct Sequence {
    poses: Option<Vec<Pose>>,
    times_ns: Option<Vec<i64>>,
    labels: Option<PathBuf>,
    warnings: Vec<String>,
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

impl Sequence {
    /// Reads what stands beside the `frames` scans of the sequence at `path`.
    ///
    /// # Errors
    /// A line that does not parse; a number of poses or times that is not the number of scans.
    pub fn load(path: &Path, frames: usize) -> Result<Sequence, Error> {
        let mut warnings = Vec::new();
        let poses = match lines(&path.join("poses.txt"))? {
            None => None,
            Some(text) => {
                let tr = calibration(&path.join("calib.txt"), &mut warnings)?;
                let inverse = tr.inverse();
                let of_line = |line| Ok(inverse.then_after(&matrix(&text.path, line)?).then_after(&tr));
                Some(text.one_a_frame(frames)?.map(of_line).collect::<Result<Vec<Pose>, Error>>()?)
            }
        };
        let times_ns = match lines(&path.join("times.txt"))? {
            None => None,
            Some(text) => Some(text.one_a_frame(frames)?.map(|line| time(&text.path, line)).collect::<Result<_, _>>()?),
        };
        let labels = Some(path.join("labels")).filter(|p| p.is_dir());
        Ok(Sequence { poses, times_ns, labels, warnings })
    }

    /// What the reader of the run should be told, once.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Gives the frame at a position, from 0, its pose, time and labels, where there are some.
    ///
    /// # Errors
    /// Labels that do not fit the points.
    pub fn dress(&self, position: usize, frame: &mut Frame) -> Result<(), Error> {
        let at = |p: &Vec<Pose>| p.get(position).copied();
        frame.pose = self.poses.as_ref().and_then(at).or(frame.pose);
        frame.time_ns = self.times_ns.as_ref().and_then(|t| t.get(position).copied()).or(frame.time_ns);
        if let (Some(labels), Some(scan)) = (&self.labels, &frame.path) {
            let stem = scan.file_stem().unwrap_or_default().to_string_lossy();
            let path = labels.join(format!("{stem}.label"));
            if path.exists() {
                frame.truth = Some(label::read(&path, scan, frame.len())?);
            }
        }
        Ok(())
    }
}

/// The lines of a text file that hold something, with their numbers.
struct Text {
    path: PathBuf,
    lines: Vec<(u64, String)>,
}

/// `None` if there is no such file.
fn lines(path: &Path) -> Result<Option<Text>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_regular(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines =
        text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(|(i, l)| (i as u64 + 1, l.to_string()));
    Ok(Some(Text { path: path.into(), lines: lines.collect() }))
}

impl Text {
    fn one_a_frame(&self, frames: usize) -> Result<impl Iterator<Item = &(u64, String)>, Error> {
        if self.lines.len() != frames {
            let last = self.lines.last().map_or(0, |(number, _)| *number);
            let expected = format!("{frames}, one for each scan");
            return Err(Error::malformed(&self.path, At::Line(last), format!("{} lines", self.lines.len()), expected));
        }
        Ok(self.lines.iter())
    }
}

fn matrix(path: &Path, (number, line): &(u64, String)) -> Result<Pose, Error> {
    let values: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
    let rows = values.ok().filter(|v| v.len() == 12 && v.iter().all(|v| v.is_finite()));
    let Some(v) = rows else {
        return Err(Error::malformed(
            path,
            At::Line(*number),
            format!("{line:?}"),
            "12 numbers, a 3×4 matrix row by row",
        ));
    };
    Ok(Pose([[v[0], v[1], v[2], v[3]], [v[4], v[5], v[6], v[7]], [v[8], v[9], v[10], v[11]]]))
}

fn time(path: &Path, (number, line): &(u64, String)) -> Result<i64, Error> {
    let seconds: Option<f64> = line.trim().parse().ok();
    let ns = seconds.and_then(crate::tables::times::float_ns);
    ns.ok_or_else(|| Error::malformed(path, At::Line(*number), format!("{line:?}"), "a time in seconds"))
}

/// Camera from sensor.
fn calibration(path: &Path, warnings: &mut Vec<String>) -> Result<Pose, Error> {
    if let Some(text) = lines(path)? {
        for (number, line) in &text.lines {
            if let Some(tr) =
                line.trim_start().strip_prefix("Tr:").or(line.trim_start().strip_prefix("Tr_velo_to_cam:"))
            {
                return matrix(path, &(*number, tr.to_string()));
            }
        }
    }
    warnings.push(format!("{}: found no Tr, took the axis swap x_cam = -y, y_cam = -z, z_cam = x", path.display()));
    Ok(AXIS_SWAP)
}
