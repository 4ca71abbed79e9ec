//! Reliability diagram: how often what was given probability p came true, over bins of p.
//!
//! On the diagonal the probabilities are honest. The expected calibration error is the mean distance from it,
//! `ECE = Σ_b n_b / n · |share_b − mean p_b|`. Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian
//! Binning", AAAI 2015.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color;

use super::axes::{Axis, COLOURS, INK, Look, chart, frame};
use super::canvas::px;
use super::panel::{Area, Drawn, Panel};

/// The cases whose probability fell into one of the equal bins of 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Cases.
    pub count: u64,
    /// Their mean probability.
    pub probability: f64,
    /// The share of them that came true.
    pub share: f64,
}

impl Bin {
    /// The expected calibration error of bins; `None` without cases.
    pub fn calibration_error(bins: &[Bin]) -> Option<f64> {
        let all: u64 = bins.iter().map(|bin| bin.count).sum();
        let gaps = bins.iter().map(|bin| bin.count as f64 * (bin.share - bin.probability).abs());
        (all > 0).then(|| gaps.sum::<f64>() / all as f64)
    }
}

/// The diagram: a dot a bin over the diagonal, below it how many cases each bin has.
pub struct Reliability<'a> {
    /// What was predicted; the calibration error is added.
    pub title: &'a str,
    /// Equal bins from 0 to 1.
    pub bins: &'a [Bin],
}

impl Panel for Reliability<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let title = match Bin::calibration_error(self.bins) {
            Some(error) => format!("{}: calibration error {error:.3}", self.title),
            None => format!("{}: no cases", self.title),
        };
        let (upper, lower) = area.split_vertically(area.dim_in_pixel().1 * 7 / 10);
        let y = Axis { room: px(44), ..Axis::new("observed share", 0.0..1.0) };
        let mut plot = chart(&upper, &title, Axis::new("", 0.0..1.0), y, Look::Plot)?;
        plot.draw_series([PathElement::new(vec![(0.0, 0.0), (1.0, 1.0)], INK.mix(0.55).stroke_width(px(1)))])?;
        let used = || self.bins.iter().filter(|bin| bin.count > 0);
        let at = |bin: &Bin| (bin.probability.clamp(0.0, 1.0), bin.share.clamp(0.0, 1.0));
        let gaps = used().map(|bin| {
            let (p, share) = at(bin);
            PathElement::new(vec![(p, p), (p, share)], COLOURS[1].mix(0.6).stroke_width(px(3)))
        });
        plot.draw_series(gaps)?;
        let line: Vec<_> = used().map(at).collect();
        plot.draw_series([PathElement::new(line, COLOURS[0].stroke_width(px(2)))])?;
        plot.draw_series(used().map(|bin| Circle::new(at(bin), px(4), COLOURS[0].filled())))?;
        frame(&plot)?;

        let most = self.bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
        let unit = if most >= 20_000.0 { 1_000.0 } else { 1.0 };
        let label = if unit > 1.0 { "cases (1000)" } else { "cases" };
        let x = Axis::new("predicted probability", 0.0..1.0);
        let y = Axis { room: px(44), ..Axis::new(label, 0.0..1.06 * most / unit) };
        let mut counts = chart(&lower, "", x, y, Look::Plot)?;
        let width = 1.0 / self.bins.len().max(1) as f64;
        counts.draw_series(self.bins.iter().enumerate().map(|(index, bin)| {
            let (left, right) = (width * (index as f64 + 0.06), width * (index as f64 + 0.94));
            Rectangle::new([(left, 0.0), (right, bin.count as f64 / unit)], COLOURS[0].mix(0.7).filled())
        }))?;
        frame(&counts)
    }
}
