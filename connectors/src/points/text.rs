//! Lines of a text file held as bytes, and rows of numbers in them: shared by the ascii forms of PCD and PLY.

use std::borrow::Cow;
use std::path::Path;

use crate::error::{At, Error};
use crate::points::fields::Field;

/// Bytes of a line that are looked at: binary data may hold a line without end.
const LONGEST: usize = 1 << 17;

/// One line, without its end.
pub(crate) struct Line<'a> {
    pub(crate) number: u64,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Line<'a> {
    /// The line as text, as far as [`LONGEST`]; what is no UTF-8 is replaced.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(LONGEST)])
    }

    /// The line as a message shows it: its first characters, quoted.
    pub(crate) fn shown(&self) -> String {
        let text = self.text();
        let mut short: String = text.chars().take(40).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        format!("{short:?}")
    }
}

/// The lines of `bytes`, ended by LF or CRLF.
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: u64,
}

impl<'a> Lines<'a> {
    /// From the first line of a file.
    pub(crate) fn new(bytes: &'a [u8]) -> Lines<'a> {
        Lines::after(bytes, 0)
    }

    /// From the line after line `number`.
    pub(crate) fn after(bytes: &'a [u8], number: u64) -> Lines<'a> {
        Lines { bytes, at: 0, number }
    }

    /// Offset in the bytes of the next line's first byte.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Number of the last line given out.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|&b| b == b'\n');
        self.at += end.map_or(rest.len(), |end| end + 1);
        self.number += 1;
        let line = &rest[..end.unwrap_or(rest.len())];
        Some(Line { number: self.number, bytes: line.strip_suffix(b"\r").unwrap_or(line) })
    }
}

/// Rows of numbers, one a line, separated by white space or commas.
pub(crate) struct Text<'a> {
    pub(crate) path: &'a Path,
    /// What a row holds.
    pub(crate) fields: &'a [Field],
    /// The fields to give out, in that order.
    pub(crate) wanted: &'a [usize],
}

impl Text<'_> {
    /// A row takes two bytes a number, the last line's end aside: an error if `available` bytes cannot hold `count` rows.
    pub(crate) fn check_count(&self, count: usize, available: usize, offset: usize) -> Result<(), Error> {
        let least = count.saturating_mul(2 * self.fields.len());
        if least <= available.saturating_add(1) {
            return Ok(());
        }
        let found = format!("{available} bytes before the end of the file");
        Err(Error::malformed(self.path, At::Offset(offset as u64), found, format!("{count} rows of text")))
    }

    /// Calls `take` with the wanted values of each of `count` rows; blank lines do not count.
    pub(crate) fn rows(&self, lines: &mut Lines, count: usize, take: &mut dyn FnMut(&[f64])) -> Result<(), Error> {
        let mut part_of = vec![None; self.fields.len()];
        for (part, &field) in self.wanted.iter().enumerate() {
            part_of[field] = Some(part);
        }
        let mut row = vec![0.0; self.wanted.len()];
        let mut done = 0;
        while done < count {
            let Some(line) = lines.next() else {
                let found = format!("the end of the file after {done} rows");
                return Err(Error::malformed(self.path, At::Line(lines.number()), found, format!("{count} rows")));
            };
            let text = line.text();
            let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
            let mut found = 0;
            for (word, (field, part)) in words.zip(self.fields.iter().zip(&part_of)) {
                found += 1;
                if let Some(part) = *part {
                    row[part] = field.scalar.text(word).ok_or_else(|| {
                        let short: String = word.chars().take(40).collect();
                        let expected = format!("a number for {}", field.name);
                        Error::malformed(self.path, At::Line(line.number), format!("{short:?}"), expected)
                    })?;
                }
            }
            if found == 0 {
                continue;
            }
            if found < self.fields.len() {
                let expected = format!("{} numbers", self.fields.len());
                return Err(Error::malformed(self.path, At::Line(line.number), line.shown(), expected));
            }
            take(&row);
            done += 1;
        }
        Ok(())
    }
}
