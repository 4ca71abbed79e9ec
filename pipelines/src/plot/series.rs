//! Time series: one or several lines over a shared axis.
//!
//! A value that is not finite breaks its line. Of a long line only the lowest and highest value of every pixel column
//! is drawn, which looks the same.

use plotters::element::PathElement;
use plotters::style::Color;

use super::axes::{Axis, COLOURS, Look, chart, frame, legend, range, usable};
use super::canvas::px;
use super::panel::{Area, Drawn, Panel};

/// One line; what is longer than the other slice is left out.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Along the horizontal axis, ascending.
    pub x: &'a [f64],
    /// The values.
    pub y: &'a [f64],
}

/// Lines in one plot.
pub struct Series<'a> {
    /// What they show.
    pub title: &'a str,
    /// Horizontal axis and unit, as "time (ps)".
    pub x_label: &'a str,
    /// Vertical axis and unit, as "energy (meV)".
    pub y_label: &'a str,
    /// The lines; with more than one there is a legend.
    pub lines: &'a [Line<'a>],
}

impl Line<'_> {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.x.iter().zip(self.y).map(|(&x, &y)| (x, y))
    }

    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points().filter(|(x, y)| usable(*x) && usable(*y))
    }

    /// Unbroken pieces, thinned to at most four points for each of `columns` of the width `step`.
    fn pieces(&self, step: f64) -> Vec<Vec<(f64, f64)>> {
        let points: Vec<(f64, f64)> = self.points().collect();
        let whole = points.split(|(x, y)| !(usable(*x) && usable(*y)));
        whole.filter(|piece| !piece.is_empty()).map(|piece| thinned(piece, step)).collect()
    }
}

/// First, lowest, highest and last point of every run within one column, in their order.
fn thinned(piece: &[(f64, f64)], step: f64) -> Vec<(f64, f64)> {
    let column = |x: f64| (x / step).floor();
    let mut kept = Vec::new();
    for run in piece.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let by = |a: &usize, b: &usize| run[*a].1.total_cmp(&run[*b].1);
        let (low, high) = ((0..run.len()).min_by(by), (0..run.len()).max_by(by));
        let mut keep: Vec<usize> = [Some(0), low, high, Some(run.len() - 1)].into_iter().flatten().collect();
        keep.sort_unstable();
        keep.dedup();
        kept.extend(keep.into_iter().map(|index| run[index]));
    }
    kept
}

impl Panel for Series<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let colour = |index: usize| COLOURS[index % COLOURS.len()];
        let named = self.lines.iter().enumerate().filter(|_| self.lines.len() > 1);
        let entries: Vec<_> = named.map(|(index, line)| (line.name.to_string(), colour(index))).collect();
        let rest = legend(area, &entries)?;
        let all = || self.lines.iter().flat_map(Line::finite);
        let x = Axis::new(self.x_label, range(all().map(|p| p.0), 0.0));
        let y = Axis::new(self.y_label, range(all().map(|p| p.1), 0.06));
        let mut plot = chart(&rest, self.title, x, y, Look::Plot)?;
        let xs = plot.x_range();
        let step = (xs.end - xs.start) / f64::from(plot.plotting_area().dim_in_pixel().0.max(1));
        for (index, line) in self.lines.iter().enumerate() {
            let style = colour(index).stroke_width(px(1) + 1);
            plot.draw_series(line.pieces(step).into_iter().map(|piece| PathElement::new(piece, style)))?;
        }
        frame(&plot)
    }
}
