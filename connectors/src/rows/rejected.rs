//! The dead-letter file: every row that was left out by file, line and reason, published beside the output if there is any.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use thalweg::{BoxError, Dropped, Epoch, Sink};

use crate::error::{At, Error};
use crate::out::publish::StagedFile;
use crate::out::store::{Store, is_bucket};

/// The first line of a file of dead letters.
const HEADER: &[u8] = b"file,line,reason\n";

/// The kind of rows that cannot be read.
pub(super) const MALFORMED: &str = "malformed";

/// Rows that were left out, kept on disk a file of input apart, so that their order in the end depends on no order of reading.
#[derive(Debug)]
pub struct Rejected {
    destination: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<(String, Option<BufWriter<File>>)>,
    dropped: BTreeMap<&'static str, Dropped>,
}

impl Rejected {
    /// For an output: `OUTPUT.rejected.csv`, beside a folder if the output is one.
    pub fn beside(output: &str) -> Rejected {
        let destination = format!("{}.rejected.csv", output.trim_end_matches('/')).into();
        Rejected { destination, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Announces a file; its number.
    pub(crate) fn file(&self, path: &Path) -> usize {
        let mut state = self.state();
        state.files.push((path.display().to_string(), None));
        state.files.len() - 1
    }

    /// Notes a row that is left out; `kind` is what it is counted as.
    pub(crate) fn note(&self, file: usize, at: &At, kind: &'static str, reason: &str) -> Result<(), Error> {
        let io = |e| Error::io(&self.destination, e);
        let mut state = self.state();
        let State { files, dropped } = &mut *state;
        let Some((name, spool)) = files.get_mut(file) else { return Ok(()) };
        dropped.entry(kind).or_default().one(|| format!("{name}: {at}: {reason}"));
        if spool.is_none() {
            *spool = Some(BufWriter::new(tempfile::tempfile().map_err(io)?));
        }
        let Some(spool) = spool else { return Ok(()) };
        writeln!(spool, "{},{},{}", quoted(name), line_of(at), quoted(reason)).map_err(io)
    }

    /// Rows left out so far by what they are counted as, and the first of each.
    pub fn dropped(&self) -> BTreeMap<&'static str, Dropped> {
        self.state().dropped.clone()
    }

    /// Rows left out so far.
    pub fn count(&self) -> u64 {
        self.state().dropped.values().map(|dropped| dropped.count).sum()
    }

    /// True if an older run's dead letters stand at the destination: another file of that name is somebody's own.
    fn is_ours(&self) -> bool {
        if let Ok(Some((store, name))) = self.bucket() {
            return store.read(&name).is_ok_and(|bytes| bytes.starts_with(HEADER));
        }
        let mut head = Vec::new();
        let read = File::open(&self.destination).and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut head));
        read.is_ok() && head == HEADER
    }

    /// Where the file goes, in a bucket.
    fn bucket(&self) -> Result<Option<(Store, String)>, Error> {
        let (Some(parent), Some(name)) = (self.destination.parent(), self.destination.file_name()) else {
            return Ok(None);
        };
        if !is_bucket(&self.destination) {
            return Ok(None);
        }
        Ok(Some((Store::at(parent)?, name.to_string_lossy().into_owned())))
    }

    /// Takes away the file of an older run.
    fn remove(&self) -> Result<(), Error> {
        match self.bucket()? {
            Some((store, name)) => store.remove(&name),
            None => std::fs::remove_file(&self.destination).map_err(|e| Error::io(&self.destination, e)),
        }
    }

    /// Writes the whole under a temporary name; `None` if there is nothing to write.
    fn stage(&self) -> Result<Option<Staged>, Error> {
        let io = |e| Error::io(&self.destination, e);
        let mut state = self.state();
        if state.dropped.is_empty() {
            return Ok(None);
        }
        if self.destination.exists() && !self.is_ours() {
            let expected = "no file, or the dead letters of an older run";
            return Err(Error::unsupported(&self.destination, "a file of somebody's own", expected));
        }
        let mut staged = match self.bucket()? {
            Some((store, name)) => Staged::Bucket(store, name, Vec::new()),
            None => Staged::File(StagedFile::create(&self.destination)?),
        };
        staged.write_all(HEADER).map_err(io)?;
        for spool in state.files.iter_mut().filter_map(|(_, spool)| spool.as_mut()) {
            spool.flush().map_err(io)?;
            let file = spool.get_mut();
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            std::io::copy(file, &mut staged).map_err(io)?;
        }
        Ok(Some(staged))
    }
}

/// The whole, before it is published.
#[derive(Debug)]
enum Staged {
    File(StagedFile),
    Bucket(Store, String, Vec<u8>),
}

impl Staged {
    fn publish(self) -> Result<(), Error> {
        match self {
            Staged::File(file) => file.publish(),
            Staged::Bucket(store, name, bytes) => store.put(&name, &bytes),
        }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Staged::File(file) => file.write(bytes),
            Staged::Bucket(.., whole) => whole.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Staged::File(file) => file.flush(),
            Staged::Bucket(..) => Ok(()),
        }
    }
}

/// The number that a dead letter gives a place: a line, or a row counted from 1.
fn line_of(at: &At) -> u64 {
    match at {
        At::Line(line) => *line,
        At::Row(row) => row + 1,
        _ => 0,
    }
}

/// A CSV cell.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// A sink that publishes the rows left out with the output, and takes away those of an older run.
pub struct WithRejected<S> {
    sink: S,
    rejected: std::sync::Arc<Rejected>,
}

impl<S> WithRejected<S> {
    /// Publishes `rejected` when `sink` publishes.
    pub fn new(sink: S, rejected: std::sync::Arc<Rejected>) -> WithRejected<S> {
        WithRejected { sink, rejected }
    }
}

impl<T, S: Sink<T>> Sink<T> for WithRejected<S> {
    fn name(&self) -> String {
        self.sink.name()
    }

    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError> {
        self.sink.write(epoch, item)
    }

    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError> {
        self.sink.tick(complete)
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        let staged = self.rejected.stage()?;
        let outcome = self.sink.finish();
        // Who gets no output because of these rows needs them most.
        match staged {
            Some(staged) => staged.publish()?,
            None if self.rejected.is_ours() => self.rejected.remove()?,
            None => {}
        }
        outcome
    }
}
