//! One stream of bytes, whatever it comes from: a file, plain or gzipped, standard input, a FIFO, or a file that grows.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use flate2::read::MultiGzDecoder;

use super::growing::Growing;
use super::{STDIN, open_regular};
use crate::error::{At, Error};
use crate::notices::Notices;

/// Bytes asked for at a time.
pub(super) const CHUNK: usize = 1 << 18;
/// The first bytes of gzip data.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a look for more bytes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// Bytes, now at the end of the buffer.
    Bytes,
    /// None at present.
    Nothing,
    /// None any more.
    End,
    /// Another file stands under the name: what comes next is its beginning. `cut`: the old one was shortened, so that a line without
    /// its end is no line.
    Anew { cut: bool },
}

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

fn is_packed(file: &mut File) -> std::io::Result<bool> {
    let mut head = Vec::new();
    file.take(GZIP.len() as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head == GZIP)
}

/// Reads a pipe on a thread of its own, since nothing else can wait for it and be stopped. The thread ends with the pipe or the process.
fn piped<R: Read + Send>(
    open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
) -> std::io::Result<Receiver<std::io::Result<Vec<u8>>>> {
    let (sender, receiver) = bounded(16);
    let read = move || {
        let chunks = move |mut from: Box<dyn Read + '_>| loop {
            let mut chunk = vec![0; 1 << 16];
            match from.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => {
                    chunk.truncate(read);
                    if sender.send(Ok(chunk)).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    // Nobody listens any more where this fails.
                    let _ = sender.send(Err(e));
                    return;
                }
            }
        };
        match open() {
            Ok(mut pipe) => {
                let mut head = Vec::new();
                match (&mut pipe).take(GZIP.len() as u64).read_to_end(&mut head) {
                    Err(e) => chunks(Box::new(Broken(Some(e)))),
                    Ok(_) if head == GZIP => {
                        chunks(Box::new(MultiGzDecoder::new(BufReader::new((&head[..]).chain(pipe)))))
                    }
                    Ok(_) => chunks(Box::new((&head[..]).chain(pipe))),
                }
            }
            Err(e) => chunks(Box::new(Broken(Some(e)))),
        }
    };
    std::thread::Builder::new().name("pipe".into()).spawn(read)?;
    Ok(receiver)
}

/// A pipe that could not be read.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
