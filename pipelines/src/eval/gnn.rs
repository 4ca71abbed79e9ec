//! `eval gnn`: the class of each node's largest output against its label: accuracy, F1, confusion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::json;
use thalweg::graph::Answers;
use thalweg::{BoxError, Epoch, Pipeline, Sink, Source};
use thalweg_connectors::graph::labels;
use thalweg_connectors::rows::Rejected;

use crate::failure::Failure;
use crate::finish::{self, Careful, note_rejected, rows_used};
use crate::gnn::{Asked, LABEL, UNDIRECTED, WINDOW};
use crate::keys::Listed;
use crate::pipeline::{Context, Doing, Measured};
use crate::settings::Settings;
use crate::written::Counted;
use crate::{input, options};

/// The pipeline's `eval`.
pub const EVAL: Doing<Measured> = Doing {
    options: &[options::EVAL, &["edges", "nodes", "truth", "as_of", "columns"]],
    keys: KEYS,
    example: "thalweg eval gnn --edges edges.csv --nodes nodes.csv --model net.safetensors --truth labels.csv",
    go: gnn,
};

const KEYS: Listed = &[&UNDIRECTED, &WINDOW, &LABEL, &input::TIME_UNIT];

/// How a class was found.
#[derive(Debug, Serialize)]
struct Class {
    class: usize,
    /// Nodes that are of it.
    nodes: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: f64,
}

/// How good the classes are.
#[derive(Debug, Serialize)]
struct Scores {
    model: String,
    /// The as-of time (s).
    as_of: i64,
    /// Nodes with a label.
    nodes: u64,
    accuracy: f64,
    /// Mean of the classes' F1, over all classes that a node is of or was taken for.
    macro_f1: f64,
    classes: Vec<Class>,
    /// `confusion[i][j]`: nodes of `classes[i]` that were taken for `classes[j]`.
    confusion: Vec<Vec<u64>>,
}

/// Keeps the last table.
struct Last(Arc<Mutex<Option<Answers>>>);

