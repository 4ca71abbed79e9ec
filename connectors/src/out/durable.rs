//! A folder of segments that a run may be killed at any moment of writing, and go on with: rows become part of it by checkpoints alone.
//!
//! Order of a commit: the segments that are new are written whole and made durable as `segment-00000000.parquet.staged`; the checkpoint that
//! names them takes its number; they lose the ending `.staged`; the manifest lists them. Killed before the checkpoint, a run finds staged files
//! that nobody names, and removes them. Killed after it, a run finds what the checkpoint names under one of the two names, and puts it in place.
//! So who reads `*.parquet` sees a row once, or not yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use thalweg::source::Position;
use thalweg::{BoxError, Epoch, Sink};

use super::announce::Announced;
use super::checkpoint::{Checkpoint, Checkpoints};
use super::die::die_at;
use super::lock::{Lock, STAGED};
use super::manifest::{Growing as GrowingManifest, MANIFEST, Manifest, Segment};
use super::segment::{OpenSegment, check};
use super::segments::Roll;
use super::store::Store;
use super::writer::Batches;
use crate::error::{At, Error};

/// Where an item of the source stands.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// Behind it.
    pub position: Position,
    /// Where a run must begin to read to have what stages retain behind it.
    pub restart: Position,
    /// True if the output of all items up to it is complete when its epoch is.
    pub whole: bool,
}

/// What the source tells the sink: where the item of each epoch stands, and which epochs are read again for their state alone.
#[derive(Clone, Debug, Default)]
pub struct Marks(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// By epoch, from `first` on.
    marks: VecDeque<Mark>,
    first: Epoch,
    /// Epochs before this one gave their output before.
    again: Epoch,
    /// Epochs before this one have come to the sink.
    written: Epoch,
}

impl Marks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The item of the next epoch.
    pub fn push(&self, mark: Mark) {
        self.lock().marks.push_back(mark);
    }

    /// The number of items so far.
    pub fn count(&self) -> u64 {
        let inner = self.lock();
        inner.first + inner.marks.len() as u64
    }

    /// Epochs before this one are read again: their output is there already.
    pub fn again_until(&self, epoch: Epoch) {
        self.lock().again = epoch;
    }

    /// True if the sink has had all items so far.
    pub fn all_written(&self) -> bool {
        let inner = self.lock();
        inner.written >= inner.first + inner.marks.len() as u64
    }

    fn wrote(&self, epoch: Epoch) {
        self.lock().written = epoch + 1;
    }

    fn is_again(&self, epoch: Epoch) -> bool {
        epoch < self.lock().again
    }

    /// The mark of an epoch; those before it are given up.
    fn of(&self, epoch: Epoch) -> Option<Mark> {
        let mut inner = self.lock();
        while inner.first < epoch && inner.marks.pop_front().is_some() {
            inner.first += 1;
        }
        inner.marks.front().filter(|_| inner.first == epoch).cloned()
    }
}

/// How a run is kept.
pub struct Keeping {
    /// Where checkpoints go.
    pub checkpoints: Checkpoints,
    /// The one that the run goes on from; [`Checkpoint::first`] for a run that begins.
    pub from: Checkpoint,
    /// What the source says.
    pub marks: Marks,
    /// How often a checkpoint is made.
    pub every: Duration,
    /// Set where the run was asked to end before its input did.
    pub drain: Arc<AtomicBool>,
}

/// The sink.
pub struct DurableSink<T> {
    store: Store,
    schema: SchemaRef,
    batches: Batches<T>,
    roll: Roll,
    keeping: Keeping,
    manifest: GrowingManifest,
    /// Segments that are whole, and not in the manifest.
    fresh: Vec<Segment>,
    open: Option<OpenSegment>,
    rows: u64,
    /// The epoch written last.
    written: Option<Epoch>,
    since: Instant,
    failed: bool,
    announced: Announced,
    lock: Lock,
}

