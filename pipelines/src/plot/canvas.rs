//! The pixels under every figure: a `plotters` backend on a plain buffer, with its own font.
//!
//! Everything is drawn at [`SCALE`] times the size and averaged down, so edges are smooth. Text is set in a subset of
//! DejaVu Sans that is part of the program: no system font is needed (its licence: `font/LICENSE-DejaVu`).
//! The same drawing gives the same bytes: nothing here knows the time or the machine.

use std::convert::Infallible;
use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId, Point, ScaleFont};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

/// Canvas pixels per picture pixel, along each axis.
pub const SCALE: u32 = 2;

/// A length in picture pixels as canvas pixels.
pub const fn px(length: u32) -> u32 {
    length * SCALE
}

const FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

/// Height of capitals, and from the top of a line to its baseline, in units of the font size.
const CAPITALS: f64 = 0.73;
const ASCENT: f64 = 0.8;

fn font() -> &'static FontRef<'static> {
    static PARSED: OnceLock<FontRef<'static>> = OnceLock::new();
    PARSED.get_or_init(|| FontRef::try_from_slice(FONT).expect("the font within the program parses"))
}

/// The font at `size` canvas pixels per em.
fn sized(size: f64) -> ab_glyph::PxScaleFont<&'static FontRef<'static>> {
    let font = font();
    let em = f64::from(font.units_per_em().unwrap_or(2048.0));
    font.as_scaled((size * f64::from(font.height_unscaled()) / em) as f32)
}

/// Width of a text (canvas pixels).
fn width(text: &str, size: f64) -> f32 {
    let font = sized(size);
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// RGB pixels, row by row, drawn on by `plotters`.
pub struct Canvas<'a> {
    pixels: &'a mut [[u8; 3]],
    width: u32,
    height: u32,
}

impl<'a> Canvas<'a> {
    /// On `pixels`, `width` to a row; what is left over of the last row is not drawn on.
    pub fn new(pixels: &'a mut [[u8; 3]], width: u32) -> Canvas<'a> {
        let height = (pixels.len() / width.max(1) as usize) as u32;
        Canvas { pixels, width, height }
    }

    fn blend(&mut self, x: i32, y: i32, color: BackendColor) {
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return;
        }
        let pixel = &mut self.pixels[y as usize * self.width as usize + x as usize];
        if color.alpha >= 1.0 {
            *pixel = color.rgb.into();
            return;
        }
        let alpha = color.alpha.max(0.0);
        for (under, over) in pixel.iter_mut().zip([color.rgb.0, color.rgb.1, color.rgb.2]) {
            *under = (f64::from(*under) * (1.0 - alpha) + f64::from(over) * alpha).round() as u8;
        }
    }

    /// A stroke with round ends. A pixel is covered as far as its middle lies within `radius` of the line.
    fn stroke(&mut self, from: BackendCoord, to: BackendCoord, radius: f64, color: BackendColor) {
        let (a, b) = ([f64::from(from.0), f64::from(from.1)], [f64::from(to.0), f64::from(to.1)]);
        let along = [b[0] - a[0], b[1] - a[1]];
        let d2 = along[0] * along[0] + along[1] * along[1];
        // Walks along the longer side; across it only as far as the stroke reaches.
        let (main, cross) = if along[1].abs() > along[0].abs() { (1, 0) } else { (0, 1) };
        let limit = f64::from(if main == 0 { self.width } else { self.height });
        let start = (a[main].min(b[main]) - radius - 1.0).floor().clamp(-1.0, limit) as i32;
        let end = (a[main].max(b[main]) + radius + 1.0).ceil().clamp(-1.0, limit) as i32;
        let reach = (radius + 1.0) * if d2 > 0.0 { d2.sqrt() / along[main].abs() } else { 1.0 };
        for step in start..=end {
            let share = if d2 > 0.0 { ((f64::from(step) - a[main]) / along[main]).clamp(0.0, 1.0) } else { 0.0 };
            let middle = a[cross] + share * along[cross];
            for across in (middle - reach).floor() as i32..=(middle + reach).ceil() as i32 {
                let (x, y) = if main == 0 { (step, across) } else { (across, step) };
                let [dx, dy] = [f64::from(x) - a[0], f64::from(y) - a[1]];
                let part = if d2 > 0.0 { ((dx * along[0] + dy * along[1]) / d2).clamp(0.0, 1.0) } else { 0.0 };
                let away = (dx - part * along[0]).hypot(dy - part * along[1]);
                let cover = (radius + 0.5 - away).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(x, y, BackendColor { alpha: color.alpha * cover, rgb: color.rgb });
                }
            }
        }
    }
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Result<(), DrawingErrorKind<Infallible>> {
        self.blend(x, y, color);
        Ok(())
    }

    /// Every part of the path is a stroke with round ends: no mitres that shoot out of sharp corners.
    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let radius = f64::from(style.stroke_width()) / 2.0;
        let mut path = path.into_iter();
        let Some(mut last) = path.next() else { return Ok(()) };
        for next in path {
            self.stroke(last, next, radius, style.color());
            last = next;
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((width(text, style.size()).ceil() as u32, style.size().ceil() as u32))
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let (size, color, turn) = (style.size(), style.color(), style.transform());
        let font = sized(size);
        let mut x = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width(text, size) / 2.0,
            HPos::Right => -width(text, size),
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => ASCENT * size,
            VPos::Center => CAPITALS / 2.0 * size,
            VPos::Bottom => (ASCENT - 1.0) * size,
        };
        for c in text.chars() {
            let id: GlyphId = font.glyph_id(c);
            let glyph = id.with_scale_and_position(font.scale(), Point { x, y: baseline.round() as f32 });
            x += font.h_advance(id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|column, row, cover| {
                let (dx, dy) = turn.transform(corner.x as i32 + column as i32, corner.y as i32 + row as i32);
                let alpha = color.alpha * f64::from(cover);
                self.blend(at.0 + dx, at.1 + dy, BackendColor { alpha, rgb: color.rgb });
            });
        }
        Ok(())
    }
}

/// Averages every [`SCALE`] × [`SCALE`] pixels into one: RGB bytes of a picture of `width` × `height`.
pub fn averaged(pixels: &[[u8; 3]], width: u32, height: u32) -> Vec<u8> {
    let (scale, width, height) = (SCALE as usize, width as usize, height as usize);
    let mut picture = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for column in 0..width {
            let mut sum = [0u32; 3];
            for dy in 0..scale {
                let start = (row * scale + dy) * width * scale + column * scale;
                for pixel in &pixels[start..start + scale] {
                    sum.iter_mut().zip(pixel).for_each(|(sum, &part)| *sum += u32::from(part));
                }
            }
            picture.extend(sum.map(|sum| ((sum + SCALE * SCALE / 2) / (SCALE * SCALE)) as u8));
        }
    }
    picture
}
