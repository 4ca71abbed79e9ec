//! `knn`: frames in, the exact k nearest neighbours of every point, or of every voxel of a map, out.

use std::time::Duration;

use thalweg::{Flow, Frame, Portable, Report};
use thalweg_connectors::out::batches::{knn_batches, knn_changes_schema, knn_schema, map_batches, map_changes_batches};
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::out::writer::{Batches, SchemaRef};

use crate::durable::{self, Durable};
use crate::failure::Failure;
use crate::input::Reading;
use crate::keys::{Key, Keys, Listed};
use crate::nodes::{NODES, Nodes, voxel, window};
use crate::pipeline::{Context, Doing, Ready};
use crate::settings::Settings;
use crate::written::Rows;
use crate::{finish, input, options, output, sims};

/// Edge of a map's voxels (m) where it is not set.
const VOXEL: f64 = 0.2;

const KEYS: Listed = &[
    &K,
    &NODES,
    &voxel("0.2"),
    &window("20"),
    &EMIT,
    &sims::FRAMES,
    &sims::SEED,
    &input::SETTLE,
    &input::LATENESS,
    &input::AHEAD,
    &input::LOAD,
    &input::TIME_UNIT,
    &output::FRAMES,
    &output::SECONDS,
    &durable::SECONDS,
];

const K: Key = Key { name: "k", default: "16", expected: "1 to 64", what: "neighbours of a node, 1 to 64" };

const EMIT: Key = Key {
    name: "emit",
    default: "all",
    expected: "all or changes",
    what: "with nodes=map, all lists after every frame, or the changes alone (old lists with diff -1, new ones with 1)",
};

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "knn",
    what: "the exact k nearest neighbours of every point, or of every voxel of a map",
    models: Vec::new,
    check: |settings| Asked::of(settings).map(drop),
    run: Doing {
        options: &[options::RUN, options::STREAM, &["input", "loop"]],
        keys: KEYS,
        example: "thalweg run knn --input scans/ --set k=8 --output edges.parquet",
        go: run,
    },
    eval: None,
};

/// What the settings ask for.
struct Asked {
    k: usize,
    nodes: Nodes,
    /// Of a map: the lists that change instead of all of them.
    changes: bool,
    reading: Reading,
    roll: Roll,
    every: Duration,
}

impl Asked {
    fn of(settings: &Settings) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set, KEYS);
        let k = keys.take(&K, |k| (1..=64).contains(k));
        let nodes = Nodes::take(&mut keys, &voxel("0.2"), &window("20"));
        let changes = if nodes == Nodes::Sweep {
            keys.refuse(&[&EMIT], "nodes=map beside it: a sweep's lists are all new");
            false
        } else {
            keys.take(&EMIT, |emit: &String| emit == "all" || emit == "changes") == "changes"
        };
        let reading = Reading::take(&mut keys, settings).of_nodes(nodes, VOXEL);
        let roll = output::roll(&mut keys, settings);
        let every = durable::seconds(&mut keys, settings);
        keys.done()?;
        Ok(Asked { k, nodes, changes, reading, roll, every })
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let asked = Asked::of(settings)?;
    let k = asked.k;
    match asked.nodes {
        Nodes::Sweep => go(settings, context, &asked, |points| points.knn_graph(k), knn_schema(), knn_batches),
        Nodes::Map { voxel, window } => {
            let voxel = voxel.unwrap_or(VOXEL);
            if asked.changes {
                let (schema, batches) = (knn_changes_schema(), map_changes_batches);
                go(settings, context, &asked, |p| p.map_window(voxel, window).knn_graph(k).changes(), schema, batches)
            } else {
                let (schema, batches) = (knn_schema(), map_batches);
                go(settings, context, &asked, |p| p.map_window(voxel, window).knn_graph(k).lists(), schema, batches)
            }
        }
    }
}

/// Runs a plan over the input into a table.
fn go<T: Rows + Portable>(
    settings: &Settings,
    context: &Context,
    asked: &Asked,
    plan: impl for<'p> FnOnce(Flow<'p, Frame>) -> Flow<'p, T>,
    schema: SchemaRef,
    batches: Batches<T>,
) -> Result<Report, Failure> {
    let mut durable = Durable::open(settings, context, asked.every, "knn", None)?;
    let source = durable
        .frames(input::open(settings, &asked.reading.behind(durable.before()), context)?, asked.nodes.retained())?;
    let done = durable.done();
    let sink = durable.table(settings, schema, batches, asked.roll)?;
    if done {
        return Ok(Report::default());
    }
    let mut report = finish::over(settings, context, source, plan, sink)?;
    asked.reading.tell(&mut report);
    Ok(report)
}
