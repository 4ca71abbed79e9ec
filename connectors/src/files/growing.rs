//! A file that is still being written: what was appended since the last look, and whether another file took its place.
//!
//! Rotation comes in two kinds. Renamed away: the old file is read to its end first, then the new one from its beginning. Copied and
//! truncated: what stands there now is read from its beginning; what was written between the last look and the cut is not to be had.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::got::{CHUNK, Got};
use crate::error::Error;
use crate::notices::Notices;

/// Bytes before the place of reading that must still be what they were.
const TAIL: usize = 64;

/// The file under a path, followed.
pub(super) struct Growing {
    path: PathBuf,
    notices: Notices,
    open: Option<File>,
    /// Bytes read of the open file.
    offset: u64,
    /// The last of these bytes.
    tail: Vec<u8>,
}

impl Growing {
    pub(super) fn new(path: &Path, notices: &Notices) -> Growing {
        Growing { path: path.into(), notices: notices.clone(), open: None, offset: 0, tail: Vec::new() }
    }

    /// What the path leads to at present.
    fn there(&self) -> Result<Option<Metadata>, Error> {
        match std::fs::metadata(&self.path) {
            Ok(kind) if kind.is_file() => Ok(Some(kind)),
            Ok(_) => Err(Error::unsupported(&self.path, "a folder or a device", "a regular file to follow")),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&self.path, e)),
        }
    }

    /// Appends what has come to `buffer`.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<Got, Error> {
        let there = self.there()?;
        let Some(file) = &self.open else {
            if there.is_none() {
                return Ok(Got::Nothing);
            }
            self.begin()?;
            return self.append(buffer);
        };
        let own = file.metadata().map_err(|e| Error::io(&self.path, e))?;
        if own.len() < self.offset || !self.tail_stands() {
            self.notices.warn(
                &self.path,
                "was cut or written anew under its name; it is read from its beginning, rows added just before that may be lost",
            );
            self.begin()?;
            return Ok(Got::Anew { cut: true });
        }
        match self.append(buffer)? {
            Got::Nothing => {}
            got => return Ok(got),
        }
        match there {
            Some(kind) if (kind.dev(), kind.ino()) != (own.dev(), own.ino()) => {
                self.notices.warn(&self.path, "was replaced under its name; the new file is read from its beginning");
                self.begin()?;
                Ok(Got::Anew { cut: false })
            }
            _ => Ok(Got::Nothing),
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.open = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io(&self.path, e)),
        };
        self.offset = 0;
        self.tail.clear();
        Ok(())
    }

    /// True if the bytes just before the place of reading are those that were read.
    fn tail_stands(&self) -> bool {
        let Some(file) = &self.open else { return true };
        let mut now = [0; TAIL];
        let now = &mut now[..self.tail.len()];
        file.read_exact_at(now, self.offset - self.tail.len() as u64).is_ok() && *now == self.tail
    }

    fn append(&mut self, buffer: &mut Vec<u8>) -> Result<Got, Error> {
        let Some(file) = &self.open else { return Ok(Got::Nothing) };
        let start = buffer.len();
        buffer.resize(start + CHUNK, 0);
        let read = file.read_at(&mut buffer[start..], self.offset);
        buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        let read = read.map_err(|e| Error::io(&self.path, e))?;
        if read == 0 {
            return Ok(Got::Nothing);
        }
        if !self.tail_stands() {
            // Cut while it was read: these bytes may lie anywhere in what was written since.
            buffer.truncate(start);
            return Ok(Got::Nothing);
        }
        self.offset += read as u64;
        self.tail.extend_from_slice(&buffer[buffer.len() - read.min(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        Ok(Got::Bytes)
    }
}
