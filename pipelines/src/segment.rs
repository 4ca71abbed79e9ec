//! `segment`: frames in, a class, a confidence and an object number for every point out.

use std::path::Path;
use std::sync::Arc;

use thalweg::{BoxError, Flow, Frame, Model, Pipeline, Report, Segmentation};
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::points::format;

use crate::input::{self, Drive};
use crate::nodes::Nodes;
use crate::pipeline::{Context, Ready};
use crate::settings::Keys;
use crate::{Failure, Settings, models, output};

/// Frames in a map's window where it is not set: models trained on sweeps do best on few.
const WINDOW: usize = 3;

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "segment",
    what: "a class, a confidence and an object for every LiDAR point",
    check: |settings| {
        keys(settings)?;
        settings.model.as_deref().map_or(Ok(()), |name| models::open(name).map(drop))
    },
    run,
};

fn keys(settings: &Settings) -> Result<(Nodes, Drive, Roll), Failure> {
    let mut keys = Keys::of(&settings.set);
    let nodes = Nodes::take(&mut keys);
    let drive = if input::is_street(&settings.input) { Drive::take(&mut keys) } else { Drive { frames: 0, seed: 0 } };
    let roll = output::roll(&mut keys);
    keys.done()?;
    Ok((nodes, drive, roll))
}

/// The model that the settings name, else the one for the input's kind.
pub(crate) fn model(settings: &Settings) -> Result<Model, Failure> {
    let default = if input::is_las(settings) { "airborne" } else { "driving" };
    models::open(settings.model.as_deref().unwrap_or(default))
}

/// LAS intensities are counts on each maker's own scale, not the 0–1 that a network was trained with: it does without.
fn trusted(mut frame: Frame) -> Result<Frame, BoxError> {
    let las = |path: &Arc<Path>| format::by_extension(path).is_some_and(|format| format.name == "las");
    if frame.path.as_ref().is_some_and(las) {
        frame.intensity = None;
    }
    Ok(frame)
}

/// The pipeline itself: over each sweep, or over a map whose voxels are the network's own unless another edge is set.
pub(crate) fn plan(points: Flow<Frame, Frame>, nodes: Nodes, model: &Model) -> Flow<Frame, Segmentation> {
    let config = model.config();
    let points = points.map("intensity", trusted);
    match nodes {
        Nodes::Sweep => points.voxel_downsample(config.s0).knn_graph(config.k).infer(model),
        Nodes::Map { voxel, window } => {
            let (voxel, window) = (voxel.unwrap_or(config.s0), window.unwrap_or(WINDOW));
            points.map_window(voxel, window).knn_graph(config.k).infer(model)
        }
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let (nodes, drive, roll) = keys(settings)?;
    let model = model(settings)?;
    let (source, warnings) = input::open(settings, drive, &context.drain)?;
    warnings.iter().for_each(|warning| (context.warn)(warning));
    let sink = output::labels(settings, roll)?;
    let pipeline = Pipeline::from_source(source).workers(settings.workers).drain_when(Arc::clone(&context.drain));
    (context.watch)(pipeline.stats());
    Ok(pipeline.run(|points| plan(points, nodes, &model), sink)?)
}

/// Opens what `eval` needs: the source, the nodes, and the model.
pub(crate) fn open(settings: &Settings, context: &Context) -> Result<(input::Frames, Nodes, Model), Failure> {
    let (nodes, drive, _) = keys(settings)?;
    let model = model(settings)?;
    let (source, warnings) = input::open(settings, drive, &context.drain)?;
    warnings.iter().for_each(|warning| (context.warn)(warning));
    Ok((source, nodes, model))
}
