//! Scans joined with an odometry table by event time, a map of the last frames, its kNN graph, and two branches of it: labels, and degrees.

use std::path::Path;
use std::sync::Arc;

use thalweg::dataflow::operators::CountTotal;
use thalweg::plan::Delta;
use thalweg::{BoxError, Frame, Pipeline, Pose, Segmentation, SegmentationModel, Source};
use thalweg_connectors::arrow::array::{ArrayRef, Int64Array, UInt8Array};
use thalweg_connectors::out::records::ColumnsSink;
use thalweg_connectors::records::{Record, Records};

/// Labels of every point into one table, how many voxels have how many listeners into another.
pub fn run(
    scans: impl Source<Item = Frame> + 'static,
    odometry: &Path,
    model: &SegmentationModel,
    [labels, degrees]: [&Path; 2],
) -> Result<(), BoxError> {
    let pipeline = Pipeline::new();
    let scans = pipeline.source(scans);
    let odometry = pipeline.source(Records::open(odometry, &["x", "y", "yaw"])?);
    let posed = scans.join_latest(odometry, posed).filter("posed", |frame| frame.pose.is_some());
    let graph = posed.map_window(0.4, 3).knn_graph(16);
    graph.clone().infer(model).sink(ColumnsSink::create(labels, label_rows)?);
    let listeners = graph.edges(|edges| edges.map(|(_, to, _)| to).count_total().map(|(_, n)| n).count_total());
    listeners.sink(ColumnsSink::create(degrees, degree_rows)?);
    pipeline.workers(2).run()?;
    Ok(())
}

/// The scan where the newest odometry says that it was taken.
fn posed(mut frame: Frame, newest: Option<&Record>) -> Result<Frame, BoxError> {
    let Some(record) = newest else { return Ok(Frame { pose: None, ..frame }) };
    let number = |column: &str| record.number(column).ok_or(format!("odometry at {} ns: no {column}", record.t));
    let (x, y, yaw) = (number("x")?, number("y")?, number("yaw")?);
    let (sin, cos) = yaw.sin_cos();
    frame.pose = Some(Pose([[cos, -sin, 0.0, x], [sin, cos, 0.0, y], [0.0, 0.0, 1.0, 0.0]]));
    Ok(frame)
}

fn label_rows(items: &[Segmentation]) -> Vec<(&'static str, ArrayRef)> {
    let frames = items.iter().flat_map(|item| std::iter::repeat_n(item.frame.id, item.class.len()));
    vec![
        ("frame", Arc::new(Int64Array::from_iter_values(frames))),
        ("class", Arc::new(UInt8Array::from_iter_values(items.iter().flat_map(|item| item.class.iter().copied())))),
    ]
}

/// Differences of a histogram: `voxels` come to (or leave) those with so many listeners.
fn degree_rows(items: &[Delta<(isize, isize)>]) -> Vec<(&'static str, ArrayRef)> {
    let rows = || items.iter().flat_map(|delta| &delta.rows);
    vec![
        ("listeners", Arc::new(Int64Array::from_iter_values(rows().map(|((degree, _), _)| *degree as i64)))),
        ("voxels", Arc::new(Int64Array::from_iter_values(rows().map(|((_, n), diff)| (n * diff) as i64)))),
    ]
}
