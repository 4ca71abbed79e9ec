//! Parity plot: predicted against reference values, one scale on both axes.
//!
//! Pixels are coloured by how many points fall on them, on a logarithmic scale, so a million points stay readable.
//! In the title the mean absolute error, `MAE = mean |predicted − reference|`.

use plotters::element::PathElement;
use plotters::style::Color;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

use super::axes::{Axis, INK, Look, chart, frame, pixels_of, range, usable};
use super::canvas::px;
use super::panel::{Area, Drawn, Panel};

/// Two slices of equal order; a pair that is not finite is left out.
pub struct Parity<'a> {
    /// What it is of; MAE and count are added.
    pub title: &'a str,
    /// The quantity on both axes, as "force".
    pub quantity: &'a str,
    /// Its unit, as "meV/Å".
    pub unit: &'a str,
    /// The true values.
    pub reference: &'a [f64],
    /// The predicted ones.
    pub predicted: &'a [f64],
}

impl Parity<'_> {
    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        let pairs = self.reference.iter().zip(self.predicted).map(|(&a, &b)| (a, b));
        pairs.filter(|(a, b)| usable(*a) && usable(*b))
    }

    fn heading(&self) -> String {
        let (count, error) = self.pairs().fold((0usize, 0.0), |(n, sum), (a, b)| (n + 1, sum + (b - a).abs()));
        if count == 0 {
            return format!("{}: no points", self.title);
        }
        let mean = error / count as f64;
        let places = (2.0 - mean.max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
        format!("{}: MAE {mean:.places$} {}, n = {count}", self.title, self.unit)
    }
}

impl Panel for Parity<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let both = range(self.pairs().flat_map(|(a, b)| [a, b]), 0.04);
        let unit = if self.unit.is_empty() { String::new() } else { format!(" ({})", self.unit) };
        let labels = ["reference", "predicted"].map(|side| format!("{side} {}{unit}", self.quantity));
        let axis = |label| Axis::new(label, both.clone());
        let mut plot = chart(area, &self.heading(), axis(&labels[0]), axis(&labels[1]), Look::Equal)?;
        let ends = vec![(both.start, both.start), (both.end, both.end)];
        plot.draw_series([PathElement::new(ends, INK.mix(0.45).stroke_width(px(1)))])?;

        let (width, height, x_of, y_of) = pixels_of(&plot);
        let half = if self.pairs().nth(2_000).is_some() { px(1) as i32 } else { px(2) as i32 };
        let mut counts = vec![0u32; (width * height) as usize];
        for (a, b) in self.pairs() {
            let (x, y) = (x_of(a) as i32, y_of(b) as i32);
            for (dx, dy) in (-half..=half).flat_map(|dy| (-half..=half).map(move |dx| (dx, dy))) {
                let inside = dx * dx + dy * dy <= half * half + 1;
                if inside && (0..width).contains(&(x + dx)) && (0..height).contains(&(y + dy)) {
                    counts[((y + dy) * width + x + dx) as usize] += 1;
                }
            }
        }
        let most = f64::from(counts.iter().copied().max().unwrap_or(0).max(2)).ln();
        let pixels = plot.plotting_area().strip_coord_spec();
        for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let level = f64::from(count).ln() / most;
            let colour = ViridisRGB.get_color((0.12 + 0.78 * level) as f32);
            pixels.draw_pixel((index as i32 % width, index as i32 / width), &colour)?;
        }
        frame(&plot)
    }
}
