//! A folder: a KITTI sequence with its poses, times and labels, else the files in it by format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Extent, Group, Report, header, known, rows};
use crate::points::bin;
use crate::points::format::{self, ReadOptions};

/// Scans whose points are looked at; of a longer sequence the first so many.
const LOOKED_AT: usize = 32;

pub(super) fn inspect(path: &Path, report: &mut Report) {
    let mut files = Vec::new();
    below(path, &mut files, report);
    files.sort();
    report.bytes = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|kind| kind.len()).sum();
    count(&files, report);
    if path.join("velodyne").is_dir() {
        sequence(path, report);
    } else {
        (report.format, report.what) = ("folder".into(), format!("a folder with {} files", files.len()));
        plain(path, &files, report);
    }
}

/// All files below, links to folders aside.
fn below(folder: &Path, files: &mut Vec<PathBuf>, report: &mut Report) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return report.problems.push(format!("{}: {error}", folder.display())),
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&entry.path(), files, report),
            Ok(_) if entry.path().is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn count(files: &[PathBuf], report: &mut Report) {
    let mut groups = BTreeMap::<_, u64>::new();
    for file in files {
        let known = known::find(file);
        let guessed = if known.is_some_and(|k| k.sure) { None } else { format::guess(file).ok() };
        let name = guessed.map(|f| f.name).or(known.map(|k| k.name)).unwrap_or("unknown");
        *groups.entry((name, guessed.is_some())).or_default() += 1;
    }
    report.files =
        groups.into_iter().map(|((name, readable), files)| Group { format: name.into(), files, readable }).collect();
}

/// A folder of frames: those files that lie in it directly.
fn plain(folder: &Path, files: &[PathBuf], report: &mut Report) {
    let mut formats = BTreeMap::<_, (u64, Option<u64>)>::new();
    let mut tables = Vec::new();
    for file in files.iter().filter(|file| file.parent() == Some(folder)) {
        let Some(format) = format::by_extension(file) else { continue };
        if let Some(what) = rows::by_header(file, format.name) {
            tables.push(format!("{} ({what})", file.file_name().unwrap_or_default().to_string_lossy()));
            continue;
        }
        let (frames, points) = formats.entry(format.name).or_insert((0, Some(0)));
        *frames += 1;
        *points = points.zip(header::points(file, format.name)).map(|(sum, more)| sum + more);
    }
    report.readable = !(formats.is_empty() && tables.is_empty());
    if !tables.is_empty() {
        report.what += &format!("; inputs of `risk`: {}", tables.join(", "));
    }
    if formats.len() > 1 {
        let names: Vec<_> = formats.keys().copied().collect();
        report.problems.push(format!("frames of several formats lie side by side: {}", names.join(", ")));
    }
    if let Some((frames, points)) = formats.values().next().filter(|_| formats.len() == 1) {
        (report.frames, report.points) = (Some(*frames), *points);
    }
}

fn sequence(path: &Path, report: &mut Report) {
    (report.format, report.readable) = ("kitti".into(), true);
    let scans = ending(&path.join("velodyne"), "bin");
    let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |kind| kind.len());
    (report.frames, report.points) = (Some(scans.len() as u64), Some(scans.iter().map(|scan| size(scan) / 16).sum()));
    let mut has = Vec::new();
    for (name, expected) in [("poses.txt", "a pose"), ("times.txt", "a time")] {
        if let Ok(text) = std::fs::read_to_string(path.join(name)) {
            has.push(name);
            let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            if lines != scans.len() {
                report
                    .problems
                    .push(format!("{name} has {lines} lines, expected {expected} for each of {} scans", scans.len()));
            }
        }
    }
    if let Ok(text) = std::fs::read_to_string(path.join("calib.txt")) {
        has.push("calib.txt");
        if !text.lines().any(|line| line.starts_with("Tr")) {
            report.problems.push("calib.txt has no line Tr: the axes are swapped instead".into());
        }
    }
    if path.join("labels").is_dir() {
        has.push("labels");
        labels(path, &scans, report);
    }
    let with = if has.is_empty() { "nothing else".into() } else { has.join(", ") };
    report.what = format!("KITTI sequence with {with}");
    let mut extent = Extent::default();
    for scan in scans.iter().take(LOOKED_AT) {
        match bin::read_kitti(scan, &ReadOptions::default()) {
            Ok(frame) => extent.add(&frame),
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    if scans.len() > LOOKED_AT {
        report.problems.push(format!("the extent is that of the first {LOOKED_AT} scans"));
    }
    extent.tell(report);
}

fn labels(path: &Path, scans: &[PathBuf], report: &mut Report) {
    let mut missing = 0;
    for scan in scans {
        let label = path.join("labels").join(scan.file_name().unwrap_or_default()).with_extension("label");
        let (Ok(found), Ok(points)) = (std::fs::metadata(&label), std::fs::metadata(scan)) else {
            missing += 1;
            continue;
        };
        if found.len() != points.len() / 16 * 4 {
            let (found, expected) = (found.len() / 4, points.len() / 16);
            report.problems.push(format!("{}: {found} labels, expected {expected}, one a point", label.display()));
        }
    }
    if missing > 0 {
        report.problems.push(format!("{missing} of {} scans have no labels", scans.len()));
    }
}

/// The files in `folder` with an ending, in name order.
fn ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == ending)).collect();
    files.sort();
    files
}
