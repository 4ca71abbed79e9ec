//! Lines of a text file held as bytes, and rows of numbers in them: shared by the ascii forms of PCD and PLY.

use std::borrow::Cow;
use std::path::Path;

use crate::error::{At, Error};
use crate::points::fields::Field;
use crate::points::scalar::Scalar;

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

/// One column of a row: a number, or a list of them behind its length, which is stepped over.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) field: Field,
    /// Type of the list's length, if it is a list.
    pub(crate) length: Option<Scalar>,
}

/// The words of a row: apart by blanks if that makes as many as there are columns, else by blanks, commas and semicolons. A comma at the end of
/// such a word divides, one inside of it is a decimal comma.
pub(crate) fn words(text: &str, columns: usize) -> Vec<Cow<'_, str>> {
    let plain = |word: &str| !word.is_empty();
    let blanks = text.split_whitespace().map(|word| word.trim_matches([',', ';'])).filter(|word| plain(word));
    if blanks.clone().count() == columns {
        return blanks.map(decimal).collect();
    }
    let semicolons = text.split(|c: char| c.is_whitespace() || c == ';').filter(|word| plain(word));
    if text.contains(';') && semicolons.clone().count() == columns {
        return semicolons.map(decimal).collect();
    }
    text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| plain(word)).map(Cow::from).collect()
}

/// A number with a decimal comma, spelt with a point.
fn decimal(word: &str) -> Cow<'_, str> {
    let comma = word.matches(',').count() == 1 && !word.contains('.');
    if comma { Cow::from(word.replace(',', ".")) } else { Cow::from(word) }
}

/// Rows of numbers, one a line.
pub(crate) struct Text<'a> {
    pub(crate) path: &'a Path,
    /// What a row holds.
    pub(crate) columns: &'a [Column],
    /// The columns to give out, in that order.
    pub(crate) wanted: &'a [usize],
}

impl Text<'_> {
    /// A row takes two bytes a number, the last line's end aside: an error if `available` bytes cannot hold `count` rows.
    pub(crate) fn check_count(&self, count: usize, available: usize, offset: usize) -> Result<(), Error> {
        let least = count.saturating_mul(2 * self.columns.len());
        if least <= available.saturating_add(1) {
            return Ok(());
        }
        let found = format!("{available} bytes before the end of the file");
        Err(Error::malformed(self.path, At::Offset(offset as u64), found, format!("{count} rows of text")))
    }

    /// Calls `take` with the wanted values of each of `count` rows; blank lines do not count.
    pub(crate) fn rows(&self, lines: &mut Lines, count: usize, take: &mut dyn FnMut(&[f64])) -> Result<(), Error> {
        let mut part_of = vec![None; self.columns.len()];
        for (part, &column) in self.wanted.iter().enumerate() {
            part_of[column] = Some(part);
        }
        let lists = self.columns.iter().any(|column| column.length.is_some());
        let mut row = vec![0.0; self.wanted.len()];
        let mut done = 0;
        while done < count {
            let Some(line) = lines.next() else {
                let found = format!("the end of the file after {done} rows");
                return Err(Error::malformed(self.path, At::Line(lines.number()), found, format!("{count} rows")));
            };
            if line.bytes.trim_ascii().is_empty() {
                continue;
            }
            let text = line.text();
            let whole = if lists {
                self.with_lists(&line, &mut text.split_whitespace(), &part_of, &mut row)?
            } else {
                self.plain(&line, &text, &part_of, &mut row)?
            };
            if !whole {
                let expected =
                    format!("{} numbers{}", self.columns.len(), if lists { ", lists among them" } else { "" });
                return Err(Error::malformed(self.path, At::Line(line.number), line.shown(), expected));
            }
            take(&row);
            done += 1;
        }
        Ok(())
    }

    /// Fills `row` from a line of single numbers; false if there are more or fewer of them than columns.
    fn plain(&self, line: &Line, text: &str, part_of: &[Option<usize>], row: &mut [f64]) -> Result<bool, Error> {
        // The usual row, words apart by blanks, needs no memory of its own.
        let mut found = 0;
        let mut commas = false;
        for word in text.split_whitespace() {
            commas |= word.contains([',', ';']);
            if commas {
                break;
            }
            if let Some(part) = part_of.get(found).copied().flatten() {
                row[part] = self.number(line, found, word)?;
            }
            found += 1;
        }
        if !commas {
            return Ok(found == self.columns.len());
        }
        let words = words(text, self.columns.len());
        if words.len() != self.columns.len() {
            return Ok(false);
        }
        for (column, (word, part)) in words.iter().zip(part_of).enumerate() {
            if let Some(part) = *part {
                row[part] = self.number(line, column, word)?;
            }
        }
        Ok(true)
    }

    /// As [`Text::plain`], for rows with lists.
    fn with_lists<'w>(
        &self,
        line: &Line,
        words: &mut impl Iterator<Item = &'w str>,
        part_of: &[Option<usize>],
        row: &mut [f64],
    ) -> Result<bool, Error> {
        for (column, part) in part_of.iter().enumerate() {
            let Some(word) = words.next() else { return Ok(false) };
            if self.columns[column].length.is_some() {
                let length = word.parse::<usize>().ok();
                let skipped = length.map(|length| words.take(length).count());
                if length.is_none() || skipped != length {
                    return Ok(false);
                }
            } else if let Some(part) = *part {
                row[part] = self.number(line, column, word)?;
            }
        }
        Ok(words.next().is_none())
    }

    fn number(&self, line: &Line, column: usize, word: &str) -> Result<f64, Error> {
        let field = &self.columns[column].field;
        field.scalar.text(word).ok_or_else(|| {
            let short: String = word.chars().take(40).collect();
            let expected = format!("a number for {}", field.name);
            Error::malformed(self.path, At::Line(line.number), format!("{short:?}"), expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_divide_or_mark_decimals_by_the_number_of_columns() {
        let of = |text, columns| words(text, columns).join("|");
        assert_eq!(of("1,5 2,5 3,5", 3), "1.5|2.5|3.5");
        assert_eq!(of("1,5 2,5 3,5", 6), "1|5|2|5|3|5");
        assert_eq!(of("1, 2, 3", 3), "1|2|3");
        assert_eq!(of("1,2,3", 3), "1|2|3");
        assert_eq!(of("1,5;2,5;3,5", 3), "1.5|2.5|3.5");
        assert_eq!(of(" 1.5\t2 3 ", 3), "1.5|2|3");
    }
}