impl Sink<Answers> for Last {
    fn name(&self) -> String {
        "evaluation".into()
    }
    fn write(&mut self, _: Epoch, item: Answers) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(item);
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Runs a network over the rows and compares the last table with the labels of `--truth`, or of a column of the nodes.
///
/// # Errors
/// Those of the run; no labels.
pub fn gnn(settings: &Settings, context: &Context) -> Result<Measured, Failure> {
    let mut settings = settings.clone();
    if settings.truth.is_none() {
        // A column of this name is no feature here.
        settings.set.entry("label".into()).or_insert("label".into());
    }
    let asked = Asked::of(&settings, KEYS)?;
    let column = asked.label.clone().unwrap_or("label".into());
    let files = settings.truth.iter().chain(settings.nodes.iter().filter(|_| settings.truth.is_none()));
    let mut truth = BTreeMap::new();
    let outputs = asked.network.output().channels;
    for path in files {
        let labels = labels(path, &column)?;
        if let Some((node, class)) = labels.iter().find(|(_, class)| *class >= outputs) {
            let found = format!("{}: found class {class} of node {node}", path.display());
            let expected = format!("a class from 0 to {}: the network gives {outputs} numbers a node", outputs - 1);
            return Err(Failure::run(format!("{found}, expected {expected}")));
        }
        truth.extend(labels);
    }
    if truth.is_empty() {
        let expected = "--truth FILE with columns node, label, or a column label of the nodes (--set label=NAME)";
        return Err(Failure::run(format!("found no labels, expected {expected}")));
    }
    let rejected = Arc::new(Rejected::beside(""));
    let source = asked.open(context, &rejected)?;
    let (called, options) = (source.name(), asked.options(&settings, context, &source));
    let last = Arc::new(Mutex::new(None));
    let pipeline = Pipeline::from_source(Counted::new(source, &context.written)).workers(settings.workers);
    let used = rows_used(&pipeline.stats(), context, &rejected, settings.as_of);
    let sink = Careful::new(Last(Arc::clone(&last)), called, &context.written, used);
    let mut report = pipeline.run(|rows| rows.infer_rows(&asked.network, options), sink)?;
    note_rejected(&mut report, &rejected);
    finish::complete(&mut report, &context.notices);
    let last = last.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    let answers = last.ok_or_else(|| Failure::run("found no rows, expected a graph to ask about"))?;
    let known: BTreeSet<&str> = answers.rows.iter().map(|row| name(&answers, row.node)).collect();
    let unknown: Vec<&String> = truth.keys().filter(|node| !known.contains(node.as_str())).collect();
    if let Some(first) = unknown.first() {
        let count = unknown.len();
        report
            .warnings
            .push(format!("{count} nodes of the labels are not in the graph and are not scored, first {first}"));
    }
    let scores = score(asked.network.name(), &answers, &truth)
        .ok_or_else(|| Failure::run("found no node with a label among those of the graph, expected one"))?;
    Ok(Measured { json: json!(scores), text: scores.to_string(), report })
}

/// The place of the largest entry; of equal ones the first.
fn largest(y: &[f32]) -> usize {
    (1..y.len()).fold(0, |best, i| if y[i] > y[best] { i } else { best })
}

/// The id of a node.
fn name(answers: &Answers, node: u32) -> &str {
    answers.names.get(node as usize).map_or("", |name| name)
}

fn score(model: &str, answers: &Answers, truth: &BTreeMap<String, usize>) -> Option<Scores> {
    let of_row = |row: &thalweg::graph::Answer| Some((*truth.get(name(answers, row.node))?, largest(&row.y)));
    let pairs: Vec<(usize, usize)> = answers.rows.iter().filter_map(of_row).collect();
    let present: BTreeSet<usize> = pairs.iter().flat_map(|(truth, found)| [*truth, *found]).collect();
    if pairs.is_empty() {
        return None;
    }
    let count = |of: &dyn Fn(&(usize, usize)) -> bool| pairs.iter().filter(|pair| of(pair)).count() as u64;
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let classes: Vec<Class> = present
        .iter()
        .map(|&class| {
            let right = count(&|pair| *pair == (class, class));
            let (nodes, taken) = (count(&|pair| pair.0 == class), count(&|pair| pair.1 == class));
            let f1 = 2.0 * right as f64 / (nodes + taken) as f64;
            Class { class, nodes, precision: share(right, taken), recall: share(right, nodes), f1 }
        })
        .collect();
    let cell = |i: usize, j: usize| count(&|pair| *pair == (i, j));
    let confusion = present.iter().map(|&i| present.iter().map(|&j| cell(i, j)).collect()).collect();
    Some(Scores {
        model: model.into(),
        as_of: answers.as_of.div_euclid(1_000_000_000),
        nodes: pairs.len() as u64,
        accuracy: count(&|(truth, found)| truth == found) as f64 / pairs.len() as f64,
        macro_f1: classes.iter().map(|class| class.f1).sum::<f64>() / classes.len() as f64,
        classes,
        confusion,
    })
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |v: Option<f64>| v.map_or_else(|| "     -".into(), |v| format!("{v:6.3}"));
        writeln!(f, "model {}, as of {} s, {} nodes with a label", self.model, self.as_of, self.nodes)?;
        writeln!(f, "accuracy {:.3}, macro F1 {:.3}", self.accuracy, self.macro_f1)?;
        writeln!(
            f,
            "\nclass      nodes precision recall     F1   taken for {:?}",
            self.classes.iter().map(|c| c.class).collect::<Vec<_>>()
        )?;
        for (class, row) in self.classes.iter().zip(&self.confusion) {
            let row: Vec<_> = row.iter().map(u64::to_string).collect();
            let (precision, recall) = (part(class.precision), part(class.recall));
            writeln!(
                f,
                "{:5} {:>10}    {precision} {recall} {:6.3}   {}",
                class.class,
                class.nodes,
                class.f1,
                row.join(" ")
            )?;
        }
        Ok(())
    }
}
