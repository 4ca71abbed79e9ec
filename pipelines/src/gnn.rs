//! `gnn`: streams of edges and nodes in, the rows of any exported network out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thalweg::asof::{AsOf, Stop};
use thalweg::graph::InferenceOptions;
use thalweg::layers::{Of, Weights};
use thalweg::networks::{GraphNetwork, Network};
use thalweg::{Pipeline, Report, Source};
use thalweg_connectors::contacts::{TableFormat, TableOptions};
use thalweg_connectors::graph::{self, FilesOptions, Merge, Wanted};
use thalweg_connectors::out::answers::{
    answer_changes_batches, answer_changes_schema, answers_batches, answers_schema,
};
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::rows::{Pace, Rejected, WithRejected};

use crate::durable::{self, Durable};
use crate::failure::Failure;
use crate::finish::{Careful, note_rejected, rows_used};
use crate::keys::{Key, Keys, Listed};
use crate::pipeline::{Context, Doing, Ready};
use crate::settings::Settings;
use crate::written::Counted;
use crate::{input, models, options, output, rows};

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "gnn",
    what: "the rows of any network exported by training/export.py, over streams of edges and nodes",
    models: Vec::new,
    check: |settings| Asked::of(settings, KEYS).map(drop),
    run: Doing {
        options: &[options::RUN, options::MODEL, options::STREAM, &["edges", "nodes", "as_of", "every"]],
        keys: KEYS,
        example: "thalweg run gnn --edges edges.csv --nodes nodes.csv --model net.safetensors --output y.parquet",
        go: run,
    },
    eval: None,
};

const KEYS: Listed = &[
    &UNDIRECTED,
    &WINDOW,
    &rows::LATENESS,
    &rows::NODES_LATENESS,
    &rows::AHEAD,
    &EMIT,
    &rows::HASH_IDS,
    &LABEL,
    &input::TIME_UNIT,
    &output::FRAMES,
    &output::SECONDS,
    &durable::SECONDS,
];

pub(crate) const UNDIRECTED: Key =
    Key { name: "undirected", default: "false", expected: "true or false", what: "each edge has its reverse" };
pub(crate) const WINDOW: Key = Key {
    name: "window",
    default: "none",
    expected: "seconds, more than 0",
    what: "edges older than the as-of time less so many seconds are out",
};
const EMIT: Key = Key {
    name: "emit",
    default: "all",
    expected: "all or changes",
    what: "a table for each as-of time, or the differences between as-of times, with a column diff",
};
pub(crate) const LABEL: Key = Key {
    name: "label",
    default: "none",
    expected: "the name of a column",
    what: "a column of the nodes that holds their true classes, and is no feature",
};

/// What the settings ask for.
pub(crate) struct Asked {
    pub network: Arc<dyn GraphNetwork>,
    pub as_of: AsOf,
    pub window: Option<i64>,
    lateness: Option<i64>,
    pub undirected: bool,
    pub changes: bool,
    pub label: Option<String>,
    pub files: FilesOptions,
    pub pace: Pace,
    key: Option<PathBuf>,
    roll: Roll,
    every: Duration,
}

impl Asked {
    /// What `settings` ask for, with the model that they name.
    pub(crate) fn of(settings: &Settings, listed: Listed) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set, listed);
        let listed = |key: &Key| listed.iter().any(|listed| listed.name == key.name);
        let undirected: bool = keys.take(&UNDIRECTED, |_| true);
        let window = rows::window(&mut keys, &WINDOW);
        let label = keys.take_or(&LABEL, String::new(), |label: &String| !label.trim().is_empty());
        let (mut changes, mut key, mut roll) = (false, None, Roll::default());
        let mut every = Duration::default();
        let (mut lateness, mut times) = (None, Pace::default());
        if listed(&EMIT) {
            changes = keys.take(&EMIT, |emit: &String| emit == "all" || emit == "changes") == "changes";
            key = rows::hash_ids(&mut keys);
            roll = output::roll(&mut keys, settings);
            every = durable::seconds(&mut keys, settings);
            (lateness, times) = rows::times(&mut keys, settings, window, (&rows::NODES_LATENESS, "nodes"));
        }
        let time_unit = input::time_unit(&mut keys);
        keys.done()?;
        let as_of = rows::as_of(settings);
        let network = network(settings)?;
        let inputs = network.inputs();
        let label = Some(label).filter(|label| !label.is_empty());
        let files = FilesOptions {
            edges: settings.edges.clone(),
            nodes: settings.nodes.clone(),
            format: settings.format.as_deref().map(TableFormat::by_name).transpose()?,
            tables: TableOptions { columns: graph::column_names(settings.columns.clone())?, time_unit },
            attributes: Wanted::new(Some(inputs.edge_attr.unwrap_or(0)), inputs.edge_columns.clone()),
            features: Wanted::new(Some(inputs.x), inputs.columns.clone()),
            label: label.clone(),
            follow: settings.follow,
            on_error: input::on_error(settings),
            ..FilesOptions::default()
        };
        let pace = rows::pace(settings, (changes && settings.follow).then_some(as_of), times);
        Ok(Asked { network, as_of, window, lateness, undirected, changes, label, files, pace, key, roll, every })
    }

    /// The rows.
    pub(crate) fn open(&self, context: &Context, rejected: &Arc<Rejected>) -> Result<Merge, Failure> {
        if self.files.edges.is_empty() && self.files.nodes.is_empty() {
            let expected = "expected a file of edges, of --nodes, or both";
            return Err(Failure::Usage(format!("--edges: found none, {expected}")));
        }
        let key = rows::id_key(self.key.as_deref())?;
        let files = FilesOptions { notices: context.notices.clone(), ..self.files.clone() };
        Ok(graph::source(&files, key, self.pace, &context.drain, rejected)?)
    }

    /// How the network is asked.
    pub(crate) fn options(&self, settings: &Settings, context: &Context, source: &Merge) -> InferenceOptions {
        InferenceOptions {
            as_of: self.as_of,
            window: self.window,
            lateness: self.lateness,
            changes: self.changes,
            follow: self.files.follow,
            undirected: self.undirected,
            threads: settings.workers,
            stop: Stop::when(Arc::clone(&context.drain)).with_grace(rows::GRACE),
            names: source.names(),
        }
    }
}

