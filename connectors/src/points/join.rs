//! Rows of one frame that lie in several files: one frame, points in the order in which they were read.

use std::collections::BTreeSet;

use thalweg::{Frame, Returns, Truth};

use crate::points::options::ReadOptions;

/// A column of both parts; `lost` and none if only one of the two has it and the other is not empty.
fn both<T>(
    one: Option<T>,
    two: Option<T>,
    empty: (bool, bool),
    extend: impl FnOnce(&mut T, T),
    lost: impl FnOnce(),
) -> Option<T> {
    match (one, two) {
        (Some(mut one), Some(two)) => {
            extend(&mut one, two);
            Some(one)
        }
        (Some(one), None) if empty.1 => Some(one),
        (None, Some(two)) if empty.0 => Some(two),
        (None, None) => None,
        _ => {
            lost();
            None
        }
    }
}

/// Appends the points of `more`. A column that only one of the two has is left out, with a warning. Coordinates are widened to f64 where one part
/// has lost an origin and the other has not.
pub(crate) fn append(frame: &mut Frame, mut more: Frame, options: &ReadOptions) {
    let (before, after) = (frame.len(), more.len());
    if frame.origin != more.origin && before > 0 && after > 0 {
        let origin = if frame.origin == [0.0; 3] { more.origin } else { frame.origin };
        less(frame, origin);
        less(&mut more, origin);
    }
    if before == 0 {
        frame.origin = more.origin;
    }
    let missing = |what: &str| {
        if let (Some(path), true) = (more.path.as_deref(), before > 0 && after > 0) {
            let text = format!("frame {} has {what} in one file and none in another: read without", more.id);
            options.warn("columns of a frame", path, text);
        }
    };
    let empty = (before == 0, after == 0);
    let append = |one: &mut Vec<f32>, two| one.extend(two);
    frame.intensity = both(frame.intensity.take(), more.intensity, empty, append, || missing("intensities"));
    let names: BTreeSet<_> = frame.columns.keys().chain(more.columns.keys()).cloned().collect();
    for name in names {
        let (one, two) = (frame.columns.remove(&name), more.columns.remove(&name));
        let append = |one: &mut Vec<f32>, two| one.extend(two);
        let column = both(one, two, empty, append, || missing(&format!("a column {name}")));
        frame.columns.extend(column.map(|column| (name, column)));
    }
    let append = |one: &mut Truth, two: Truth| {
        one.class.extend(two.class);
        one.instance.extend(two.instance);
    };
    frame.truth = both(frame.truth.take(), more.truth, empty, append, || missing("classes"));
    let append = |one: &mut Returns, two: Returns| {
        one.number.extend(two.number);
        one.count.extend(two.count);
    };
    frame.returns = both(frame.returns.take(), more.returns, empty, append, || ());
    frame.x.extend(more.x);
    frame.y.extend(more.y);
    frame.z.extend(more.z);
    frame.time_ns = frame.time_ns.or(more.time_ns);
    frame.pose = frame.pose.or(more.pose);
    for (reason, dropped) in more.dropped {
        let sum = frame.dropped.entry(reason).or_default();
        if sum.count == 0 {
            sum.first = dropped.first;
        }
        sum.count += dropped.count;
    }
}

/// Makes the frame's coordinates what they are less `origin`.
fn less(frame: &mut Frame, origin: [f64; 3]) {
    for (axis, column) in [&mut frame.x, &mut frame.y, &mut frame.z].into_iter().enumerate() {
        let shift = frame.origin[axis] - origin[axis];
        column.iter_mut().for_each(|v| *v = (f64::from(*v) + shift) as f32);
    }
    frame.origin = origin;
}