impl<T> DurableSink<T> {
    /// A sink into `folder`, which it brings to where the checkpoint says.
    ///
    /// # Errors
    /// A folder that another run writes into, that holds other output, or whose segments are not those of the checkpoint.
    pub fn create(
        folder: &Path,
        schema: SchemaRef,
        batches: Batches<T>,
        roll: Roll,
        keeping: Keeping,
    ) -> Result<DurableSink<T>, Error> {
        die_at("run begins");
        let store = Store::at(folder)?;
        store.make()?;
        let lock = Lock::take(&store)?;
        let mut manifest = GrowingManifest::new(&schema);
        for segment in recovered(&store, &keeping.from)? {
            manifest.push(segment);
        }
        let rows = keeping.from.rows;
        let mut sink = DurableSink {
            store,
            schema,
            batches,
            roll,
            keeping,
            manifest,
            fresh: Vec::new(),
            open: None,
            rows,
            written: None,
            since: Instant::now(),
            failed: false,
            announced: Announced::default(),
            lock,
        };
        if sink.keeping.from.complete {
            sink.manifest.end();
        }
        if sink.keeping.from.number > 0 {
            sink.manifest.publish(&sink.store)?;
        }
        Ok(sink)
    }

    fn put(&mut self, epoch: Epoch, item: &T) -> Result<(), Error> {
        let wrote = self.put_in(epoch, item);
        self.keeping.marks.wrote(epoch);
        wrote
    }

    fn put_in(&mut self, epoch: Epoch, item: &T) -> Result<(), Error> {
        if self.keeping.marks.is_again(epoch) {
            return Ok(());
        }
        // What was written is whole epochs: a checkpoint stands between two of them.
        if self.written.is_some_and(|written| written < epoch) {
            self.commit_by_time()?;
        }
        self.written = Some(epoch);
        for batch in (self.batches)(item) {
            let batch = batch?;
            let open = match &mut self.open {
                Some(open) => open,
                none => {
                    let number = self.manifest.segments() + self.fresh.len() as u64;
                    none.insert(OpenSegment::create(&self.store, number, &self.lock.ending(), self.schema.clone())?)
                }
            };
            self.rows += batch.num_rows() as u64;
            open.write(&batch)?;
        }
        if let Some(open) = &mut self.open {
            open.items += 1;
            if open.items >= self.roll.items {
                self.close()?;
            }
        }
        Ok(())
    }

    /// All epochs before this one are complete: the last of them may have had nothing to write, and be one behind which a run can go on.
    fn reach(&mut self, complete: Epoch) {
        let Some(last) = complete.min(self.keeping.marks.count()).checked_sub(1) else { return };
        if self.written < Some(last) && !self.keeping.marks.is_again(last) {
            self.written = Some(last);
            self.keeping.marks.wrote(last);
        }
    }

    /// Ends the segment that is open: it is whole, but no part of the output.
    fn close(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            self.fresh.push(open.publish()?);
        }
        Ok(())
    }

    fn commit_by_time(&mut self) -> Result<(), Error> {
        if self.since.elapsed() < self.keeping.every {
            return Ok(());
        }
        self.commit(false)
    }

    /// Commits what was written, if the epoch written last is one behind which a run can go on.
    fn commit(&mut self, complete: bool) -> Result<(), Error> {
        let mark = self.written.and_then(|epoch| self.keeping.marks.of(epoch)).filter(|mark| mark.whole);
        if mark.is_none() && !complete {
            return Ok(());
        }
        self.close()?;
        let from = &self.keeping.from;
        let Mark { position, restart, .. } = mark.unwrap_or_else(|| Mark {
            position: from.position.clone(),
            restart: from.restart.clone(),
            whole: true,
        });
        let mut checkpoint = self.keeping.from.clone();
        (checkpoint.position, checkpoint.restart, checkpoint.complete) = (position, restart, complete);
        checkpoint.segments = self.manifest.segments() + self.fresh.len() as u64;
        (checkpoint.rows, checkpoint.fresh) = (self.rows, self.fresh.clone());
        die_at("segments staged");
        self.lock.still_held()?;
        self.keeping.checkpoints.commit(&mut checkpoint)?;
        die_at("checkpoint made");
        self.keeping.from = checkpoint;
        for segment in std::mem::take(&mut self.fresh) {
            self.store.rename(&format!("{}{}", segment.file, self.lock.ending()), &segment.file)?;
            die_at("segment placed");
            self.announced.add(&segment);
            self.manifest.push(segment);
        }
        if complete {
            self.manifest.end();
        }
        self.manifest.publish(&self.store)?;
        die_at("manifest published");
        let last = complete || self.keeping.drain.load(Ordering::Relaxed);
        self.announced.say(self.store.root(), Some(self.keeping.from.number), last);
        self.since = Instant::now();
        Ok(())
    }

    /// Runs one step of the writing; after one that failed nothing more is committed.
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), BoxError> {
        if std::mem::replace(&mut self.failed, true) {
            return Ok(());
        }
        if let Err(error) = step(self) {
            let from = match self.keeping.from.number {
                0 => "begins again".to_string(),
                number => format!("goes on from checkpoint {number}"),
            };
            return Err(format!("{error}: once that is mended the same command {from}").into());
        }
        self.failed = false;
        Ok(())
    }
}

