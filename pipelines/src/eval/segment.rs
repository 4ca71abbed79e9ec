//! `eval segment`: intersection over union, accuracy and calibration against the labels found beside the input.
//!
//! IoU of a class = true positives / (true positives + false positives + false negatives) over all points of all frames
//! whose true class is one of the model's (others are ignored), as SemanticKITTI defines it; the mean runs over the classes
//! with at least [`ENOUGH`] true points. ECE: mean |confidence − accuracy| over ten equal bins, weighted by points. A point that
//! the model abstains from counts as missed in its true class. Panoptic quality: `panoptic.rs`; numbers that last: `tracks.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::json;
use thalweg::points::models::graph_unet::Class;
use thalweg::{BoxError, Epoch, Segmentation, SegmentationModel, Sink};
use thalweg_connectors::points::truth::WithTruth;

use super::panoptic::Panoptic;
use super::tracks::{Kept, Tracks};
use super::unlabelled::Unlabelled;
use crate::failure::Failure;
use crate::keys::Listed;
use crate::nodes::{NODES, Nodes};
use crate::pipeline::{Context, Doing, Measured};
use crate::segment::{self, ABSTAIN, Asked, NUMBERS, VOXEL, WINDOW};
use crate::settings::Settings;
use crate::{draw, finish, input, options, plot, sims};

/// The pipeline's `eval`.
pub const EVAL: Doing<Measured> = Doing {
    options: &[options::EVAL, &["input", "truth", "columns", "plot"]],
    keys: KEYS,
    example: "thalweg eval segment --input sequences/07 --json",
    go: segment,
};

const KEYS: Listed = &[&NODES, &VOXEL, &WINDOW, &NUMBERS, &ABSTAIN, &input::TIME_UNIT, &sims::FRAMES, &sims::SEED];

/// Classes with fewer true points do not count in a mean.
pub const ENOUGH: u64 = 100;

/// Scores of one class or group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Its name.
    pub name: String,
    /// Points that truly are of it.
    pub points: u64,
    /// Intersection over union; `None` where neither truth nor prediction has it.
    pub iou: Option<f64>,
    /// Panoptic quality of a class; `None` as there, and for groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pq: Option<f64>,
}

/// What `eval segment` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The model.
    pub model: String,
    /// Frames read.
    pub frames: u64,
    /// Points with a true class that the model knows.
    pub points: u64,
    /// Share of them that were given a class.
    pub labelled: f64,
    /// Share of those that are right.
    pub accuracy: f64,
    /// Expected calibration error of the confidence.
    pub ece: f64,
    /// Mean IoU over classes with enough points.
    pub miou: Option<f64>,
    /// Mean IoU over groups with enough points, where the model has groups.
    pub miou_groups: Option<f64>,
    /// Mean panoptic quality over classes with enough points.
    pub pq: Option<f64>,
    /// The same over the classes of which the truth numbers objects.
    pub pq_objects: Option<f64>,
    /// How well objects keep their numbers over the frames of a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Kept>,
    /// Per class.
    pub classes: Vec<Score>,
    /// Per group.
    pub groups: Vec<Score>,
}

/// Counts of (truth, prediction), and bins of (points, right, confidence).
#[derive(Debug, Default)]
struct Confusion {
    pairs: BTreeMap<(u8, u8), u64>,
    bins: [(u64, u64, f64); 10],
    panoptic: Panoptic,
    tracks: Tracks,
    frames: u64,
    unlabelled: Unlabelled,
    /// The first labelled frame, where a picture is wanted.
    shown: Option<Segmentation>,
    drawn: bool,
}

impl Confusion {
    fn add(&mut self, item: &Segmentation) {
        self.frames += 1;
        self.unlabelled.add(&item.frame, &item.classes);
        let Some(truth) = &item.frame.truth else { return };
        if self.drawn && self.shown.is_none() {
            self.shown = Some(item.clone());
        }
        self.panoptic.add(item, |class| class != 0 && item.classes.name(class).is_some());
        self.tracks.add(item);
        for ((&truth, &found), &confidence) in truth.class.iter().zip(&item.class).zip(&item.confidence) {
            if truth == 0 || item.classes.name(truth).is_none() {
                continue;
            }
            *self.pairs.entry((truth, found)).or_default() += 1;
            if found == 0 {
                continue;
            }
            let bin = &mut self.bins[((confidence * 10.0) as usize).min(9)];
            bin.0 += 1;
            bin.1 += u64::from(truth == found);
            bin.2 += f64::from(confidence);
        }
    }

