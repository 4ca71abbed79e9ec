//! `eval pose`: joints against true ones: mean absolute error, distances, shares within reach, calibration.
//!
//! The truth is `--truth`, or `NAME.npy` beside a single input `NAME.parquet` (or another table); row i of an array is the frame i behind
//! the first of the recording.
//!
//! MAE is over axes and joints, MPJPE the mean distance of a joint from where it is, PCK the share of joints within a distance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use thalweg::points::radar::{JOINT_NAMES, JOINTS, Skeleton};
use thalweg::sink::Collect;
use thalweg::{Next, Source as _};
use thalweg_connectors::Notices;
use thalweg_connectors::points::joints::joints;

use crate::failure::Failure;
use crate::keys::Listed;
use crate::pipeline::{Context, Doing, Measured};
use crate::pose::{Asked, SENSOR, model};
use crate::settings::Settings;
use crate::{finish, input, options, plot, sims};

/// The pipeline's `eval`.
pub const EVAL: Doing<Measured> = Doing {
    options: &[options::EVAL, &["input", "truth", "columns", "plot"]],
    keys: KEYS,
    example: "thalweg eval pose --input radar.parquet --truth joints.npy",
    go: pose,
};

const KEYS: Listed = &[&sims::FRAMES, &sims::SEED, &SENSOR, &input::TIME_UNIT];

/// True joints (m) by the frame's number.
pub type Truth = BTreeMap<i64, [[f32; 3]; JOINTS]>;

/// Distances of PCK (cm).
const REACHES: [f64; 4] = [5.0, 10.0, 15.0, 20.0];

/// How good one joint is.
#[derive(Debug, Serialize)]
struct Joint {
    name: &'static str,
    mae_cm: f64,
    mpjpe_cm: f64,
}

/// What `eval pose` found.
#[derive(Debug, Serialize)]
struct Scores {
    model: String,
    /// Frames with a truth.
    frames: u64,
    mae_cm: f64,
    mae_axes_cm: [f64; 3],
    rmse_cm: f64,
    mpjpe_cm: f64,
    /// Distance (cm) and share of joints within it.
    pck: Vec<(f64, f64)>,
    /// Share of axis errors within sigma; 0.683 where it is what it says.
    within_sigma: f64,
    joints: Vec<Joint>,
}

/// Runs the model over the input and compares with the truth.
///
/// # Errors
/// Those of the run; no truth, or none of the frames read.
pub fn pose(settings: &Settings, context: &Context) -> Result<Measured, Failure> {
    let asked = Asked::of(settings, KEYS)?;
    let (model, mut truth) = (model(settings)?, truth(settings, &asked)?);
    let (source, kept) = (input::open(settings, &asked.reading, context)?, Collect::default());
    let mut report = finish::over(settings, context, source, |frames| frames.infer_pose(&model), kept.clone())?;
    finish::complete(&mut report, &context.notices);
    let skeletons: Vec<Skeleton> = kept.items().into_iter().map(|(_, skeleton)| skeleton).collect();
    if let Some(path) = labels(settings).filter(|path| is_array(path)) {
        let whole = settings.start_offset == 0 && settings.until.is_none() && !context.drain.load(Ordering::Relaxed);
        truth = if whole {
            placed(truth, &skeletons, &path, &input::name(settings))?
        } else {
            let first = first(settings, &asked)?;
            truth.into_iter().filter_map(|(row, joints)| Some((first.checked_add(row)?, joints))).collect()
        };
    }
    if let Some(file) = &settings.plot {
        draw(&skeletons, &truth, file)?;
    }
    let scores = score(model.name(), &skeletons, &truth)
        .ok_or_else(|| Failure::run("found no frame with a truth, expected frames of the numbers in the truth"))?;
    Ok(Measured { json: json!(scores), text: scores.to_string(), report })
}

/// The file of the truth: `--truth`, else the array beside a single input, which may be a folder with one recording.
fn labels(settings: &Settings) -> Option<PathBuf> {
    if settings.truth.is_some() {
        return settings.truth.clone();
    }
    let [input] = settings.input.as_slice() else { return None };
    if Path::new(input).is_dir() {
        let files = std::fs::read_dir(input).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let mut arrays = files.filter(|file| is_array(file));
        return arrays.next().filter(|_| arrays.next().is_none());
    }
    let beside = Path::new(input.strip_suffix(".gz").unwrap_or(input)).with_extension("npy");
    (beside.is_file() && Path::new(input).is_file() && beside != Path::new(input)).then_some(beside)
}

fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"))
}

/// True joints: of a file, or of the simulation that is the input.
fn truth(settings: &Settings, asked: &Asked) -> Result<Truth, Failure> {
    if let Some(path) = labels(settings) {
        return Ok(joints(&path)?);
    }
    if settings.input.as_slice() == ["sim:person"] {
        return Ok(asked.reading.person(asked.sensor));
    }
    let expected = "NAME.npy beside the input NAME.parquet, the only array in a folder, or --truth with .npy [frames, 19, 3] or a table";
    Err(Failure::Usage(format!("--truth: found none, expected {expected}")))
}

/// The number of the recording's first frame, where a run reads a part of it.
fn first(settings: &Settings, asked: &Asked) -> Result<i64, Failure> {
    let start = Settings { start_offset: 0, until: Some(1), ..settings.clone() };
    // What is odd was said by the run.
    let context = Context {
        drain: Arc::default(),
        notices: Notices::default(),
        written: Arc::default(),
        cluster: None,
        watch: Box::new(|_| ()),
    };
    let mut source = input::open(&start, &asked.reading, &context)?;
    loop {
        match source.next().map_err(Failure::run)? {
            Next::Item(frame) => return Ok(frame.id),
            Next::Idle => std::thread::sleep(Duration::from_millis(2)),
            Next::End => return Ok(0),
        }
    }
}

