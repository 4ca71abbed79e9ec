//! Lines of a text that is read as a stream, with their numbers, and the numbers in them.

use std::io::{BufRead, Read};

use super::error::MoleculeError;

/// Bytes of the longest line that is read: binary data may hold a line without end.
pub(super) const LONGEST: usize = 1 << 20;

/// The lines of `reader`, ended by LF or CRLF. What is no UTF-8 is replaced.
pub(super) struct Lines<R> {
    reader: R,
    bytes: Vec<u8>,
    replaced: String,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Lines<R> {
        Lines { reader, bytes: Vec::new(), replaced: String::new(), number: 0 }
    }

    /// Number of the last line given out, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, MoleculeError> {
        self.bytes.clear();
        if (&mut self.reader).take(LONGEST as u64 + 1).read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.bytes.len() > LONGEST {
            let found = format!("a line above {LONGEST} bytes");
            return Err(MoleculeError::frame(self.number, found, "lines of text").last());
        }
        let mut line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number == 1 {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        match std::str::from_utf8(line) {
            Ok(line) => Ok(Some(line)),
            Err(_) => {
                self.replaced = String::from_utf8_lossy(line).into_owned();
                Ok(Some(&self.replaced))
            }
        }
    }
}

/// A number, finite or not; Fortran's `1.5D-3` is one.
pub(super) fn real(word: &str) -> Option<f64> {
    word.parse().ok().or_else(|| {
        let fortran = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'd' | b'D'));
        word.replace(['d', 'D'], "e").parse().ok().filter(|_| fortran)
    })
}

/// What a label's text says: nothing for a missing value, an error for what is no finite number.
pub(super) fn label(text: &str) -> Result<Option<f64>, ()> {
    let missing = ["", "nan", "na", "null", "none"].iter().any(|none| text.eq_ignore_ascii_case(none));
    if missing { Ok(None) } else { real(text).filter(|x| x.is_finite()).map(Some).ok_or(()) }
}
