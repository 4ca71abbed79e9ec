//! What a file or a folder is, whether it is read here, and what is wrong with it. Never fails: an error is one of the findings.

mod folder;
mod frames;
mod header;
mod molecules;
mod report;
mod rows;

use std::path::Path;

use crate::error::Error;
use crate::points::{known, pcap, registry, table};
use frames::{Extent, frames};
pub use report::{Field, Group, Report};

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
    if let Some((name, what)) = molecules::format(path) {
        (report.format, report.what) = (name.into(), what.into());
        return molecules::inspect(path, report);
    }
    let format = match registry::guess(path) {
        Ok(format) => format,
        Err(error) => return unread(path, error, report),
    };
    report.format = format.name.into();
    report.what = format.what.into();
    report.readable = true;
    if table::of(format).is_some() {
        let written = rows::output(path, report);
        if written || rows::inspect(path, format.name != "jsonl", report).is_some() {
            return;
        }
        rows::without_header(path, report);
        report.fields = rows::columns_of_points(path);
    }
    // What is wrong with a header is said by the reader, too.
    let stated = header::facts(path, format.name, report).ok().and(report.points);
    let mut extent = Extent::default();
    report.points = frames(path, report, &mut extent).or(stated);
    if format.name == pcap::FORMAT.name {
        report.span = extent.span();
    }
    extent.tell(report);
}

/// A file that holds no frames: rows for `risk`, or a format that is known by sight.
fn unread(path: &Path, error: Error, report: &mut Report) {
    let known = known::find(path);
    if known.is_none_or(|known| known.sure == 0) && rows::inspect(path, false, report).is_some() {
        (report.format, report.readable) = ("text".into(), true);
        return;
    }
    let (name, what) = known.map_or(("unknown", "of a format not known here"), |k| (k.name, k.what));
    report.format = name.into();
    report.what = format!("{what}; not read here");
    report.problems.push(error.to_string());
}
