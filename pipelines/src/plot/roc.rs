//! ROC curve: the share of true cases found against the share of false alarms, as the threshold falls.
//!
//! The area under it is the probability that a true case scores above a false one, ties half. Fawcett, "An introduction
//! to ROC analysis", Pattern Recognition Letters 27, 2006.

use plotters::element::PathElement;
use plotters::style::Color;

use super::axes::{Axis, COLOURS, INK, Look, chart, frame, legend};
use super::canvas::px;
use super::panel::{Area, Drawn, Panel};

/// One ROC curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// `[false positive rate, true positive rate]`, from `[0, 0]` to `[1, 1]`.
    pub points: Vec<[f64; 2]>,
    /// The area under it.
    pub area: f64,
}

impl Curve {
    /// The curve of scored cases, each with what was true of it; a NaN score is left out.
    /// `None` unless there are true and false cases.
    pub fn of(cases: impl IntoIterator<Item = (f64, bool)>) -> Option<Curve> {
        let mut cases: Vec<(f64, bool)> = cases.into_iter().filter(|(score, _)| !score.is_nan()).collect();
        cases.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let positives = cases.iter().filter(|case| case.1).count();
        let negatives = cases.len() - positives;
        if positives == 0 || negatives == 0 {
            return None;
        }
        let (mut found, mut alarms, mut area) = (0, 0, 0.0);
        let mut points = vec![[0.0, 0.0]];
        for equal in cases.chunk_by(|a, b| a.0 == b.0) {
            let [x, y] = [alarms as f64 / negatives as f64, found as f64 / positives as f64];
            found += equal.iter().filter(|case| case.1).count();
            alarms += equal.iter().filter(|case| !case.1).count();
            let next = [alarms as f64 / negatives as f64, found as f64 / positives as f64];
            area += (next[0] - x) * (next[1] + y) / 2.0;
            points.push(next);
        }
        Some(Curve { points, area })
    }
}

/// Curves by name, over the diagonal of guessing.
pub struct Roc<'a> {
    /// What was predicted.
    pub title: &'a str,
    /// Names and curves.
    pub curves: &'a [(&'a str, &'a Curve)],
}

impl Panel for Roc<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let title = match self.curves {
            [(_, one)] => format!("{}: AUC {:.3}", self.title, one.area),
            _ => self.title.to_string(),
        };
        let colour = |index: usize| COLOURS[index % COLOURS.len()];
        let entries: Vec<_> = (self.curves.iter().enumerate())
            .filter(|_| self.curves.len() > 1)
            .map(|(index, (name, curve))| (format!("{name} (AUC {:.3})", curve.area), colour(index)))
            .collect();
        let rest = legend(area, &entries)?;
        let axis = |label| Axis::new(label, 0.0..1.0);
        let mut plot = chart(&rest, &title, axis("false positive rate"), axis("true positive rate"), Look::Plot)?;
        plot.draw_series([PathElement::new(vec![(0.0, 0.0), (1.0, 1.0)], INK.mix(0.45).stroke_width(px(1)))])?;
        for (index, (_, curve)) in self.curves.iter().enumerate() {
            let inside = curve.points.iter().filter(|p| p.iter().all(|c| (0.0..=1.0).contains(c)));
            let line: Vec<_> = inside.map(|&[x, y]| (x, y)).collect();
            plot.draw_series([PathElement::new(line, colour(index).stroke_width(px(2)))])?;
        }
        frame(&plot)
    }
}
