//! What the panels share: titles, axes, legends, ranges of data.
//!
//! Ranges are of usable values only (see [`usable`]) and never empty, so an axis always exists, for no data at all too.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle};

use super::canvas::{Canvas, px};
use super::panel::{Area, Drawn};

/// Text and frames.
pub const INK: RGBColor = RGBColor(45, 45, 50);
/// Lines of the grid.
pub const GRID: RGBColor = RGBColor(226, 226, 230);
/// The ground under point clouds.
pub const NIGHT: RGBColor = RGBColor(9, 10, 14);
/// Lines and marks, told apart by the colour-blind too (Okabe and Ito, "Color Universal Design", 2008).
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// A chart with two linear axes.
pub type Chart<'a, 'c> = ChartContext<'a, Canvas<'c>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Text of `size` picture pixels.
pub fn text(size: u32, h: HPos, v: VPos) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", f64::from(px(size))).into_font()).color(&INK).pos(Pos::new(h, v))
}

/// Draws a centred line of text, smaller (down to 9 pixels) where it would not fit, then cut short.
pub fn title(area: &Area<'_>, line: &str, size: u32) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let room = width.saturating_sub(px(8));
    let (mut size, mut line) = (size, line.to_string());
    while size > 9 && area.estimate_text_size(&line, &text(size, HPos::Center, VPos::Center))?.0 > room {
        size -= 1;
    }
    let style = text(size, HPos::Center, VPos::Center);
    while line.chars().count() > 1 && area.estimate_text_size(&line, &style)?.0 > room {
        let keep = line.chars().count() - 2;
        line = line.chars().take(keep).chain(['…']).collect();
    }
    area.draw(&Text::new(line, (width as i32 / 2, height as i32 / 2), style))
}

/// Names with their colours in centred rows at the bottom of `area`; returns what is left above.
pub fn legend<'c>(area: &Area<'c>, entries: &[(String, RGBColor)]) -> Drawn<Area<'c>> {
    const SIZE: u32 = 12;
    let (width, height) = area.dim_in_pixel();
    let style = text(SIZE, HPos::Left, VPos::Center);
    let (mark, gap, line) = (px(SIZE), px(14), px(18));
    let mut rows: Vec<(u32, Vec<(u32, usize)>)> = Vec::new();
    for (index, (name, _)) in entries.iter().enumerate() {
        let wide = mark + px(5) + area.estimate_text_size(name, &style)?.0;
        match rows.last_mut() {
            Some((used, row)) if *used + gap + wide + px(12) <= width => {
                row.push((*used + gap, index));
                *used += gap + wide;
            }
            _ => rows.push((wide, vec![(0, index)])),
        }
    }
    let taken = if rows.is_empty() { 0 } else { line * rows.len() as u32 + px(6) };
    let (rest, below) = area.split_vertically(height.saturating_sub(taken));
    for (at, (used, row)) in rows.iter().enumerate() {
        let left = width.saturating_sub(*used) / 2;
        let middle = (line * at as u32 + line / 2) as i32;
        for &(start, index) in row {
            let x = (left + start) as i32;
            let (name, colour) = &entries[index];
            let half = mark as i32 / 2 - 2;
            below.draw(&Circle::new((x + mark as i32 / 2, middle), half, colour.filled()))?;
            below.draw(&Text::new(name.as_str(), (x + (mark + px(5)) as i32, middle), style.clone()))?;
        }
    }
    Ok(rest)
}

/// What an axis shows.
pub struct Axis<'t> {
    /// Its description, with the unit.
    pub label: &'t str,
    /// From the left or bottom to the right or top.
    pub range: Range<f64>,
    /// Least room for the numbers of an upright axis (canvas pixels), so that charts above each other line up.
    pub room: u32,
}

impl<'t> Axis<'t> {
    /// An axis over `range`.
    pub fn new(label: &'t str, range: Range<f64>) -> Axis<'t> {
        Axis { label, range, room: 0 }
    }
}

/// The looks of a chart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// On white, with a grid; each axis has its own scale.
    Plot,
    /// On white, one scale on both axes; ranges are widened to fill the area.
    Equal,
    /// On [`NIGHT`] without a grid, one scale on both axes; ranges are widened to fill the area.
    Night,
}

