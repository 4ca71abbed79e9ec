//! `knn`: frames in, the exact k nearest neighbours of every point, or of every voxel of a map, out.

use std::sync::Arc;

use thalweg::{Flow, Frame, Pipeline, Report};
use thalweg_connectors::out::batches::{knn_batches, knn_changes_schema, knn_schema, map_batches, map_changes_batches};
use thalweg_connectors::out::segments::Roll;

use crate::input::{self, Drive};
use crate::nodes::Nodes;
use crate::output;
use crate::pipeline::{Context, Ready};
use crate::settings::Keys;
use crate::{Failure, Settings};

/// Edge of a map's voxels (m) where it is not set.
const VOXEL: f64 = 0.2;

/// Frames in a map's window where it is not set.
const WINDOW: usize = 20;

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "knn",
    what: "exact k nearest neighbours of every point (k=16, 1 to 64), or of a map's voxels (nodes=map)",
    check: |s| Asked::of(s).map(drop),
    run,
};

/// What the settings ask for.
struct Asked {
    k: usize,
    nodes: Nodes,
    /// Of a map: the lists that change instead of all of them.
    changes: bool,
    drive: Drive,
    roll: Roll,
}

impl Asked {
    fn of(settings: &Settings) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set);
        let k = keys.take("k", 16, "1 to 64", |k| (1..=64).contains(k));
        let nodes = Nodes::take(&mut keys);
        let changes = if nodes == Nodes::Sweep {
            keys.refuse(&["emit"], "nodes=map beside it: a sweep's lists are all new");
            false
        } else {
            keys.take("emit", "all".to_string(), "all or changes", |e| e == "all" || e == "changes") == "changes"
        };
        let drive =
            if input::is_street(&settings.input) { Drive::take(&mut keys) } else { Drive { frames: 0, seed: 0 } };
        let roll = output::roll(&mut keys);
        keys.done()?;
        if settings.output_format.is_some() {
            let expected = "expected table: knn writes edges, not labels";
            return Err(Failure::config(format!("output_format: found label or las, {expected}")));
        }
        if settings.model.is_some() {
            return Err(Failure::config("model: found a model, expected none: knn has no network"));
        }
        Ok(Asked { k, nodes, changes, drive, roll })
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let Asked { k, nodes, changes, drive, roll } = Asked::of(settings)?;
    let (source, warnings) = input::open(settings, drive, &context.drain)?;
    warnings.iter().for_each(|warning| (context.warn)(warning));
    let pipeline = Pipeline::from_source(source).workers(settings.workers).drain_when(Arc::clone(&context.drain));
    (context.watch)(pipeline.stats());
    Ok(match nodes {
        Nodes::Sweep => {
            let sink = output::table(settings, knn_schema(), knn_batches, roll)?;
            pipeline.run(|points| points.knn_graph(k), sink)?
        }
        Nodes::Map { voxel, window } => {
            let (voxel, window) = (voxel.unwrap_or(VOXEL), window.unwrap_or(WINDOW));
            let graph = |points: Flow<Frame, Frame>| points.map_window(voxel, window).knn_graph(k);
            if changes {
                let sink = output::table(settings, knn_changes_schema(), map_changes_batches, roll)?;
                pipeline.run(|points| graph(points).changes(), sink)?
            } else {
                let sink = output::table(settings, knn_schema(), map_batches, roll)?;
                pipeline.run(|points| graph(points).lists(), sink)?
            }
        }
    })
}
