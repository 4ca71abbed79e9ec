//! What a file or a folder is, whether it is read here, and what is wrong with it. Never fails: an error is one of the findings.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use thalweg::{Frame, Next};

use crate::points::format::{self, Format, ReadOptions};

mod folder;
mod header;
mod known;
mod rows;

/// One field of a point, row or record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in the file.
    pub name: String,
    /// Its type in the file.
    pub kind: String,
}

impl Field {
    fn new(name: impl Into<String>, kind: impl Into<String>) -> Field {
        Field { name: name.into(), kind: kind.into() }
    }
}

/// The files of one format in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The format's name.
    pub format: String,
    /// Number of files.
    pub files: u64,
    /// True if files of the format hold frames that are read here.
    pub readable: bool,
}

/// What [`inspect`] found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The path as given.
    pub path: String,
    /// The format's name.
    pub format: String,
    /// What it is, in words.
    pub what: String,
    /// True if it holds frames, or rows for `risk`, that are read here.
    pub readable: bool,
    /// Bytes of the file, or of the files in the folder.
    pub bytes: u64,
    /// Frames.
    pub frames: Option<u64>,
    /// Points of all frames; of the header's word if they could not be read.
    pub points: Option<u64>,
    /// Fields of a point, in file order.
    pub fields: Vec<Field>,
    /// Least finite coordinate on each axis (file units).
    pub minimum: Option<[f64; 3]>,
    /// Greatest finite coordinate on each axis (file units).
    pub maximum: Option<[f64; 3]>,
    /// Rows of a table of contacts or tests.
    pub rows: Option<u64>,
    /// People in such a table.
    pub people: Option<u64>,
    /// Rows of a table of tests that are positive.
    pub positive: Option<u64>,
    /// First and last stamp of such a table (s).
    pub span: Option<[f64; 2]>,
    /// In a folder: the files by format.
    pub files: Vec<Group>,
    /// What is wrong or worth knowing, one sentence each.
    pub problems: Vec<String>,
}

/// Inspects a file or a folder.
pub fn inspect(path: &Path) -> Report {
    let mut report = Report { path: path.display().to_string(), ..Report::default() };
    match std::fs::metadata(path) {
        Err(error) => {
            (report.format, report.what) = ("none".into(), "not readable by the system".into());
            report.problems.push(error.to_string());
        }
        Ok(kind) if kind.is_dir() => folder::inspect(path, &mut report),
        Ok(kind) if kind.is_file() => {
            report.bytes = kind.len();
            file(path, &mut report);
        }
        Ok(_) => (report.format, report.what) = ("special".into(), "a pipe or a device, which is not read here".into()),
    }
    report
}

fn file(path: &Path, report: &mut Report) {
    let known = known::find(path);
    let guessed = match known {
        Some(known) if known.sure => None,
        _ => format::guess(path).ok(),
    };
    let Some(format) = guessed else {
        let (name, what) = known.map_or(("unknown", "of a format not known here"), |k| (k.name, k.what));
        report.format = name.into();
        report.what = format!("{what}; not read here");
        return;
    };
    report.format = format.name.into();
    report.what = format.what.into();
    report.readable = true;
    if ["csv", "jsonl", "parquet"].contains(&format.name) && rows::inspect(path, report) {
        return;
    }
    let stated = match header::facts(path, format.name, report) {
        Ok(stated) => stated,
        Err(error) => {
            report.problems.push(error.to_string());
            return;
        }
    };
    let mut extent = Extent::default();
    frames(path, format, report, &mut extent);
    extent.tell(report);
    if let (Some(stated), Some((minimum, maximum))) = (stated, report.minimum.zip(report.maximum)) {
        stated.compare(minimum, maximum, report);
    }
}

