//! Lines of a text file that may still be growing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{At, Error};
use crate::format::open_regular;

/// Longest line (bytes).
const LONGEST: usize = 1 << 20;
const CHUNK: usize = 1 << 18;

/// Reads complete lines; what stands after the last newline is a line only once the file grows no more.
pub(crate) struct Lines {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    start: usize,
    growing: bool,
    line: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path, growing: bool) -> Result<Lines, Error> {
        let file = open_regular(path)?;
        Ok(Lines { path: path.into(), file, buffer: Vec::new(), start: 0, growing, line: 0 })
    }

    /// The file grows no more.
    pub(crate) fn close(&mut self) {
        self.growing = false;
    }

    /// The next line and its number, from 1, without its end (`\n` or `\r\n`); `None` at the end of what is there.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>, Error> {
        let mut searched = self.start;
        loop {
            if let Some(length) = self.buffer[searched..].iter().position(|&b| b == b'\n') {
                let (start, end) = (self.start, searched + length);
                self.start = end + 1;
                self.line += 1;
                let line = &self.buffer[start..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(Some((self.line, line)));
            }
            if self.buffer.len() - self.start > LONGEST {
                let found = format!("more than {LONGEST} bytes");
                return Err(Error::malformed(&self.path, At::Line(self.line + 1), found, "a newline"));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            searched = self.buffer.len();
            self.buffer.resize(searched + CHUNK, 0);
            let read = self.file.read(&mut self.buffer[searched..]).map_err(|e| Error::io(&self.path, e))?;
            self.buffer.truncate(searched + read);
            if read == 0 {
                if self.growing || self.buffer.is_empty() {
                    return Ok(None);
                }
                self.start = self.buffer.len();
                self.line += 1;
                return Ok(Some((self.line, &self.buffer)));
            }
        }
    }
}