/// Draws a title, axes and a grid; the chart returned is drawn on in the axes' units.
pub fn chart<'a, 'c>(area: &'a Area<'c>, name: &str, x: Axis<'_>, y: Axis<'_>, look: Look) -> Drawn<Chart<'a, 'c>> {
    let head = if name.is_empty() { px(8) } else { px(26) };
    let (width, height) = area.dim_in_pixel();
    title(&area.clone().shrink((0, 0), (width, head)), name, 14)?;
    let below = if x.label.is_empty() { px(24) } else { px(42) };
    let margin = px(14);
    let (x_room, y_room) = (width.saturating_sub(px(70) + margin), height.saturating_sub(head + below + px(6)));
    let (mut xs, mut ys) = (x.range, y.range.clone());
    let y_ticks = (y_room / px(50)).clamp(2, 12) as usize;
    let style = text(12, HPos::Center, VPos::Center);
    if look != Look::Plot {
        (xs, ys) = equal(xs, ys, f64::from(x_room) / f64::from(y_room.max(1)));
    }
    let tick = |range: &Range<f64>, count: usize| {
        let places = places(range, count);
        move |value: &f64| number(*value, places)
    };
    let (y_tick, ends) = (tick(&ys, y_ticks), [ys.start, ys.end]);
    let mut wide = y.room;
    for end in ends {
        wide = wide.max(area.estimate_text_size(&y_tick(&end), &style)?.0);
    }
    let left = wide + px(12) + if y.label.is_empty() { 0 } else { px(20) };
    let x_room = width.saturating_sub(left + margin + px(6));
    if look != Look::Plot {
        (xs, ys) = equal(xs, ys, f64::from(x_room) / f64::from(y_room.max(1)));
    }
    let mut number_width = 0;
    for end in [xs.start, xs.end] {
        let first = tick(&xs, (x_room / px(60)).max(2) as usize);
        number_width = number_width.max(area.estimate_text_size(&first(&end), &style)?.0);
    }
    let x_ticks = (x_room / (number_width + px(22))).clamp(2, 12) as usize;
    let mut chart = ChartBuilder::on(area)
        .margin_top(head)
        .margin_left(px(6))
        .margin_right(margin)
        .margin_bottom(px(6))
        .set_label_area_size(LabelAreaPosition::Left, left)
        .set_label_area_size(LabelAreaPosition::Bottom, below)
        .build_cartesian_2d(xs.clone(), ys.clone())?;
    if look == Look::Night {
        chart.plotting_area().fill(&NIGHT)?;
    }
    let (x_format, y_format) = (tick(&xs, x_ticks), tick(&ys, y_ticks));
    let grid = if look == Look::Night { NIGHT.mix(0.0) } else { GRID.to_rgba() };
    chart
        .configure_mesh()
        .x_desc(x.label)
        .y_desc(y.label)
        .x_labels(x_ticks)
        .y_labels(y_ticks)
        .x_label_formatter(&x_format)
        .y_label_formatter(&y_format)
        .label_style(("sans-serif", f64::from(px(12))).into_font().color(&INK))
        .axis_desc_style(("sans-serif", f64::from(px(13))).into_font().color(&INK))
        .axis_style(INK.stroke_width(2))
        .bold_line_style(grid.stroke_width(2))
        .light_line_style(NIGHT.mix(0.0))
        .set_all_tick_mark_size(px(4))
        .draw()?;
    Ok(chart)
}

/// Frames a chart's plot.
pub fn frame(chart: &Chart<'_, '_>) -> Drawn {
    let plot = chart.plotting_area().strip_coord_spec();
    let (width, height) = plot.dim_in_pixel();
    plot.draw(&Rectangle::new([(0, 0), (width as i32 - 1, height as i32 - 1)], INK.stroke_width(2)))
}

/// Both ranges at one scale: the shorter one, for an area `aspect` times as wide as high, is widened about its middle.
fn equal(x: Range<f64>, y: Range<f64>, aspect: f64) -> (Range<f64>, Range<f64>) {
    let [wide, high] = [x.end - x.start, y.end - y.start];
    let about = |range: Range<f64>, half: f64| {
        let middle = range.start + (range.end - range.start) / 2.0;
        middle - half..middle + half
    };
    if wide < high * aspect { (about(x, high * aspect / 2.0), y) } else { (x, about(y, wide / aspect / 2.0)) }
}

/// Decimal places that tell `count` ticks of a range apart.
fn places(range: &Range<f64>, count: usize) -> usize {
    let least = (range.end - range.start) / count.max(1) as f64;
    let power = least.log10().floor();
    // Ticks are 1, 2 or 5 times a power of ten apart.
    let power = if least > 5.0 * 10f64.powf(power) { power + 1.0 } else { power };
    (-power).clamp(0.0, 9.0) as usize
}

/// A number with a true minus sign, and none before zero.
pub fn number(value: f64, places: usize) -> String {
    let plain = format!("{value:.places$}");
    match plain.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| matches!(b, b'0' | b'.')) => digits.to_string(),
        Some(digits) => format!("−{digits}"),
        None => plain,
    }
}

/// True for what an axis can show: a finite number, small enough that ranges of it have a width.
pub fn usable(value: f64) -> bool {
    value.abs() <= 1e15
}

/// Smallest to largest usable value with a margin of `share` on both sides; 0..1 of nothing.
pub fn range(values: impl IntoIterator<Item = f64>, share: f64) -> Range<f64> {
    let (low, high) = values
        .into_iter()
        .filter(|value| usable(*value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    widened(low, high, share)
}

/// The `part` and `1 - part` quantiles of the usable values with a margin; 0..1 of nothing.
pub fn inner_range(values: impl IntoIterator<Item = f64>, part: f64, share: f64) -> Range<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| usable(*value)).collect();
    if values.is_empty() {
        return 0.0..1.0;
    }
    let rank = ((values.len() - 1) as f64 * part).floor() as usize;
    let (_, low, rest) = values.select_nth_unstable_by(rank, f64::total_cmp);
    let low = *low;
    let back = rest.len().saturating_sub(rank + 1);
    let high = if rest.is_empty() { low } else { *rest.select_nth_unstable_by(back, f64::total_cmp).1 };
    widened(low, high, share)
}

fn widened(low: f64, high: f64, share: f64) -> Range<f64> {
    if low > high {
        return 0.0..1.0;
    }
    let least = (low.abs().max(high.abs()) * 1e-9).max(1e-9);
    let margin = if high - low < least { (low.abs() * 1e-3).max(0.5) } else { (high - low) * share };
    low - margin..high + margin
}

/// A chart's plot in canvas pixels and the way from its units to pixels: `(width, height, x of, y of)`.
pub fn pixels_of(chart: &Chart<'_, '_>) -> (i32, i32, impl Fn(f64) -> f64, impl Fn(f64) -> f64) {
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let (xs, ys) = (chart.x_range(), chart.y_range());
    let (w, h) = (f64::from(width), f64::from(height));
    (
        width as i32,
        height as i32,
        move |x| (x - xs.start) / (xs.end - xs.start) * w,
        move |y| (ys.end - y) / (ys.end - ys.start) * h,
    )
}
