//! What a file or a folder is, whether it is read here, and what is wrong with it. Never fails: an error is one of the findings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use thalweg::{BoxError, Dropped, Frame, Next, Source};

use crate::error::Error;
use crate::points::folder::{Files, FilesOptions, OnError};
use crate::points::format::ReadOptions;
use crate::points::registry;
use crate::points::table;

mod folder;
mod header;
pub(crate) mod known;
mod rows;

/// How long a source that has nothing is left alone.
const IDLE: Duration = Duration::from_millis(2);

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
    /// True if it holds frames, or rows for `risk` or `gnn`, that are read here.
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
    /// Rows of a table of contacts, tests, edges or nodes.
    pub rows: Option<u64>,
    /// People in such a table.
    pub people: Option<u64>,
    /// Nodes in a table of edges or nodes.
    pub nodes: Option<u64>,
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
        Ok(_) => {
            (report.format, report.what) = ("pipe".into(), "a pipe or a device: a run reads it as it comes".into());
        }
    }
    report
}

fn file(path: &Path, report: &mut Report) {
    let format = match registry::guess(path) {
        Ok(format) => format,
        Err(error) => return unread(path, error, report),
    };
    report.format = format.name.into();
    report.what = format.what.into();
    report.readable = true;
    if table::of(format).is_some() {
        let written = rows::output(path, report);
        if written || rows::inspect(path, format.name != "jsonl", report) {
            return;
        }
    }
    // What is wrong with a header is said by the reader, too.
    let stated = header::facts(path, format.name, report).ok().and(report.points);
    let mut extent = Extent::default();
    report.points = frames(path, report, &mut extent).or(stated);
    extent.tell(report);
}

/// A file that holds no frames: rows for `risk`, or a format that is known by sight.
fn unread(path: &Path, error: Error, report: &mut Report) {
    let known = known::find(path);
    if known.is_none_or(|known| known.sure == 0) && rows::inspect(path, false, report) {
        (report.format, report.readable) = ("text".into(), true);
        return;
    }
    let (name, what) = known.map_or(("unknown", "of a format not known here"), |k| (k.name, k.what));
    report.format = name.into();
    report.what = format!("{what}; not read here");
    report.problems.push(error.to_string());
}

/// Reads all frames at a path as a run does, passing over what cannot be read; their points, if there are any. What the readers have to say
/// and what a run leaves out are problems.
fn frames(path: &Path, report: &mut Report, extent: &mut Extent) -> Option<u64> {
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
fn left_out(path: &str, used: bool, dropped: &BTreeMap<String, Dropped>) -> Vec<String> {
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

/// Where the finite points of all frames lie.
struct Extent {
    minimum: [f64; 3],
    maximum: [f64; 3],
}

impl Default for Extent {
    fn default() -> Extent {
        let (minimum, maximum) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        Extent { minimum, maximum }
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
    }

    fn tell(&self, report: &mut Report) {
        if self.minimum.iter().chain(&self.maximum).all(|v| v.is_finite()) {
            (report.minimum, report.maximum) = (Some(self.minimum), Some(self.maximum));
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
        for (label, count) in
            [("rows", self.rows), ("positive", self.positive), ("people", self.people), ("nodes", self.nodes)]
        {
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
        if self.problems.is_empty() {
            writeln!(f, "  problem  none found")?;
        }
        Ok(())
    }
}
