//! Text as it comes: a buffer over a stream, from which lines or records are taken whole.

use std::path::Path;

use crate::error::{At, Error};
use crate::files::got::Got;
use crate::files::stream::Stream;
use crate::notices::Notices;

/// Longest line or record (bytes).
pub(super) const LONGEST: usize = 1 << 20;
/// A byte order mark.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What is wrong with the rest of a line whose file was cut.
pub(super) const CUT_OFF: &str = "found a row that was cut off with its file, expected a whole one";

/// What there is at the place of reading.
pub(super) enum Piece<T> {
    /// The next line or record, with the number of its (first) line, from 1.
    Item(u64, T),
    /// Nothing whole at present.
    Nothing,
    /// Nothing any more.
    End,
    /// Another file begins.
    Anew,
}

/// How far a record reaches in the bytes after the place of reading.
pub(super) enum Reach {
    /// So many bytes, its end included, and the lines in it.
    Whole(usize),
    /// Farther than the bytes that are there.
    Open,
}

/// Text over a stream.
pub(super) struct Text {
    stream: Stream,
    buffer: Vec<u8>,
    /// Where in the buffer reading goes on.
    start: usize,
    /// Lines before that.
    line: u64,
    ended: bool,
    /// Another file has begun behind what is in the buffer; whether the one before was cut.
    anew: Option<bool>,
    fresh: bool,
}

impl Text {
    /// From a stream and what was read of it.
    pub(super) fn new(stream: Stream, head: Vec<u8>) -> Text {
        Text { stream, buffer: head, start: 0, line: 0, ended: false, anew: None, fresh: true }
    }

    pub(super) fn path(&self) -> &Path {
        self.stream.path()
    }

    pub(super) fn grows(&self) -> bool {
        self.stream.grows()
    }

    pub(super) fn close(&mut self) {
        self.stream.close();
    }

    /// The bytes at hand.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Passes over `length` bytes at hand.
    pub(super) fn pass(&mut self, length: usize) {
        self.start += length;
    }

    /// Fetches more bytes behind those at hand.
    pub(super) fn more(&mut self) -> Result<Got, Error> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let got = self.stream.fill(&mut self.buffer)?;
        self.ended |= got == Got::End;
        Ok(got)
    }

    /// The next piece, whose reach `reach` tells: it is given the bytes at hand, and whether no more will come. The bytes of the piece are
    /// handed over without its line end; blank ones are passed over.
    pub(super) fn piece(
        &mut self,
        mut reach: impl FnMut(&[u8], bool) -> Reach,
    ) -> Result<Piece<std::ops::Range<usize>>, Error> {
        loop {
            if self.fresh {
                self.begin();
            }
            let last = self.ended || self.anew == Some(false);
            let whole = last && !(self.ended && self.stream.grows());
            match if self.bytes().is_empty() { Reach::Open } else { reach(&self.buffer[self.start..], whole) } {
                Reach::Whole(length) => {
                    let (from, number) = (self.start, self.line + 1);
                    let piece = &self.buffer[from..from + length];
                    self.line += piece.iter().filter(|&&b| b == b'\n').count().max(1) as u64;
                    let body = piece.strip_suffix(b"\n").unwrap_or(piece);
                    let body = body.strip_suffix(b"\r").unwrap_or(body);
                    let range = from..from + body.len();
                    self.start += length;
                    if !self.buffer[range.clone()].trim_ascii().is_empty() {
                        return Ok(Piece::Item(number, range));
                    }
                }
                Reach::Open => {
                    if self.bytes().len() > LONGEST {
                        let found = format!("more than {LONGEST} bytes");
                        return Err(Error::malformed(self.path(), At::Line(self.line + 1), found, "a line's end"));
                    }
                    if let Some(cut) = self.anew.take() {
                        // What is left of a file that was cut is no line.
                        let left = !self.bytes().trim_ascii().is_empty();
                        self.start = self.buffer.len();
                        (self.line, self.fresh) = (0, true);
                        if left && cut {
                            return Ok(Piece::Item(0, self.start..self.start));
                        }
                        return Ok(Piece::Anew);
                    }
                    if self.ended {
                        return Ok(Piece::End);
                    }
                    match self.more()? {
                        Got::Bytes | Got::End => {}
                        Got::Nothing => return Ok(Piece::Nothing),
                        Got::Anew { cut } => self.anew = Some(cut),
                    }
                }
            }
        }
    }

    /// Passes over a byte order mark at the beginning of a file.
    fn begin(&mut self) {
        if self.bytes().starts_with(BOM) {
            self.start += BOM.len();
        }
        // One byte of the mark may be here and the others not yet.
        self.fresh = self.bytes().len() < BOM.len() && BOM.starts_with(self.bytes()) && !self.ended;
    }

    /// The bytes of a piece.
    pub(super) fn of(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Says that a last line without its end was left, once; true once said.
    pub(super) fn tell_left(&self, notices: &Notices, told: bool) -> bool {
        let left = self.ended && !self.bytes().trim_ascii().is_empty();
        if left && !told {
            notices.warn(self.path(), "the last line has no end; it waits for it and was not read");
        }
        told || left
    }
}

/// The reach of a line.
pub(super) fn line(bytes: &[u8], last: bool) -> Reach {
    match bytes.iter().position(|&b| b == b'\n') {
        Some(end) => Reach::Whole(end + 1),
        None if last => Reach::Whole(bytes.len()),
        None => Reach::Open,
    }
}
