//! Lines of a text file that may be gzipped, or still be growing.

use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{At, Error};
use crate::files::open_regular;

/// Longest line (bytes).
const LONGEST: usize = 1 << 20;
const CHUNK: usize = 1 << 18;

/// The first bytes of gzip data.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A regular file's text, unpacked if its first bytes are gzip's; such a file does not grow.
pub(crate) fn open_text(path: &Path, growing: bool) -> Result<Box<dyn Read + Send>, Error> {
    let io = |e| Error::io(path, e);
    let mut file = open_regular(path)?;
    let mut head = Vec::new();
    (&mut file).take(GZIP.len() as u64).read_to_end(&mut head).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    if head != GZIP {
        return Ok(Box::new(file));
    }
    if growing {
        return Err(Error::unsupported(path, "a gzip file to follow", "a file that is written line by line"));
    }
    Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))))
}

/// Reads complete lines; what stands after the last newline is a line only once the file grows no more.
pub(crate) struct Lines {
    path: PathBuf,
    file: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    growing: bool,
    line: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path, growing: bool) -> Result<Lines, Error> {
        let file = open_text(path, growing)?;
        Ok(Lines { path: path.into(), file, buffer: Vec::new(), start: 0, growing, line: 0 })
    }

    /// The file grows no more.
    pub(crate) fn close(&mut self) {
        self.growing = false;
    }

    /// Bytes that stop the decoder are named with the place that was reached; what the system refuses is the system's error.
    fn broken(&self, error: std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                let found = format!("gzip data that break off or are corrupt ({error})");
                Error::malformed(&self.path, At::Line(self.line + 1), found, "a whole gzip file")
            }
            _ => Error::io(&self.path, error),
        }
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
            let read = self.file.read(&mut self.buffer[searched..]).map_err(|e| self.broken(e))?;
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