impl<T> Sink<T> for DurableSink<T> {
    fn name(&self) -> String {
        self.store.root().display().to_string()
    }

    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError> {
        self.attempt(|sink| sink.put(epoch, &item))
    }

    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError> {
        self.reach(complete);
        let new = self.open.is_some() || !self.fresh.is_empty();
        if new { self.attempt(Self::commit_by_time) } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        let complete = !self.keeping.drain.load(Ordering::Relaxed);
        self.reach(Epoch::MAX);
        self.attempt(|sink| sink.commit(complete))
    }
}

/// Brings a place to where a checkpoint says, and gives the segments of the output. What no checkpoint names is removed.
fn recovered(store: &Store, from: &Checkpoint) -> Result<Vec<Segment>, Error> {
    let there: HashMap<String, u64> = store.list()?.into_iter().map(|entry| (entry.name, entry.bytes)).collect();
    let listed = there.contains_key(MANIFEST);
    if listed && from.number == 0 {
        let expected = "a folder without one, or the checkpoints of the run that wrote it";
        return Err(Error::unsupported(store.root(), "a published manifest", expected));
    }
    let before = (from.segments as usize).saturating_sub(from.fresh.len());
    let mut manifest = Manifest { schema: Vec::new(), complete: false, segments: Vec::new() };
    if listed {
        manifest = Manifest::listed(store)?;
    }
    if manifest.segments.len() < before {
        let found = format!("{} segments", manifest.segments.len());
        let expected = format!("{before} or more: those of checkpoint {}", from.number);
        return Err(Error::malformed(&store.path(MANIFEST), At::File, found, expected));
    }
    manifest.segments.truncate(before);
    if store.is_remote() {
        // A bucket answers for the content of what it took whole: to read all of it again would cost as much as the output is long.
        manifest.has_all(store)?;
    } else {
        manifest.segments.iter().try_for_each(|segment| check(store, &segment.file, segment))?;
    }
    let mut segments = manifest.segments;
    for segment in &from.fresh {
        if there.contains_key(&segment.file) {
            check(store, &segment.file, segment)?;
        } else {
            store.rename(&staged(store, &there, segment)?, &segment.file)?;
            die_at("segment placed again");
        }
        store.release(&segment.file);
        segments.push(segment.clone());
    }
    let named: HashSet<&str> = segments.iter().map(|segment| segment.file.as_str()).collect();
    for name in there.keys() {
        let stray = name.starts_with("segment-") || (name.starts_with(".segment-") && name.ends_with(".tmp"));
        if stray && !named.contains(name.as_str()) && store.length(name)?.is_some() {
            store.remove(name)?;
            die_at("stray removed");
        }
    }
    Ok(segments)
}

/// The name under which a segment stands that a checkpoint names and that is not in its place yet.
fn staged(store: &Store, there: &HashMap<String, u64>, segment: &Segment) -> Result<String, Error> {
    let usual = format!("{}{STAGED}", segment.file);
    // In a bucket each writer has names of its own.
    let mut names: Vec<&String> =
        there.keys().filter(|name| name.starts_with(&segment.file) && name.ends_with(STAGED)).collect();
    names.sort_unstable();
    let mut wrong = None;
    for name in names {
        match check(store, name, segment) {
            Ok(()) => {
                store.release(name);
                return Ok(name.clone());
            }
            Err(error) => drop(wrong.get_or_insert(error)),
        }
    }
    Err(wrong.unwrap_or_else(|| Error::io(&store.path(&usual), std::io::ErrorKind::NotFound.into())))
}
