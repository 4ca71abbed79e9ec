//! `segment`: frames in, a class, a confidence and an object number for every point out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thalweg::points::models::Numbers;
use thalweg::{BoxError, Flow, Frame, Report, Segmentation, SegmentationModel, Sink};
use thalweg_connectors::out::batches::{LabelColumns, segmentation_batches_with, segmentation_schema_with};
use thalweg_connectors::out::label::LabelSink;
use thalweg_connectors::out::las::LasSink;
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::points::label;
use thalweg_connectors::points::registry;

use crate::durable::{self, Durable};
use crate::failure::Failure;
use crate::follower::Nothing;
use crate::input::Reading;
use crate::keys::{Key, Keys, Listed};
use crate::nodes::{NODES, Nodes, voxel, window};
use crate::pipeline::{Context, Doing, Ready};
use crate::settings::{OutputFormat, Settings};
use crate::{finish, input, models, options, output, sims};

/// Models trained on sweeps do best on few frames; voxels are the network's own unless another edge is set.
pub(crate) const VOXEL: Key = voxel("the model's own");
pub(crate) const WINDOW: Key = window("3");

pub(crate) const ABSTAIN: Key = Key {
    name: "abstain",
    default: "0",
    expected: "a probability, 0 to 1",
    what: "class 0 where the confidence is below it",
};

pub(crate) const NUMBERS: Key = Key {
    name: "numbers",
    default: "frame",
    expected: "frame or lasting",
    what: "with nodes=map, object numbers that count within a frame, or last over frames while an object is seen",
};

const COLUMNS: Key = Key {
    name: "columns",
    default: "none",
    expected: "xyz, path and time, divided by commas",
    what: "more columns: xyz (x, y, z), path (the frame's file), time (ns)",
};

const KEYS: Listed = &[
    &NODES,
    &VOXEL,
    &WINDOW,
    &NUMBERS,
    &ABSTAIN,
    &COLUMNS,
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

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "segment",
    what: "a class, a confidence and an object for every LiDAR point",
    models: || models::named(&models::SEGMENT),
    check: |settings| {
        Asked::of(settings, KEYS)?;
        settings.model.as_deref().map_or(Ok(()), |name| models::open(name).map(drop))
    },
    run: Doing {
        options: &[options::RUN, options::MODEL, options::STREAM, &["input", "output_format", "loop"]],
        keys: KEYS,
        example: "thalweg run segment --input scans/ --output labels.parquet",
        go: run,
    },
    eval: None,
};

/// What the settings ask for.
pub(crate) struct Asked {
    pub nodes: Nodes,
    pub numbers: Numbers,
    pub abstain: f32,
    pub reading: Reading,
    roll: Roll,
    columns: LabelColumns,
    every: Duration,
}

impl Asked {
    /// From the keys that a command has.
    pub fn of(settings: &Settings, listed: Listed) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set, listed);
        let nodes = Nodes::take(&mut keys, &VOXEL, &WINDOW);
        let numbers = numbers(&mut keys, settings, nodes);
        let abstain = keys.take(&ABSTAIN, |least: &f32| (0.0..=1.0).contains(least));
        let reading = Reading::take(&mut keys, settings);
        let listed = |key: &Key| listed.iter().any(|listed| listed.name == key.name);
        let (mut roll, mut columns, mut every) = (Roll::default(), LabelColumns::default(), Duration::default());
        if listed(&output::FRAMES) {
            roll = output::roll(&mut keys, settings);
            every = durable::seconds(&mut keys, settings);
        }
        if listed(&COLUMNS) && settings.output_format.is_some() {
            keys.refuse(&[&COLUMNS], "a table as the output beside it: labels and LAS have columns of their own");
        } else if listed(&COLUMNS) {
            columns = keys.take(&COLUMNS, |_| true);
        }
        keys.done()?;
        Ok(Asked { nodes, numbers, abstain, reading, roll, columns, every })
    }
}

