//! Tables that are no frames: contacts and tests for `risk`, edges and nodes for `gnn`, and the program's own outputs.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use thalweg::Next;
use thalweg::asof::Stamped;
use thalweg::contacts::Fact;
use thalweg::graph::GraphRow;

use super::frames::left_out;
use super::report::{Field, Report};
use crate::error::Error;
use crate::notices::Notices;
use crate::out::segments::Manifest;
use crate::rows::{Feed, Ids, Rejected, passed_over_in};
use crate::tables::names::{Column, Kind};
use crate::tables::options::{Opening, TableOptions};
use crate::tables::values::{Cell, Cells};
use crate::{contacts, graph, tables};

/// A kind of rows that a pipeline reads: what its table is, and how such a table is opened and surveyed.
struct Input {
    what: &'static str,
    pipeline: &'static str,
    kind: &'static Kind,
    survey: fn(&Path, &Notices, &Arc<Rejected>) -> Option<Survey>,
}

static INPUTS: [Input; 4] = [
    Input {
        what: "contacts",
        pipeline: "risk",
        kind: &contacts::CONTACTS,
        survey: |path, notices, rejected| survey(contacts(path, notices, true), rejected),
    },
    Input {
        what: "tests",
        pipeline: "risk",
        kind: &contacts::TESTS,
        survey: |path, notices, rejected| survey(contacts(path, notices, false), rejected),
    },
    Input {
        what: "edges",
        pipeline: "gnn",
        kind: &graph::EDGES,
        survey: |path, notices, rejected| survey(graph(path, notices, true), rejected),
    },
    Input {
        what: "nodes",
        pipeline: "gnn",
        kind: &graph::NODES,
        survey: |path, notices, rejected| survey(graph(path, notices, false), rejected),
    },
];

type Feeds<F> = Vec<Box<dyn Feed<F>>>;

/// Opens a table, with somewhere to note malformed rows.
type Open<F> = Box<dyn FnOnce(&Arc<Rejected>) -> Result<Feeds<F>, Error>>;

fn contacts(path: &Path, notices: &Notices, contacts: bool) -> Open<Fact> {
    let (here, none) = (vec![path.to_path_buf()], Vec::new());
    let (contacts, tests) = if contacts { (here, none) } else { (none, here) };
    let options = contacts::FilesOptions { contacts, tests, notices: notices.clone(), ..Default::default() };
    Box::new(move |rejected| contacts::open(&options, rejected))
}

fn graph(path: &Path, notices: &Notices, edges: bool) -> Open<GraphRow> {
    let (here, none) = (vec![path.to_path_buf()], Vec::new());
    let (edges, nodes) = if edges { (here, none) } else { (none, here) };
    let options = graph::FilesOptions { edges, nodes, notices: notices.clone(), ..Default::default() };
    Box::new(move |rejected| graph::open(&options, rejected))
}

/// What the rows of a table add up to.
#[derive(Default)]
struct Survey {
    rows: u64,
    names: u64,
    positive: u64,
    taken_back: u64,
    alone: u64,
    /// Values of a row, where rows of a graph have any.
    values: Option<usize>,
    span: Option<(i64, i64)>,
    problem: Option<String>,
}

/// What is counted of a row.
trait Surveyed: Stamped {
    fn add_to(&self, survey: &mut Survey);
}

impl Surveyed for Fact {
    fn add_to(&self, survey: &mut Survey) {
        survey.positive += u64::from(matches!(self, Fact::Test(test) if test.positive));
        survey.alone += u64::from(matches!(self, Fact::Contact(row) if row.a == row.b));
    }
}

impl Surveyed for GraphRow {
    fn add_to(&self, survey: &mut Survey) {
        let values = match self {
            GraphRow::Edge(row) => row.attributes.len(),
            GraphRow::Node(row) => row.features.len(),
        };
        survey.values = survey.values.max(Some(values));
    }
}

/// Reads all rows of a table; `None` if it cannot be opened as one of the kind.
fn survey<F: Surveyed>(open: Open<F>, rejected: &Arc<Rejected>) -> Option<Survey> {
    let mut feeds = open(rejected).ok()?;
    let (mut ids, mut survey) = (Ids::default(), Survey::default());
    for feed in &mut feeds {
        feed.close();
        loop {
            match feed.next(&mut ids) {
                Ok(Next::Item((row, diff))) => {
                    survey.rows += 1;
                    survey.taken_back += u64::from(diff < 0);
                    row.add_to(&mut survey);
                    if let Some(t) = row.t() {
                        let (first, last) = survey.span.unwrap_or((t, t));
                        survey.span = Some((first.min(t), last.max(t)));
                    }
                }
                Ok(Next::Idle) => {}
                Ok(Next::End) => break,
                Err(error) => {
                    survey.problem = Some(error.to_string());
                    break;
                }
            }
        }
    }
    survey.names = ids.names().len() as u64;
    Some(survey)
}

