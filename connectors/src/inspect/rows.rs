//! Tables that are no frames: contacts and tests for `risk`, and the program's own outputs.

use std::path::Path;
use std::sync::Arc;

use thalweg::Next;
use thalweg::contacts::Fact;

use super::{Field, Report, left_out};
use crate::contacts::{self, FilesOptions, People, Rejected};
use crate::notices::Notices;
use crate::out::segments::Manifest;
use crate::tables::names::{Column, Kind};
use crate::tables::values::{Cell, Cells};
use crate::tables::{self, Opening, TableOptions};

/// What the rows of a table are, if they are contacts or tests; false leaves the report as it was. `certain` if the format has a header,
/// so that a table with the columns is one of that kind whatever its rows are.
pub(super) fn inspect(path: &Path, certain: bool, report: &mut Report) -> bool {
    let notices = Notices::default();
    kinds(path, &notices).into_iter().any(|(what, options)| rows(what, &options, certain, report))
}

/// What the rows are, by the file's header alone, if it has one.
pub(super) fn by_header(path: &Path, format: &str) -> Option<&'static str> {
    let opens = |options: &FilesOptions| contacts::open(options, &Arc::new(Rejected::beside(""))).is_ok();
    kinds(path, &Notices::default())
        .into_iter()
        .find(|(_, options)| format != "jsonl" && opens(options))
        .map(|(what, _)| what)
}

fn kinds(path: &Path, notices: &Notices) -> [(&'static str, FilesOptions); 2] {
    let here = || vec![path.to_path_buf()];
    let options = || FilesOptions { notices: notices.clone(), ..FilesOptions::default() };
    [
        ("contacts", FilesOptions { contacts: here(), ..options() }),
        ("tests", FilesOptions { tests: here(), ..options() }),
    ]
}

fn rows(what: &str, options: &FilesOptions, certain: bool, report: &mut Report) -> bool {
    let rejected = Arc::new(Rejected::beside(&report.path));
    let Ok(mut feeds) = contacts::open(options, &rejected) else { return false };
    let mut people = People::default();
    let (mut count, mut positive, mut taken_back, mut alone) = (0u64, 0u64, 0u64, 0u64);
    let mut span: Option<(i64, i64)> = None;
    let mut problems = Vec::new();
    for feed in &mut feeds {
        feed.close();
        loop {
            match feed.next(&mut people) {
                Ok(Next::Item((fact, diff))) => {
                    count += 1;
                    taken_back += u64::from(diff < 0);
                    positive += u64::from(matches!(&fact, Fact::Test(test) if test.positive));
                    match fact.t() {
                        Some(t) => {
                            let (first, last) = span.unwrap_or((t, t));
                            span = Some((first.min(t), last.max(t)));
                        }
                        None => alone += 1,
                    }
                }
                Ok(Next::Idle) => {}
                Ok(Next::End) => break,
                Err(error) => {
                    problems.push(error.to_string());
                    break;
                }
            }
        }
    }
    if count == 0 && !certain {
        return false;
    }
    report.what = format!("table of {what}, an input of `risk`");
    (report.rows, report.people) = (Some(count), Some(people.names().len() as u64));
    report.span = span.map(|(first, last)| [first, last].map(|t| t as f64 * 1e-9));
    if what == "tests" {
        report.positive = Some(positive);
    }
    if taken_back > 0 {
        problems.push(format!("{taken_back} rows take another back (diff -1)"));
    }
    if alone > 0 {
        problems
            .push(format!("{alone} self_contact: rows of a person with itself make it known and are else left out"));
    }
    if rejected.count() > 0 {
        problems.extend(left_out(&report.path, count > 0, &[("malformed", rejected.dropped())].into()));
    }
    report.problems.extend(options.notices.warnings());
    report.problems.append(&mut problems);
    true
}

/// A kind of table that the program writes: its columns, their types, and what it is.
struct Output {
    kind: &'static Kind,
    types: &'static [&'static str],
    /// A column of lists, which is not looked into.
    list: Option<&'static str>,
    what: &'static str,
}

const fn kind(columns: &'static [Column]) -> Kind {
    Kind { what: "output", shares: false, may_be_empty: true, needs: "", columns, instead: None, bare: None }
}