/// The rows of an array at the numbers of the recording's frames: a row for each number from the first to the last, or else for each frame.
fn placed(array: Truth, skeletons: &[Skeleton], path: &Path, input: &str) -> Result<Truth, Failure> {
    let numbers = || skeletons.iter().map(|skeleton| skeleton.frame);
    let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else { return Ok(array) };
    // In i128, which holds the distance of any two numbers.
    let frames = i128::from(last) - i128::from(first) + 1;
    let all: BTreeSet<i64> = numbers().collect();
    if array.len() as i128 != frames && array.len() == all.len() {
        return Ok(all.into_iter().zip(array.into_values()).collect());
    }
    if array.len() as i128 != frames {
        let found = format!("{}: found joints of {} frames", path.display(), array.len());
        return Err(Failure::run(format!("{found}, expected {frames}: {input} has frames {first} to {last}")));
    }
    Ok(array.into_iter().map(|(row, joints)| (first + row, joints)).collect())
}

/// Skeletons of four frames, the truth beside what was found.
fn draw(skeletons: &[Skeleton], truth: &Truth, file: &Path) -> Result<(), Failure> {
    let known: Vec<_> = skeletons.iter().filter_map(|found| Some((found, truth.get(&found.frame)?))).collect();
    let step = (known.len() / 4).max(1);
    let shown: Vec<_> = known.iter().skip(step / 2).step_by(step).take(4).collect();
    let titles: Vec<String> = shown.iter().map(|(found, _)| format!("frame {}", found.frame)).collect();
    let people: Vec<plot::Person> = shown
        .iter()
        .zip(&titles)
        .map(|((found, truth), title)| plot::Person {
            title,
            truth: Some(truth),
            prediction: Some(&found.joint),
            points: &[],
        })
        .collect();
    plot::side_by_side(plot::Figure::new("Pose", [420, 640]), &people).save(file)
}

fn score(model: &str, skeletons: &[Skeleton], truth: &Truth) -> Option<Scores> {
    let (mut frames, mut axes, mut squares, mut within) = (0u64, [0.0f64; 3], 0.0, 0u64);
    let (mut near, mut of_joint) = ([0u64; REACHES.len()], [[0.0f64; 3]; JOINTS]);
    for skeleton in skeletons {
        let known = |joints: &&[[f32; 3]; JOINTS]| joints.iter().any(|at| at.iter().all(|v| v.is_finite()));
        let Some(truth) = truth.get(&skeleton.frame).filter(known) else { continue };
        frames += 1;
        for joint in 0..JOINTS {
            let error = [0, 1, 2].map(|axis| 100.0 * f64::from(skeleton.joint[joint][axis] - truth[joint][axis]));
            if error.iter().any(|e| !e.is_finite()) {
                continue;
            }
            let distance = error.iter().map(|e| e * e).sum::<f64>().sqrt();
            of_joint[joint][0] += error.iter().map(|e| e.abs()).sum::<f64>() / 3.0;
            of_joint[joint][1] += distance;
            of_joint[joint][2] += 1.0;
            squares += error.iter().map(|e| e * e).sum::<f64>();
            axes.iter_mut().zip(error).for_each(|(sum, e)| *sum += e.abs());
            within += error.iter().filter(|e| e.abs() <= 100.0 * f64::from(skeleton.sigma[joint])).count() as u64;
            near.iter_mut().zip(REACHES).for_each(|(near, reach)| *near += u64::from(distance <= reach));
        }
    }
    let joints: f64 = of_joint.iter().map(|[_, _, count]| count).sum();
    if joints == 0.0 {
        return None;
    }
    let named = JOINT_NAMES.iter().zip(of_joint);
    Some(Scores {
        model: model.into(),
        frames,
        mae_cm: axes.iter().sum::<f64>() / 3.0 / joints,
        mae_axes_cm: axes.map(|sum| sum / joints),
        rmse_cm: (squares / 3.0 / joints).sqrt(),
        mpjpe_cm: of_joint.iter().map(|[_, distance, _]| distance).sum::<f64>() / joints,
        pck: REACHES.iter().zip(near).map(|(reach, near)| (*reach, near as f64 / joints)).collect(),
        within_sigma: within as f64 / 3.0 / joints,
        joints: named
            .map(|(name, [mae, distance, count])| Joint { name, mae_cm: mae / count, mpjpe_cm: distance / count })
            .collect(),
    })
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [x, y, z] = self.mae_axes_cm;
        writeln!(f, "model {}, {} frames with a truth", self.model, self.frames)?;
        writeln!(f, "MAE {:.2} cm (x {x:.2}, y {y:.2}, z {z:.2}), RMSE {:.2} cm", self.mae_cm, self.rmse_cm)?;
        writeln!(f, "MPJPE {:.2} cm", self.mpjpe_cm)?;
        for (reach, share) in &self.pck {
            writeln!(f, "PCK within {reach:.0} cm: {:.1} %", 100.0 * share)?;
        }
        writeln!(f, "axis errors within sigma: {:.1} % (calibrated: 68.3 %)", 100.0 * self.within_sigma)?;
        writeln!(f, "\njoint            MAE cm   MPJPE cm")?;
        for joint in &self.joints {
            writeln!(f, "{:16} {:6.2}   {:8.2}", joint.name, joint.mae_cm, joint.mpjpe_cm)?;
        }
        Ok(())
    }
}