/// What the rows of a table are (`contacts`) and which pipeline reads them, if one does; `None` leaves the report as it was. `certain` if
/// the format has a header, so that a table with the columns is one of that kind whatever its rows are.
pub(super) fn inspect(path: &Path, certain: bool, report: &mut Report) -> Option<(&'static str, &'static str)> {
    INPUTS.iter().find_map(|input| {
        let (notices, rejected) = (Notices::default(), Arc::new(Rejected::beside(&report.path)));
        let survey = (input.survey)(path, &notices, &rejected)?;
        // Lines of JSON that have the columns, and none of which can be used, are rows of that kind too.
        let all_refused = survey.problem.is_none() && rejected.count() > 0;
        if survey.rows == 0 && !certain && !all_refused {
            return None;
        }
        tell(input, &survey, &notices, &rejected, report);
        Some((input.what, input.pipeline))
    })
}

/// Says which tables of a kind a run passes over in a folder.
pub(super) fn passed_over(folder: &Path, what: &str, report: &mut Report) {
    let kind = INPUTS.iter().find(|input| input.what == what).map(|input| input.kind);
    if let Some(text) = kind.and_then(|kind| passed_over_in(folder, kind)) {
        report.problems.push(format!("{}: {text}", folder.display()));
    }
}

/// Says why rows cannot be read from a text that has not even a header; as points it is a frame without any.
pub(super) fn without_header(path: &Path, report: &mut Report) {
    let (notices, rejected) = (Notices::default(), Arc::new(Rejected::beside("")));
    let why = [contacts(path, &notices, true)(&rejected).err(), graph(path, &notices, true)(&rejected).err()];
    let none = |error: &Error| matches!(error, Error::Malformed { found, .. } if found == "no header");
    report.problems.extend(why.into_iter().flatten().filter(none).map(|error| error.to_string()));
}

/// The columns of a table of points, as its reader knows them.
static POINTS: Kind = Kind {
    instead: Some((3, 3)),
    bare: Some(|cells| cells.len() >= 3 && cells.iter().take(3).all(|cell| cell.trim().parse::<f64>().is_ok())),
    ..kind(&[
        Column::must("x"),
        Column::must("y"),
        Column::must("z"),
        Column::may("xyz", &[]),
        Column::may("frame", &[]),
        Column::may("doppler", &["velocity", "radial_velocity"]),
        Column::may("intensity", &["remission", "reflectance", "reflectivity"]),
        Column::may("class", &["classification"]),
        Column::may("label", &[]),
        Column::may("instance", &[]),
        Column::may("time", &["timestamp"]),
        Column::may("time_ns", &["timestamp_ns"]),
    ])
};

/// The columns of a table of points that are known here, with their types in the file; nothing for a table that does not open as one.
pub(super) fn columns_of_points(path: &Path) -> Vec<Field> {
    let (tables, notices) = (TableOptions::default(), Notices::default());
    let opening = Opening { kind: &POINTS, options: &tables, follow: false, notices: &notices };
    let Ok(mut table) = tables::open(path, None, opening) else { return Vec::new() };
    let Ok(Next::Item(block)) = table.next() else { return Vec::new() };
    let field = |(column, cells): (&Column, &Option<ArrayRef>)| {
        Some(Field::new(column.name, plain(&cells.as_ref()?.data_type().to_string())))
    };
    POINTS.columns.iter().zip(&block.columns).filter_map(field).collect()
}

/// True for a table of who was truly infected, as `eval risk` reads it.
pub(super) fn is_truth(path: &Path) -> bool {
    contacts::truth(path).is_ok()
}

fn tell(input: &Input, survey: &Survey, notices: &Notices, rejected: &Rejected, report: &mut Report) {
    let of_graph = input.pipeline == "gnn";
    report.what = format!("table of {}, an input of `{}`", input.what, input.pipeline);
    if let Some(values) = survey.values.filter(|values| *values > 0) {
        let called = if input.what == "edges" { "attributes" } else { "features" };
        report.what += &format!(", {values} {called} each");
    }
    report.rows = Some(survey.rows);
    *(if of_graph { &mut report.nodes } else { &mut report.people }) = Some(survey.names);
    // Whole seconds apart from the rest: 64 bits of nanoseconds do not fit into an f64.
    let seconds = |t: i64| t.div_euclid(1_000_000_000) as f64 + t.rem_euclid(1_000_000_000) as f64 / 1e9;
    report.span = survey.span.map(|(first, last)| [first, last].map(seconds));
    if input.what == "tests" {
        report.positive = Some(survey.positive);
    }
    let mut problems: Vec<String> = survey.problem.iter().cloned().collect();
    if survey.taken_back > 0 {
        problems.push(format!("{} rows take another back (diff -1)", survey.taken_back));
    }
    if survey.alone > 0 {
        let alone = survey.alone;
        problems
            .push(format!("{alone} self_contact: rows of a person with itself make it known and are else left out"));
    }
    if rejected.count() > 0 {
        problems.extend(left_out(
            &report.path,
            survey.rows > 0,
            &rejected.dropped().into_iter().map(|(reason, dropped)| (reason.into(), dropped)).collect(),
        ));
    }
    report.problems.extend(notices.warnings());
    report.problems.append(&mut problems);
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

static ANSWERS: Kind =
    kind(&[Column::must("as_of"), Column::must("node"), Column::must("y"), Column::may("diff", &[])]);

static OUTPUTS: [Output; 4] = [
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
    Output {
        kind: &ANSWERS,
        types: &["int64", "text", "list", "int8"],
        list: None,
        what: "a network's rows written by `run gnn`",
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