static LABELS: Kind = kind(&[
    Column::must("frame"),
    Column::must("point"),
    Column::may("x", &[]),
    Column::may("y", &[]),
    Column::may("z", &[]),
    Column::may("path", &[]),
    Column::may("time", &[]),
    Column::must("class"),
    Column::must("class_name"),
    Column::must("confidence"),
    Column::must("instance"),
]);

static EDGES: Kind = kind(&[
    Column::must("frame"),
    Column::must("src"),
    Column::must("rank"),
    Column::must("dst"),
    Column::must("d2"),
    Column::may("diff", &[]),
]);

static RISKS: Kind = kind(&[
    Column::must("as_of"),
    Column::must("person"),
    Column::must("score"),
    Column::must("model"),
    Column::may("diff", &[]),
]);

static OUTPUTS: [Output; 3] = [
    Output {
        kind: &LABELS,
        types: &[
            "int64", "uint32", "float32", "float32", "float32", "text", "int64", "uint8", "text", "float32", "uint32",
        ],
        list: None,
        what: "labels written by `run segment`",
    },
    Output {
        kind: &EDGES,
        types: &["int64", "uint64", "uint8", "uint64", "float32", "int8"],
        list: None,
        what: "neighbours written by `run knn`",
    },
    Output {
        kind: &RISKS,
        types: &["int64", "text", "float32", "text", "int8"],
        list: Some("because"),
        what: "scores written by `run risk`",
    },
];

/// What a table that the program wrote holds: false if it is none, or one that can be read as frames again.
pub(super) fn output(path: &Path, report: &mut Report) -> bool {
    let (tables, notices) = (TableOptions::default(), Notices::default());
    for output in &OUTPUTS {
        let opening = Opening { kind: output.kind, options: &tables, follow: false, notices: &notices };
        let Ok(mut table) = tables::open(path, None, opening) else { continue };
        let columns = || output.kind.columns.iter().enumerate();
        let (mut rows, mut frames, mut last) = (0, 0, None);
        let end = loop {
            match table.next() {
                Ok(Next::Item(block)) if columns().all(|(slot, column)| !column.must || table.has(slot)) => {
                    rows += block.rows as u64;
                    let Some(column) = block.columns.first().and_then(Option::as_ref) else { continue };
                    let cells = Cells::of(column);
                    for row in 0..block.rows {
                        if let Cell::Good(frame) = cells.whole(row, false) {
                            frames += u64::from(last != Some(frame));
                            last = Some(frame);
                        }
                    }
                }
                Ok(Next::Idle) => {}
                Ok(Next::Item(_) | Next::End) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if !columns().all(|(slot, column)| !column.must || table.has(slot)) {
            continue;
        }
        report.what = output.what.into();
        if columns().any(|(slot, column)| column.name == "x" && table.has(slot)) {
            return false;
        }
        report.readable = false;
        (report.rows, report.frames) = (Some(rows), Some(frames));
        let there = columns().zip(output.types).filter(|((slot, _), _)| table.has(*slot));
        report.fields = there.map(|((_, column), kind)| Field::new(column.name, *kind)).collect();
        report.fields.extend(output.list.map(|name| Field::new(name, "list")));
        report.problems.extend(end.err().map(|error| error.to_string()));
        return true;
    }
    false
}

/// What a published folder of segments holds.
pub(super) fn published(folder: &Path, report: &mut Report) {
    report.format = "segments".into();
    report.what = "segments published by a run".into();
    match Manifest::load(folder) {
        Ok(manifest) => {
            let ended = if manifest.complete { "the run has ended" } else { "the run has not ended, or was stopped" };
            let count = manifest.segments.len();
            report.what = format!("{count} segments published by a run; {ended}");
            report.rows = Some(manifest.segments.iter().map(|segment| segment.rows).sum());
            report.fields =
                manifest.schema.iter().map(|column| Field::new(&column.name, plain(&column.kind))).collect();
        }
        Err(error) => report.problems.push(error.to_string()),
    }
}

/// A column's type in usual words.
fn plain(kind: &str) -> String {
    match kind {
        "Utf8" => "text".into(),
        kind if kind.starts_with("Dictionary") => "text".into(),
        kind if kind.starts_with("List") => "list".into(),
        kind => kind.to_lowercase(),
    }
}