    /// Score of the classes in `ids`, taken as one.
    fn score(&self, name: &str, ids: &[u8]) -> Score {
        let sum = |keep: &dyn Fn(bool, bool) -> bool| -> u64 {
            self.pairs.iter().filter(|((t, f), _)| keep(ids.contains(t), ids.contains(f))).map(|(_, n)| n).sum()
        };
        let (both, either) = (sum(&|t, f| t && f), sum(&|t, f| t || f));
        let iou = (either > 0).then(|| both as f64 / either as f64);
        Score { name: name.into(), points: sum(&|t, _| t), iou, pq: None }
    }

    /// A frame from above, labelled, as it truly is and where the two differ, and how far confidence can be trusted.
    fn draw(&self, shown: &Segmentation, file: &Path) -> Result<(), Failure> {
        let frame = &shown.frame;
        let points: Vec<[f32; 3]> = (0..frame.len()).map(|i| [frame.x[i], frame.y[i], frame.z[i]]).collect();
        let truth = frame.truth.as_ref().map_or(&[][..], |truth| &truth.class);
        let classes = draw::classes(&shown.classes);
        let mean = |sum: f64, count: u64| if count > 0 { sum / count as f64 } else { 0.0 };
        let bin = |&(count, right, sum): &(u64, u64, f64)| plot::Bin {
            count,
            probability: mean(sum, count),
            share: mean(right as f64, count),
        };
        let bins: Vec<plot::Bin> = self.bins.iter().map(bin).collect();
        plot::Figure::new(frame.name(), [900, 900])
            .panel(plot::BirdsEye { title: "prediction", points: &points, labels: &shown.class, classes })
            .panel(plot::BirdsEye { title: "truth", points: &points, labels: truth, classes })
            .panel(plot::Mistakes { title: "errors", points: &points, prediction: &shown.class, truth })
            .panel(plot::Reliability { title: "confidence, all frames", bins: &bins })
            .columns(2)
            .save(file)
    }

    fn scores(&self, model: &SegmentationModel) -> Scores {
        let config = model.config();
        let labelled: u64 = self.bins.iter().map(|bin| bin.0).sum();
        let points: u64 = self.pairs.values().sum();
        let share = |n: f64| if labelled == 0 { 0.0 } else { n / labelled as f64 };
        let class = |class: &Class| Score { pq: self.panoptic.of(class.id), ..self.score(&class.name, &[class.id]) };
        let classes: Vec<_> = config.classes.iter().map(class).collect();
        let objects = config.classes.iter().zip(&classes).filter(|(class, _)| self.panoptic.has_objects(class.id));
        let pq_objects = mean(objects.map(|(_, score)| score), |score| score.pq);
        let groups: Vec<_> = config.groups.iter().map(|group| self.score(&group.name, &group.ids)).collect();
        Scores {
            model: model.name().into(),
            frames: self.frames,
            points,
            labelled: if points == 0 { 0.0 } else { labelled as f64 / points as f64 },
            accuracy: share(self.bins.iter().map(|bin| bin.1).sum::<u64>() as f64),
            ece: share(self.bins.iter().map(|bin| (bin.2 - bin.1 as f64).abs()).sum()),
            miou: mean(&classes, |score| score.iou),
            miou_groups: mean(&groups, |score| score.iou),
            pq: mean(&classes, |score| score.pq),
            pq_objects,
            numbers: None,
            classes,
            groups,
        }
    }
}

/// The mean over what has enough true points and a value.
fn mean<'a>(scores: impl IntoIterator<Item = &'a Score>, value: impl Fn(&Score) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = scores.into_iter().filter(|score| score.points >= ENOUGH).filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Adds up confusion; publishes nothing.
struct Tally(Arc<Mutex<Confusion>>);

