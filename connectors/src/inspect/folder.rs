//! A folder: a KITTI sequence with its poses, times and labels, else the files in it by format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::frames::{self, Extent};
use super::report::{Group, Report};
use super::{header, molecules, rows};
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
        let molecules = molecules::format(file).map(|(name, _)| name);
        let name = molecules.or(guessed.map(|f| f.name)).or(known.map(|k| k.name)).unwrap_or("unknown");
        *groups.entry((name, molecules.is_some() || guessed.is_some())).or_default() += 1;
    }
    report.files =
        groups.into_iter().map(|((name, readable), files)| Group { format: name.into(), files, readable }).collect();
}

/// A folder of frames, those files that lie in it directly, of molecules, or of tables for `risk` or `gnn`.
fn plain(folder: &Path, files: &[PathBuf], report: &mut Report) {
    let own: Vec<&Path> = files.iter().map(PathBuf::as_path).filter(|file| file.parent() == Some(folder)).collect();
    let (of_molecules, others): (Vec<&Path>, Vec<&Path>) =
        own.into_iter().partition(|file| molecules::format(file).is_some());
    if !of_molecules.is_empty() && others.iter().all(|file| listing::kind(file).is_none()) {
        report.what += ": molecules";
        return molecules::inspect(folder, report);
    }
    let (mut tables, mut unknown) = (BTreeMap::<&str, Vec<String>>::new(), Vec::new());
    let (mut frames, mut kinds) = (of_molecules.len(), BTreeSet::new());
    for file in others {
        let Some(format) = listing::kind(file) else { continue };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match table::of(format).and_then(|_| input(file, format.name != "jsonl", report)) {
            Some((what, pipeline)) => {
                tables.entry(pipeline).or_default().push(format!("{name} ({what})"));
                kinds.insert(what);
            }
            None if table::of(format).is_some() && rows::columns_of_points(file).is_empty() => {
                unknown.push(name.into_owned());
            }
            None => frames += 1,
        }
    }
    for (pipeline, tables) in &tables {
        report.what += &format!("; inputs of `{pipeline}`: {}", tables.join(", "));
    }
    if tables.contains_key("risk") && folder.join("params.json").is_file() {
        report.what += ", with params.json";
    }
    kinds.into_iter().for_each(|what| rows::passed_over(folder, what, report));
    report.readable = frames > 0 || !tables.is_empty();
    if frames > 0 || tables.is_empty() {
        let mut extent = Extent::default();
        report.points = frames::frames(folder, report, &mut extent);
        extent.tell(report);
    } else if !unknown.is_empty() {
        report.problems.push(format!("{}: no columns that a pipeline reads", unknown.join(", ")));
    }
}

/// What a table is and which pipeline reads it, if one does; its rows and problems go to the folder's report.
fn input(file: &Path, certain: bool, report: &mut Report) -> Option<(&'static str, &'static str)> {
    let mut alone = Report { path: file.display().to_string(), ..Report::default() };
    let found = rows::inspect(file, certain, &mut alone);
    let found = found.or_else(|| rows::is_truth(file).then_some(("truth", "risk")));
    report.rows = alone.rows.map(|rows| rows + report.rows.unwrap_or(0)).or(report.rows);
    let placed = |problem: String| match problem.contains(&alone.path) {
        true => problem,
        false => format!("{}: {problem}", alone.path),
    };
    report.problems.extend(alone.problems.into_iter().map(placed));
    found
}

fn sequence(path: &Path, report: &mut Report) {
    (report.format, report.readable) = ("kitti".into(), true);
    let mut has = Vec::new();
    has.extend(["poses.txt", "times.txt", "calib.txt"].into_iter().filter(|name| path.join(name).is_file()));
    let folder = kitti::scans(path).unwrap_or(path.into());
    let scans = listing::list(&folder, None).ok().flatten().map_or(Vec::new(), |listing| listing.files);
    let labels = path.join("labels");
    let labelled = |scan: &&PathBuf| label::beside(&labels, scan).is_some_and(|path| path.is_file());
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
        let wrong = |scan: &PathBuf| label::read(&label::beside(&labels, scan)?, scan, points(scan)? as usize).err();
        report.problems.extend(scans.iter().filter(labelled).filter_map(wrong).map(|error| error.to_string()));
    }
    // Those whose labels are wrong count, too; of a scan that cannot be read nothing is known.
    let all = report.frames == Some(scans.len() as u64);
    report.points = read.filter(|_| all).or_else(|| Some(scans.iter().filter_map(points).sum()));
    report.frames = Some(scans.len() as u64);
    extent.tell(report);
    let mut said = BTreeSet::new();
    report.problems.retain(|problem| said.insert(problem.clone()));
}
