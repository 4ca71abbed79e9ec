//! A source of frames in text: `x y z` in metres a line, a blank line between frames.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};

use thalweg::{BoxError, Frame, Next, Source};

/// Reads frames from a text file.
pub struct Xyz<R> {
    path: PathBuf,
    lines: Lines<BufReader<R>>,
    line: u64,
    frames: i64,
}

impl Xyz<File> {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path) -> Result<Self, BoxError> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Xyz::read(path, file))
    }
}

impl<R: Read> Xyz<R> {
    /// Reads from `text`, which messages call `path`.
    pub fn read(path: &Path, text: R) -> Self {
        Xyz { path: path.into(), lines: BufReader::new(text).lines(), line: 0, frames: 0 }
    }

    /// The point in one line of text.
    fn point(&self, text: &str) -> Result<[f32; 3], BoxError> {
        let numbers: Option<Vec<f32>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| {
            format!("{}: line {}: found {text:?}, expected three numbers x y z", self.path.display(), self.line).into()
        })
    }
}

impl<R: Read + Send> Source for Xyz<R> {
    type Item = Frame;

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        let mut frame = Frame { id: self.frames, ..Frame::default() };
        while let Some(text) = self.lines.next() {
            self.line += 1;
            let text = text.map_err(|error| format!("{}: line {}: {error}", self.path.display(), self.line))?;
            if text.trim().is_empty() {
                if frame.is_empty() {
                    continue;
                }
                break;
            }
            let [x, y, z] = self.point(&text)?;
            frame.x.push(x);
            frame.y.push(y);
            frame.z.push(z);
        }
        if frame.is_empty() {
            return Ok(Next::End);
        }
        self.frames += 1;
        Ok(Next::Item(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Xyz<&'static [u8]> {
        Xyz::read(Path::new("points.xyz"), text.as_bytes())
    }

    #[test]
    fn blank_lines_part_frames() {
        let mut source = read("\n1 2 3\n4 5 6\n\n\n7 8 9\n");
        let mut frames = Vec::new();
        while let Next::Item(frame) = source.next().unwrap() {
            frames.push((frame.id, frame.x, frame.z));
        }
        assert_eq!(frames, [(0, vec![1.0, 4.0], vec![3.0, 6.0]), (1, vec![7.0], vec![9.0])]);
    }

    #[test]
    fn an_error_names_file_line_found_and_expected() {
        let mut source = read("1 2 3\n1 2 three\n");
        let error = source.next().unwrap_err().to_string();
        assert_eq!(error, "points.xyz: line 2: found \"1 2 three\", expected three numbers x y z");
    }
}
