//! Points from above, coloured by a value: height, intensity, time; for clouds without labels.
//!
//! Colours run from the 1 % to the 99 % quantile (viridis, Smith and van der Walt 2015, even to the eye); values beyond
//! have the end's colour.

use plotters::element::{Rectangle, Text};
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

use super::axes::{inner_range, number, text};
use super::canvas::px;
use super::cloud::from_above;
use super::panel::{Area, Drawn, Panel};

/// Points with a value each.
pub struct Depth<'a> {
    /// What the cloud is.
    pub title: &'a str,
    /// x, y, z (m).
    pub points: &'a [[f32; 3]],
    /// One a point; a point without a finite one is left out.
    pub values: &'a [f32],
    /// What they are, with the unit, as "height (m)".
    pub quantity: &'a str,
}

/// The dark end would not show on the dark ground.
fn colour(level: f64) -> RGBColor {
    ViridisRGB.get_color((0.12 + 0.88 * level.clamp(0.0, 1.0)) as f32)
}

impl Panel for Depth<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let range = inner_range(self.values.iter().take(self.points.len()).map(|&v| f64::from(v)), 0.01, 0.0);
        let span = range.end - range.start;
        let (rest, below) = area.split_vertically(area.dim_in_pixel().1.saturating_sub(px(44)));
        from_above(&rest, self.title, self.points, |index| {
            let value = f64::from(*self.values.get(index)?);
            value.is_finite().then(|| (0, colour((value - range.start) / span)))
        })?;

        let wide = below.dim_in_pixel().0 as i32;
        let (left, right) = (wide / 4, wide * 3 / 4);
        for x in left..right {
            let level = f64::from(x - left) / f64::from((right - left).max(1));
            below.draw(&Rectangle::new([(x, px(2) as i32), (x, px(12) as i32)], colour(level).filled()))?;
        }
        let places = if span < 1.0 { 3 } else { usize::from(span < 100.0) };
        let line =
            |at: i32, words: String, h| below.draw(&Text::new(words, (at, px(16) as i32), text(12, h, VPos::Top)));
        line(left, number(range.start, places), HPos::Center)?;
        line(right, number(range.end, places), HPos::Center)?;
        line(wide / 2, self.quantity.to_string(), HPos::Center)
    }
}
