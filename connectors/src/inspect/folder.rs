//! A folder: a KITTI sequence with its poses, times and labels, else the files in it by format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::frames::{self, Extent};
use super::report::{Group, Report};
use super::{header, rows};
use crate::out::segments::MANIFEST;
use crate::points::{kitti, known, label, listing, registry, table};

pub(super) fn inspect(path: &Path, report: &mut Report) {
    let mut files = Vec::new();
    below(path, &mut files, report);
    files.sort();
    report.bytes = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|kind| kind.len()).sum();
    count(&files, report);
    if kitti::scans(path).is_some() {
        sequence(path, report);
    } else if path.join(MANIFEST).is_file() {
        rows::published(path, report);
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
        let guessed = registry::guess(file).ok();
        let name = guessed.map(|f| f.name).or(known.map(|k| k.name)).unwrap_or("unknown");
        *groups.entry((name, guessed.is_some())).or_default() += 1;
    }
    report.files =
        groups.into_iter().map(|((name, readable), files)| Group { format: name.into(), files, readable }).collect();
}

/// A folder of frames, those files that lie in it directly, or of tables for `risk`.
fn plain(folder: &Path, files: &[PathBuf], report: &mut Report) {
    let mut tables = Vec::new();
    let mut frames = 0;
    for file in files.iter().filter(|file| file.parent() == Some(folder)) {
        let Some(format) = listing::kind(file) else { continue };
        let header = table::of(format).and_then(|_| rows::by_header(file, format.name));
        match header {
            Some(what) => tables.push(format!("{} ({what})", file.file_name().unwrap_or_default().to_string_lossy())),
            None => frames += 1,
        }
    }
    if !tables.is_empty() {
        report.what += &format!("; inputs of `risk`: {}", tables.join(", "));
    }
    report.readable = frames > 0 || !tables.is_empty();
    if frames > 0 || tables.is_empty() {
        let mut extent = Extent::default();
        report.points = frames::frames(folder, report, &mut extent);
        extent.tell(report);
    }
}

fn sequence(path: &Path, report: &mut Report) {
    (report.format, report.readable) = ("kitti".into(), true);
    let mut has = Vec::new();
    has.extend(["poses.txt", "times.txt", "calib.txt"].into_iter().filter(|name| path.join(name).is_file()));
    let folder = kitti::scans(path).unwrap_or(path.into());
    let scans = listing::list(&folder, None).ok().flatten().map_or(Vec::new(), |listing| listing.files);
    let labels = path.join("labels");
    let label_of = |scan: &PathBuf| labels.join(scan.file_name().unwrap_or_default()).with_extension("label");
    let labelled = |scan: &&PathBuf| label_of(scan).is_file();
    let points = |scan: &PathBuf| header::points(scan, registry::by_extension(scan)?.name);
    let count = format!("labels of {} of {} scans", scans.iter().filter(labelled).count(), scans.len());
    has.extend(Some(count.as_str()).filter(|_| labels.is_dir()));
    let with = if has.is_empty() { "nothing else".into() } else { has.join(", ") };
    report.what = format!("KITTI sequence with {with}");
    report.problems = kitti::check(path);
    let mut extent = Extent::default();
    let read = frames::frames(path, report, &mut extent);
    if read.is_none() && folder != path {
        // What stands beside them is wrong; the scans may be read for themselves, and their labels looked at.
        frames::frames(&folder, report, &mut extent);
        let wrong = |scan: &PathBuf| label::read(&label_of(scan), scan, points(scan)? as usize).err();
        report.problems.extend(scans.iter().filter(labelled).filter_map(wrong).map(|error| error.to_string()));
    }
    // Those whose labels are wrong count, too.
    report.frames = Some(scans.len() as u64);
    report.points = scans.iter().map(points).sum();
    extent.tell(report);
    let mut said = BTreeSet::new();
    report.problems.retain(|problem| said.insert(problem.clone()));
}