/// Takes `numbers`, where what is asked for besides has numbers that can last.
fn numbers(keys: &mut Keys<'_>, settings: &Settings, nodes: Nodes) -> Numbers {
    if nodes == Nodes::Sweep {
        keys.refuse(&[&NUMBERS], "nodes=map beside it: a sweep knows of no other frame");
    } else if settings.output_format == Some(OutputFormat::Las) {
        keys.refuse(&[&NUMBERS], "a table or labels as the output beside it: LAS is given classes alone");
    }
    let numbers: String = keys.take(&NUMBERS, |numbers: &String| numbers == "frame" || numbers == "lasting");
    let most = match settings.output_format {
        Some(OutputFormat::Label) => u16::MAX.into(),
        _ => u32::MAX,
    };
    if numbers == "lasting" { Numbers::Lasting { most } } else { Numbers::Frame }
}

/// The model that the settings name, else the one for the input's kind; the workers share each frame besides, so that a frame that
/// comes alone is soon done.
pub(crate) fn model(settings: &Settings) -> Result<SegmentationModel, Failure> {
    let default = if input::is_las(settings) { "airborne" } else { "driving" };
    Ok(models::open(settings.model.as_deref().unwrap_or(default))?.shared_by(settings.workers))
}

/// LAS intensities are counts on each maker's own scale, not the 0–1 that a network was trained with: it does without.
fn trusted(mut frame: Frame) -> Result<Frame, BoxError> {
    let las = |path: &Arc<Path>| registry::by_extension(path).is_some_and(|format| format.name == "las");
    if frame.path.as_ref().is_some_and(las) {
        frame.intensity = None;
    }
    Ok(frame)
}

/// The pipeline itself: over each sweep, or over a map.
pub(crate) fn plan<'p>(points: Flow<'p, Frame>, nodes: Nodes, model: &SegmentationModel) -> Flow<'p, Segmentation> {
    let config = model.config();
    let points = points.map("intensity", trusted);
    match nodes {
        Nodes::Sweep => points.voxel_downsample(config.s0).knn_graph_shared(config.k, model.threads()).infer(model),
        Nodes::Map { voxel, window } => {
            points.map_window(voxel.unwrap_or(config.s0), window).knn_graph(config.k).infer(model)
        }
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let Asked { nodes, numbers, abstain, reading, roll, columns, every } = Asked::of(settings, KEYS)?;
    let model = model(settings)?.abstaining_below(abstain).numbering(numbers);
    let mut durable = Durable::open(settings, context, every, "segment", Some(model.name()))?;
    let reading = reading.of_nodes(nodes, model.config().s0);
    let source =
        durable.frames(input::open(settings, &reading.behind(durable.before()), context)?, nodes.retained())?;
    let done = durable.done();
    let sink = sink(settings, roll, columns, durable)?;
    if done {
        return Ok(Report::default());
    }
    let las = settings.output_format == Some(OutputFormat::Las) && !context.follows();
    if las && **model.classes() == label::classes() {
        let text = "the classification holds the model's train ids, not ASPRS codes: 2 is a bicycle, 9 a road";
        context.notices.warn(Path::new(output::destination(settings)?), text);
    }
    let mut report = finish::over(settings, context, source, |points| plan(points, nodes, &model), sink)?;
    reading.tell(&mut report);
    Ok(report)
}

/// Labels as a table, as `.label` files, or as LAS/LAZ.
fn sink(
    settings: &Settings,
    roll: Roll,
    columns: LabelColumns,
    durable: Durable,
) -> Result<Box<dyn Sink<Segmentation>>, Failure> {
    let path = || output::destination(settings).map(Path::new);
    Ok(match settings.output_format {
        Some(_) if matches!(durable, Durable::Follows) => Box::new(Nothing::default()),
        Some(OutputFormat::Label) => Box::new(LabelSink::create(path()?)?),
        Some(OutputFormat::Las) => Box::new(LasSink::create(path()?)?),
        None => durable.table(settings, segmentation_schema_with(columns), segmentation_batches_with(columns), roll)?,
    })
}
