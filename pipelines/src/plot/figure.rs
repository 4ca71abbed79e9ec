//! Panels side by side under a title, as a PNG file.

use std::path::Path;

use plotters::drawing::IntoDrawingArea;
use plotters::style::WHITE;

use super::axes;
use super::canvas::{Canvas, averaged, px};
use super::panel::{Drawn, Panel};
use crate::failure::Failure;

/// Panels in rows under a title.
pub struct Figure<'a> {
    title: String,
    size: [u32; 2],
    columns: usize,
    panels: Vec<Box<dyn Panel + 'a>>,
}

/// Smallest and largest side of a panel (pixels): smaller has no room for axes, larger is a slip.
const SIDES: [u32; 2] = [160, 4096];

impl<'a> Figure<'a> {
    /// A figure whose panels are `[width, height]` pixels each, held to 160..=4096; an empty title takes no room.
    pub fn new(title: impl Into<String>, size: [u32; 2]) -> Figure<'a> {
        let size = size.map(|side| side.clamp(SIDES[0], SIDES[1]));
        Figure { title: title.into(), size, columns: usize::MAX, panels: Vec::new() }
    }

    /// Adds a panel to the right of the last one.
    pub fn panel(mut self, panel: impl Panel + 'a) -> Figure<'a> {
        self.panels.push(Box::new(panel));
        self
    }

    /// Begins a new row after every `columns` panels; without it all stand side by side.
    pub fn columns(mut self, columns: usize) -> Figure<'a> {
        self.columns = columns.max(1);
        self
    }

    /// Draws the panels and writes a PNG. It is written under a temporary name beside `file`, then renamed.
    ///
    /// # Errors
    /// The file cannot be written, or the figure is larger than 8,192 pixels a side; the message names the file.
    pub fn save(&self, file: &Path) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::run(format!("{}: {error}", file.display()));
        let png = self.png().map_err(|error| failed(&error))?;
        let name = file.file_name().ok_or_else(|| failed(&"a file's name is needed"))?;
        let temp = file.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        std::fs::write(&temp, png).and_then(|()| std::fs::rename(&temp, file)).map_err(|error| {
            // Best effort: what stopped the writing is the message that counts.
            std::fs::remove_file(&temp).ok();
            failed(&error)
        })
    }

    /// The PNG's bytes.
    fn png(&self) -> Result<Vec<u8>, String> {
        let columns = self.panels.len().clamp(1, self.columns);
        let rows = self.panels.len().div_ceil(columns).max(1);
        let head = if self.title.is_empty() { 0 } else { 34 };
        let [width, height] = [self.size[0] as usize * columns, self.size[1] as usize * rows + head];
        if width.max(height) > 8_192 {
            return Err(format!("a figure of {width} × {height} pixels is too large: 8192 a side at most"));
        }
        let [width, height] = [width as u32, height as u32];
        let mut pixels = vec![[255; 3]; (px(width) * px(height)) as usize];
        self.draw(&mut pixels, width, head as u32, (rows, columns))
            .map_err(|error| format!("the figure cannot be drawn: {error}"))?;
        encode(&averaged(&pixels, width, height), width, height).map_err(|error| error.to_string())
    }

    fn draw(&self, pixels: &mut [[u8; 3]], width: u32, head: u32, grid: (usize, usize)) -> Drawn {
        let root = Canvas::new(pixels, px(width)).into_drawing_area();
        root.fill(&WHITE)?;
        let (title, body) = root.split_vertically(px(head));
        if head > 0 {
            axes::title(&title, &self.title, 18)?;
        }
        let areas = body.split_evenly(grid);
        self.panels.iter().zip(&areas).try_for_each(|(panel, area)| panel.draw(area))
    }
}

fn encode(picture: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture)?;
    writer.finish()?;
    Ok(bytes)
}