/// Reads all frames of a file; counts them, their points and what is odd about them.
fn frames(path: &Path, format: &Format, report: &mut Report, extent: &mut Extent) {
    let outcome = (format.open)(path, &ReadOptions::default()).and_then(|mut reader| {
        let (mut frames, mut points) = (0, 0);
        while let Next::Item(frame) = reader.next_frame()? {
            frames += 1;
            points += frame.len() as u64;
            for (reason, dropped) in &frame.dropped {
                let count = dropped.count;
                report.problems.push(format!("frame {}: {count} rows dropped: {reason}", frame.id));
            }
            if report.fields.is_empty() {
                report.fields = columns(&frame);
            }
            extent.add(&frame);
            if ["kitti-bin", "nuscenes"].contains(&format.name) && !frame.is_empty() && frame.intensity.is_none() {
                let field = &report.fields[3].name;
                report.problems.push(format!("{field} is off its scale: other records than this format's?"));
            }
        }
        Ok((frames, points))
    });
    match outcome {
        Ok((frames, points)) => {
            if let Some(stated) = report.points.filter(|&stated| stated != points) {
                report.problems.push(format!("{points} points, the header states {stated}"));
            }
            (report.frames, report.points) = (Some(frames), Some(points));
        }
        Err(error) => report.problems.push(error.to_string()),
    }
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

/// Extent and odd points over frames.
struct Extent {
    minimum: [f64; 3],
    maximum: [f64; 3],
    non_finite: u64,
    at_zero: u64,
    points: u64,
}

impl Default for Extent {
    fn default() -> Extent {
        let (minimum, maximum) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        Extent { minimum, maximum, non_finite: 0, at_zero: 0, points: 0 }
    }
}

impl Extent {
    fn add(&mut self, frame: &Frame) {
        for (axis, column) in [&frame.x, &frame.y, &frame.z].into_iter().enumerate() {
            let mut ends = (f32::INFINITY, f32::NEG_INFINITY);
            for &value in column.iter().filter(|v| v.is_finite()) {
                ends = (ends.0.min(value), ends.1.max(value));
            }
            self.minimum[axis] = self.minimum[axis].min(f64::from(ends.0) + frame.origin[axis]);
            self.maximum[axis] = self.maximum[axis].max(f64::from(ends.1) + frame.origin[axis]);
        }
        self.points += frame.len() as u64;
        self.non_finite += (frame.len() - frame.finite()) as u64;
        let zero = |i: &usize| frame.x[*i] == 0.0 && frame.y[*i] == 0.0 && frame.z[*i] == 0.0;
        if frame.origin == [0.0; 3] {
            self.at_zero += (0..frame.len()).filter(zero).count() as u64;
        }
    }

    fn tell(&self, report: &mut Report) {
        if self.minimum.iter().chain(&self.maximum).all(|v| v.is_finite()) {
            (report.minimum, report.maximum) = (Some(self.minimum), Some(self.maximum));
        }
        if self.non_finite > 0 {
            report.problems.push(format!("{} points are not finite", self.non_finite));
        }
        if self.at_zero > 1 && self.at_zero < self.points {
            report.problems.push(format!("{} points lie at exactly (0, 0, 0): no returns?", self.at_zero));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path)?;
        writeln!(f, "  format   {}: {}", self.format, self.what)?;
        writeln!(f, "  size     {} bytes", self.bytes)?;
        if let Some(frames) = self.frames {
            writeln!(f, "  frames   {frames}")?;
        }
        if let Some(points) = self.points {
            writeln!(f, "  points   {points}")?;
        }
        for (label, count) in [("rows", self.rows), ("positive", self.positive), ("people", self.people)] {
            if let Some(count) = count {
                writeln!(f, "  {label:<8} {count}")?;
            }
        }
        if let Some([first, last]) = self.span {
            writeln!(f, "  stamps   {first} to {last} s, {:.1} days", (last - first) / 86_400.0)?;
        }
        if !self.fields.is_empty() {
            let fields: Vec<_> = self.fields.iter().map(|field| format!("{} {}", field.name, field.kind)).collect();
            writeln!(f, "  fields   {}", fields.join(", "))?;
        }
        if let Some((minimum, maximum)) = self.minimum.zip(self.maximum) {
            for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
                let label = if axis == 0 { "extent" } else { "" };
                writeln!(f, "  {label:<8} {name} {:.3} to {:.3}", minimum[axis], maximum[axis])?;
            }
        }
        for (i, group) in self.files.iter().enumerate() {
            let (label, read) =
                (if i == 0 { "files" } else { "" }, if group.readable { "" } else { " (not read here)" });
            writeln!(f, "  {label:<8} {} {}{read}", group.files, group.format)?;
        }
        for problem in &self.problems {
            writeln!(f, "  problem  {problem}")?;
        }
        if self.problems.is_empty() && self.readable {
            writeln!(f, "  problem  none found")?;
        }
        Ok(())
    }
}