impl Sink<Segmentation> for Tally {
    fn name(&self) -> String {
        "eval".into()
    }
    fn write(&mut self, _: Epoch, item: Segmentation) -> Result<(), BoxError> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).add(&item);
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Opens what `eval` needs: the source, the nodes, and the model.
fn open(settings: &Settings, context: &Context) -> Result<(input::Frames, Nodes, SegmentationModel), Failure> {
    let Asked { nodes, numbers, abstain, reading, .. } = Asked::of(settings, KEYS)?;
    let model = segment::model(settings)?.abstaining_below(abstain).numbering(numbers);
    let reading = reading.of_nodes(nodes, model.config().s0);
    let source = input::open(settings, &reading, context)?;
    Ok(match &settings.truth {
        Some(truth) => (Box::new(WithTruth::new(source, truth)?), nodes, model),
        None => (source, nodes, model),
    })
}

/// Runs `segment` on the input, against its labels.
///
/// # Errors
/// What `run segment` fails with; an input without labels, or without one of the model's classes (exit 1).
pub fn segment(settings: &Settings, context: &Context) -> Result<Measured, Failure> {
    let (source, nodes, model) = open(settings, context)?;
    let drawn = settings.plot.is_some();
    let classes = model.config().classes.iter().map(|class| (class.id, class.name.as_str()));
    let unlabelled = Unlabelled::of(settings.truth.as_deref(), classes);
    let confusion = Arc::new(Mutex::new(Confusion { drawn, unlabelled, ..Confusion::default() }));
    let sink = Tally(Arc::clone(&confusion));
    let mut report = finish::over(settings, context, source, |points| segment::plan(points, nodes, &model), sink)?;
    finish::complete(&mut report, &context.notices);
    let confusion = confusion.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if confusion.frames == 0 && context.drain.load(Ordering::Relaxed) {
        return Err(Failure::run(format!("{}: found no frame before the interrupt", input::name(settings))));
    }
    if confusion.unlabelled.labelled() == 0 {
        let found = format!("{}: found no labels", input::name(settings));
        return Err(Failure::run(format!(
            "{found}, expected labels/*.label, a classification, a column class, or --truth FILE"
        )));
    }
    if confusion.pairs.is_empty() {
        let found = format!("{}: {}", input::name(settings), confusion.unlabelled.nothing());
        let classes: Vec<_> =
            model.config().classes.iter().map(|class| format!("{} {}", class.id, class.name)).collect();
        return Err(Failure::run(format!("{found}; expected classes of the model: {}", classes.join(", "))));
    }
    report.warnings.extend(confusion.unlabelled.warnings());
    let mut scores = confusion.scores(&model);
    scores.numbers = confusion.tracks.kept().filter(|_| nodes != Nodes::Sweep);
    if let (Some(file), Some(shown)) = (&settings.plot, &confusion.shown) {
        confusion.draw(shown, file)?;
    }
    Ok(Measured { json: json!(scores), text: scores.to_string(), report })
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |v: Option<f64>| v.map_or_else(|| "     -".into(), |v| format!("{v:6.3}"));
        writeln!(f, "model {}, {} frames, {} labelled points", self.model, self.frames, self.points)?;
        if self.labelled < 1.0 {
            writeln!(f, "given a class: {:.3} of them", self.labelled)?;
        }
        writeln!(f, "accuracy {:.3}, calibration error {:.3}", self.accuracy, self.ece)?;
        writeln!(f, "\n{:24} {:>10}    IoU     PQ", "class", "points")?;
        for score in &self.classes {
            writeln!(f, "{:24} {:>10} {} {}", score.name, score.points, part(score.iou), part(score.pq))?;
        }
        writeln!(f, "mean over those with {ENOUGH} points or more: {} {}", part(self.miou), part(self.pq))?;
        if self.pq_objects.is_some() {
            writeln!(f, "panoptic quality of the classes that come as objects: {}", part(self.pq_objects))?;
        }
        if let Some(Kept { tracks, pairs, kept, switches }) = &self.numbers {
            write!(f, "numbers kept from frame to frame: {kept:.3} of {pairs}, ")?;
            writeln!(f, "{switches:.2} switches for each of {tracks} true objects")?;
        }
        writeln!(f, "\n{:24} {:>10}    IoU", "group", "points")?;
        for score in &self.groups {
            writeln!(f, "{:24} {:>10} {}", score.name, score.points, part(score.iou))?;
        }
        writeln!(f, "mean over those with {ENOUGH} points or more: {}", part(self.miou_groups))
    }
}
