//! One stream of bytes, whatever it comes from: a file, plain or gzipped, standard input, a FIFO, or a file that grows.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, TryRecvError};
use flate2::read::MultiGzDecoder;

use super::got::{CHUNK, Got};
use super::growing::Growing;
use super::gzip::is_packed;
use super::pipe::piped;
use super::{STDIN, open_regular};
use crate::error::{At, Error};
use crate::notices::Notices;

/// An open stream.
pub(crate) struct Stream {
    path: PathBuf,
    from: From,
    /// Bytes handed out.
    place: u64,
}

enum From {
    Reader(Box<dyn Read + Send>),
    Pipe { bytes: Receiver<std::io::Result<Vec<u8>>>, closed: bool },
    Growing { file: Growing, closed: bool },
}

impl Stream {
    /// Opens a path; `-` is standard input. Packed data are told by their first bytes.
    ///
    /// # Errors
    /// A path that cannot be opened, or leads to a folder; a packed file to follow.
    pub(crate) fn open(path: &Path, follow: bool, notices: &Notices) -> Result<Stream, Error> {
        let io = |e| Error::io(path, e);
        let stream = |from| Ok(Stream { path: path.into(), from, place: 0 });
        if path == Path::new(STDIN) {
            return stream(From::Pipe { bytes: piped(|| Ok(std::io::stdin())).map_err(io)?, closed: false });
        }
        match std::fs::metadata(path) {
            Ok(kind) if kind.is_dir() => return Err(Error::unsupported(path, "a folder", "a file")),
            Ok(kind) if !kind.is_file() => {
                let name = path.to_path_buf();
                return stream(From::Pipe { bytes: piped(move || File::open(name)).map_err(io)?, closed: false });
            }
            Err(e) if !(follow && e.kind() == ErrorKind::NotFound) => return Err(io(e)),
            _ => {}
        }
        if !follow {
            let mut file = open_regular(path)?;
            let packed = is_packed(&mut file).map_err(io)?;
            let from: Box<dyn Read + Send> = if packed {
                Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)))
            } else {
                Box::new(file)
            };
            return stream(From::Reader(from));
        }
        if path.exists() && is_packed(&mut open_regular(path)?).map_err(io)? {
            return Err(Error::unsupported(path, "a gzip file to follow", "a file that is written line by line"));
        }
        stream(From::Growing { file: Growing::new(path, notices), closed: false })
    }

    /// Where the bytes come from, as messages call it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The stream grows no more: what is there is read, then it ends.
    pub(crate) fn close(&mut self) {
        if let From::Growing { closed, .. } | From::Pipe { closed, .. } = &mut self.from {
            *closed = true;
        }
    }

    /// True if what was handed out last may go on later.
    pub(crate) fn grows(&self) -> bool {
        matches!(self.from, From::Growing { .. })
    }

    /// Appends what there is to `buffer`.
    ///
    /// # Errors
    /// A file that cannot be read, or packed data that are corrupt.
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<Got, Error> {
        let start = buffer.len();
        let got = match &mut self.from {
            From::Reader(reader) => {
                buffer.resize(start + CHUNK, 0);
                let read = loop {
                    match reader.read(&mut buffer[start..]) {
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        read => break read,
                    }
                };
                buffer.truncate(start + *read.as_ref().unwrap_or(&0));
                read.map(|read| if read == 0 { Got::End } else { Got::Bytes })
            }
            From::Pipe { bytes, closed } => match bytes.try_recv() {
                Ok(Ok(more)) => {
                    buffer.extend_from_slice(&more);
                    Ok(Got::Bytes)
                }
                Ok(Err(e)) => Err(e),
                Err(TryRecvError::Empty) if *closed => Ok(Got::End),
                Err(TryRecvError::Empty) => Ok(Got::Nothing),
                Err(TryRecvError::Disconnected) => Ok(Got::End),
            },
            From::Growing { file, closed } => {
                let got = file.fill(buffer)?;
                Ok(if *closed && got == Got::Nothing { Got::End } else { got })
            }
        };
        let place = self.place;
        self.place += (buffer.len() - start) as u64;
        got.map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                let found = format!("gzip data that break off or are corrupt, {place} bytes into the text ({e})");
                Error::malformed(&self.path, At::File, found, "a whole gzip file")
            }
            _ => Error::io(&self.path, e),
        })
    }
}