/// The network that the settings name.
fn network(settings: &Settings) -> Result<Arc<dyn GraphNetwork>, Failure> {
    let expected = "a file that training/export.py wrote, ending in .safetensors";
    let Some(name) = settings.model.as_deref() else {
        return Err(Failure::config(format!("model: found none, expected {expected}")));
    };
    if !name.ends_with(".safetensors") {
        return Err(Failure::config(format!("model: found {name}, expected {expected}")));
    }
    let bytes = models::read(Path::new(name))?;
    // A file that is not whole cannot be read. What stands in one is a setting like others.
    Weights::read(name, &bytes)?;
    let network = Network::read(name, &bytes).map_err(Failure::config)?;
    let output = network.output();
    if output.of != Of::Nodes {
        let found = format!("model {name}: found an output of shape {output}");
        return Err(Failure::config(format!(
            "{found}, expected a row for each node: a graph's own rows have no id here"
        )));
    }
    Ok(Arc::new(network))
}

/// Refuses a column of labels that no table of nodes has, where their headers say so.
fn label_is_there(files: &FilesOptions) -> Result<(), Failure> {
    let Some(label) = &files.label else { return Ok(()) };
    let header = |path: &PathBuf| TableFormat::has_header(path, files.format);
    let known = !files.follow && !files.nodes.is_empty() && files.nodes.iter().all(header);
    if known && files.features.names.is_none() && !files.tables.columns.left_out(label) {
        let expected = "expected the name of a column of the nodes";
        return Err(Failure::config(format!("--set label: found {label}, {expected}")));
    }
    Ok(())
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    output::destination(settings)?;
    let asked = Asked::of(settings, KEYS)?;
    let rejected = Arc::new(Rejected::beside(settings.output.as_deref().unwrap_or_default()));
    let source = if context.follows() {
        graph::source(&FilesOptions::default(), None, asked.pace, &context.drain, &rejected)?
    } else {
        let source = asked.open(context, &rejected)?;
        label_is_there(&asked.files)?;
        source
    };
    let durable = Durable::open(settings, context, asked.every, "gnn", Some(asked.network.name()))?;
    let (called, options) = (source.name(), asked.options(settings, context, &source));
    if !asked.changes {
        durable.is_final(settings)?;
        if settings.follow && asked.window.is_none() && !context.follows() {
            let text = rows::at_the_end(settings);
            context.notices.warn(Path::new(output::destination(settings)?), text);
        }
    }
    let (source, done) = (durable.rows(source, settings.follow && !asked.changes)?, durable.done());
    let sink = if asked.changes {
        durable.table(settings, answer_changes_schema(), answer_changes_batches, asked.roll)?
    } else {
        durable.table(settings, answers_schema(), answers_batches, asked.roll)?
    };
    if done {
        return Ok(Report::default());
    }
    let source = Counted::new(source, &context.written);
    // The source itself stops when asked to: what it has read is answered before the run ends.
    let pipeline = Pipeline::from_source(source).workers(settings.workers).cluster(context.cluster.clone());
    let stats = pipeline.stats();
    (context.watch)(Arc::clone(&stats));
    let used = rows_used(&stats, context, &rejected, settings.as_of.filter(|_| !settings.follow));
    let sink = WithRejected::new(Careful::new(sink, called, &context.written, used), Arc::clone(&rejected));
    let mut report = pipeline.run(|rows| rows.infer_rows(&asked.network, options), sink)?;
    note_rejected(&mut report, &rejected);
    // A frame of this pipeline is an as-of time.
    report.frames = report.graphs;
    Ok(report)
}
