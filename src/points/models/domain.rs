//! What a model was trained on, as ranges of what is cheap to measure in a frame: an input outside of them is worth a warning.

use std::cell::LazyCell;

use serde::Deserialize;

use super::ground::Ground;
use crate::Nodes;
use crate::layers::Positions;

/// What is measured.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Nodes of a frame's graph.
    Nodes,
    /// Horizontal distance from the sensor (m) within which 95 % of the nodes lie.
    Reach,
    /// Height of the ground in the sensor's frame (m): the median of the lowest nodes of all columns of 1 m within 20 m of the sensor.
    Ground,
    /// Share of these columns whose lowest node is within 0.5 m of the ground's height; 0 where there are fewer than 30 columns.
    Flatness,
    /// Longer side of the frame seen from above, 1 % of the points left out at each end (m).
    Extent,
    /// Points a square metre of what is covered of a grid of about 32 × 32 cells over that extent.
    Density,
    /// Share of the points in the densest tenth of these cells: high around a sensor on the ground, low in a survey from the air.
    Crowding,
}

/// What a measure was in training.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct TrainedRange {
    /// Of what.
    pub measure: Measure,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// What of a frame is outside of the ranges, in words; nothing of a frame without nodes.
pub(super) fn outside(ranges: &[TrainedRange], nodes: &Nodes) -> Vec<String> {
    if nodes.is_empty() || ranges.is_empty() {
        return Vec::new();
    }
    let (ground, cover) = (
        LazyCell::new(|| Ground::of(Positions { x: &nodes.x, y: &nodes.y, z: &nodes.z })),
        LazyCell::new(|| Cover::of(nodes)),
    );
    let found = ranges.iter().filter_map(|range| {
        let value = match range.measure {
            Measure::Nodes => nodes.len() as f64,
            Measure::Reach => reach(nodes),
            // Where nothing is flat there is no ground to be at a height.
            Measure::Ground if ground.flatness < 0.5 => return None,
            Measure::Ground => f64::from(ground.height),
            Measure::Flatness => ground.flatness,
            Measure::Extent => cover.extent,
            Measure::Density => cover.density,
            Measure::Crowding => cover.crowding,
        };
        (!(range.least..=range.most).contains(&value)).then(|| range.words(value))
    });
    found.collect()
}

impl TrainedRange {
    fn words(&self, found: f64) -> String {
        let (found, least, most) = (short(found), short(self.least), short(self.most));
        match self.measure {
            Measure::Nodes => format!("{found} nodes a frame (trained on {least} to {most})"),
            Measure::Reach => {
                format!("95 % of the points within {found} m of the sensor (trained on {least} to {most} m)")
            }
            Measure::Ground => format!("the ground at z = {found} m (trained on {least} to {most} m, the sensor at 0)"),
            Measure::Flatness => "no ground found around the sensor".into(),
            Measure::Extent => format!("{found} m from side to side (trained on {least} to {most} m)"),
            Measure::Density => format!("{found} points a square metre (trained on {least} to {most})"),
            Measure::Crowding => {
                format!(
                    "{found} of all points on a tenth of the area, as around a sensor on the ground (trained on at most {most})"
                )
            }
        }
    }
}

/// About three digits.
fn short(value: f64) -> String {
    if !(1e-3..1e9).contains(&value.abs()) && value != 0.0 {
        return format!("{value:.1e}");
    }
    let digits = if value.abs() < 10.0 { 2 } else { 0 };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// The value below which a share of the values lies; 0 if there are none.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    let rank = (values.len() as f64 * share) as usize;
    match values.len().checked_sub(1) {
        Some(last) => *values.select_nth_unstable_by(rank.min(last), f64::total_cmp).1,
        None => 0.0,
    }
}

fn reach(nodes: &Nodes) -> f64 {
    let r2 = |(&x, &y): (&f32, &f32)| f64::from(x) * f64::from(x) + f64::from(y) * f64::from(y);
    quantile(&mut nodes.x.iter().zip(&nodes.y).map(r2).collect::<Vec<_>>(), 0.95).sqrt()
}

/// How the points cover the plane.
#[derive(Default)]
struct Cover {
    extent: f64,
    density: f64,
    crowding: f64,
}

impl Cover {
    /// Points looked at, at most.
    const MOST: usize = 1 << 15;
    const CELLS: usize = 32;

    fn of(nodes: &Nodes) -> Cover {
        let frame = &nodes.frame;
        // Odd, so that it does not pick the same beams of a sensor whose columns are powers of two.
        let step = frame.len().div_ceil(Self::MOST) | 1;
        let finite = || (0..frame.len()).step_by(step).filter(|&i| frame.is_finite(i));
        let axis = |v: &[f32]| finite().map(|i| f64::from(v[i])).collect::<Vec<_>>();
        let (x, y) = (axis(&frame.x), axis(&frame.y));
        let ends = |v: &[f64]| (quantile(&mut v.to_vec(), 0.01), quantile(&mut v.to_vec(), 0.99));
        let ((west, east), (south, north)) = (ends(&x), ends(&y));
        let extent = (east - west).max(north - south);
        if !(extent.is_finite() && extent > 0.0) {
            return Cover::default();
        }
        let (side, row) = (extent / Self::CELLS as f64, Self::CELLS + 1);
        let mut points = vec![0u32; row * row];
        for (x, y) in x.iter().zip(&y) {
            let (column, line) = ((x - west) / side, (y - south) / side);
            if column >= 0.0 && line >= 0.0 && column < row as f64 && line < row as f64 {
                points[line as usize * row + column as usize] += 1;
            }
        }
        points.retain(|count| *count > 0);
        points.sort_unstable_by(|a, b| b.cmp(a));
        let sum = |cells: &[u32]| cells.iter().map(|count| f64::from(*count)).sum::<f64>();
        let all = sum(&points).max(1.0);
        let crowding = sum(&points[..points.len().div_ceil(10)]) / all;
        Cover { extent, density: all * step as f64 / (points.len().max(1) as f64 * side * side), crowding }
    }
}
