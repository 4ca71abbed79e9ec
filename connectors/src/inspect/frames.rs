//! Frames read as a run reads them: how many, where their points lie, and what is left out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use thalweg::{BoxError, Dropped, Frame, Next, Source};

use super::report::{Field, Report};
use crate::on_error::OnError;
use crate::points::files_options::FilesOptions;
use crate::points::folder::Files;
use crate::points::options::ReadOptions;

/// How long a source that has nothing is left alone.
const IDLE: Duration = Duration::from_millis(2);

/// Reads all frames at a path as a run does, passing over what cannot be read; their points, if there are any. What the readers have to say
/// and what a run leaves out are problems.
pub(super) fn frames(path: &Path, report: &mut Report, extent: &mut Extent) -> Option<u64> {
    let read = ReadOptions::default();
    let options = FilesOptions { read: read.clone(), on_error: OnError::Skip, ..FilesOptions::default() };
    let (mut frames, mut points, mut finite) = (0, 0, 0);
    let mut dropped = BTreeMap::<String, Dropped>::new();
    let end = Files::open(path, options).map_err(BoxError::from).and_then(|mut files| {
        loop {
            match files.next()? {
                Next::Item(frame) => {
                    frames += 1;
                    points += frame.len() as u64;
                    finite += frame.finite();
                    extent.add(&frame);
                    let odd = (0..frame.len()).filter(|&point| !frame.is_finite(point));
                    let non_finite = dropped.entry("non_finite".to_string()).or_default();
                    odd.for_each(|point| non_finite.one(|| format!("point {point} of {}", frame.name())));
                    for (reason, more) in &frame.dropped {
                        let sum = dropped.entry(reason.to_string()).or_default();
                        if sum.count == 0 {
                            sum.first = more.first.clone();
                        }
                        sum.count += more.count;
                    }
                    if report.fields.is_empty() {
                        report.fields = columns(&frame);
                    }
                }
                Next::Idle => std::thread::sleep(IDLE),
                Next::End => return Ok(()),
            }
        }
    });
    let passed = |text: String| text.replacen(": passed over: ", ": ", 1);
    report.problems.extend(read.notices.warnings().into_iter().map(passed));
    dropped.retain(|_, dropped| dropped.count > 0);
    report.problems.extend(left_out(&report.path, finite > 0, &dropped));
    // The first of them are named already.
    let unreadable = read.notices.drops().remove("unreadable").map_or(0, |dropped| dropped.count);
    report.problems.extend((unreadable > 1).then(|| format!("{unreadable} unreadable")));
    report.problems.extend(end.err().map(|error| error.to_string()));
    if frames > 0 {
        report.frames = Some(frames);
    }
    (frames > 0).then_some(points)
}

/// What is left out, by reason, in the words of a run, and of one that used nothing.
pub(super) fn left_out(path: &str, used: bool, dropped: &BTreeMap<String, Dropped>) -> Vec<String> {
    let reasons = dropped.iter().map(|(reason, dropped)| {
        let first = if dropped.first.is_empty() { String::new() } else { format!(", first: {}", dropped.first) };
        format!("{} {reason}{first}", dropped.count)
    });
    let reasons: Vec<_> = reasons.collect();
    if used || reasons.is_empty() {
        return reasons;
    }
    vec![format!("{path}: found nothing that could be used: {}", reasons.join("; "))]
}

/// The columns of a frame, where the file's own header is not described.
fn columns(frame: &Frame) -> Vec<Field> {
    let mut fields: Vec<_> = ["x", "y", "z"].map(|name| Field::new(name, "float32")).into();
    if frame.intensity.is_some() {
        fields.push(Field::new("intensity", "float32"));
    }
    if frame.truth.is_some() {
        fields.push(Field::new("class", "uint8"));
        fields.push(Field::new("instance", "uint32"));
    }
    fields
}

/// Where the finite points of all frames lie, and when the frames were.
pub(super) struct Extent {
    minimum: [f64; 3],
    maximum: [f64; 3],
    /// First and last time of a frame (ns).
    times: Option<[i64; 2]>,
}

impl Default for Extent {
    fn default() -> Extent {
        let (minimum, maximum) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        Extent { minimum, maximum, times: None }
    }
}

impl Extent {
    fn add(&mut self, frame: &Frame) {
        if let Some(time) = frame.time_ns {
            let [first, last] = self.times.unwrap_or([time; 2]);
            self.times = Some([first.min(time), last.max(time)]);
        }
        for (axis, column) in [&frame.x, &frame.y, &frame.z].into_iter().enumerate() {
            let mut ends = (f32::INFINITY, f32::NEG_INFINITY);
            for &value in column.iter().filter(|v| v.is_finite()) {
                ends = (ends.0.min(value), ends.1.max(value));
            }
            self.minimum[axis] = self.minimum[axis].min(f64::from(ends.0) + frame.origin[axis]);
            self.maximum[axis] = self.maximum[axis].max(f64::from(ends.1) + frame.origin[axis]);
        }
    }

    /// First and last time of a frame (s).
    pub(super) fn span(&self) -> Option<[f64; 2]> {
        self.times.map(|times| times.map(|ns| ns as f64 * 1e-9))
    }

    pub(super) fn tell(&self, report: &mut Report) {
        if self.minimum.iter().chain(&self.maximum).all(|v| v.is_finite()) {
            (report.minimum, report.maximum) = (Some(self.minimum), Some(self.maximum));
        }
    }
}
