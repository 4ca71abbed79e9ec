//! Points from above as pixels: x to the right, y up, one scale, the highest point on top.
//!
//! The view is cut at the 0.5 % outermost points of each side, so that one stray echo does not shrink the rest.

use plotters::style::RGBColor;

use super::axes::{Axis, Look, chart, frame, inner_range, pixels_of, usable};
use super::canvas::px;
use super::panel::{Area, Drawn};

/// Draws every finite point for which `look` gives a layer and a colour; a higher layer covers a lower one.
pub fn from_above(
    area: &Area<'_>,
    title: &str,
    points: &[[f32; 3]],
    look: impl Fn(usize) -> Option<(u8, RGBColor)>,
) -> Drawn {
    let finite: Vec<usize> = (0..points.len()).filter(|&i| points[i].iter().all(|&c| usable(f64::from(c)))).collect();
    let along = |axis: usize| inner_range(finite.iter().map(|&i| f64::from(points[i][axis])), 0.005, 0.02);
    let (x, y) = (Axis::new("x (m)", along(0)), Axis::new("y (m)", along(1)));
    let plot = chart(area, title, x, y, Look::Night)?;
    let (width, height, x_of, y_of) = pixels_of(&plot);

    let mut order: Vec<(u8, f32, usize, RGBColor)> =
        finite.iter().filter_map(|&i| look(i).map(|(layer, colour)| (layer, points[i][2], i, colour))).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    let side = side(width as usize * height as usize, order.len());
    let mut pixels: Vec<Option<RGBColor>> = vec![None; (width * height) as usize];
    for (_, _, index, colour) in order {
        let left = (x_of(f64::from(points[index][0])) - f64::from(side) / 2.0).round() as i32;
        let top = (y_of(f64::from(points[index][1])) - f64::from(side) / 2.0).round() as i32;
        for row in top.max(0)..top.saturating_add(side).min(height) {
            for column in left.max(0)..left.saturating_add(side).min(width) {
                pixels[(row * width + column) as usize] = Some(colour);
            }
        }
    }
    let canvas = plot.plotting_area().strip_coord_spec();
    for (index, colour) in pixels.iter().enumerate() {
        if let Some(colour) = colour {
            canvas.draw_pixel((index as i32 % width, index as i32 / width), colour)?;
        }
    }
    frame(&plot)
}

/// A point's side in canvas pixels: 1 to 5 picture pixels, larger where there are few points for the area.
fn side(area: usize, points: usize) -> i32 {
    let room = (area as f64 / points.max(1) as f64).sqrt();
    (room * 0.55).round().clamp(f64::from(px(1)), f64::from(px(5))) as i32
}
