//! What a run reads and writes, counted on the way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use thalweg::asof::{RowBatch, Stamped};
use thalweg::contacts::Scores;
use thalweg::graph::Answers;
use thalweg::molecules::{Evaluated, Molecule};
use thalweg::points::map::{MapChanges, MapGraph};
use thalweg::points::radar::{JOINTS, Skeleton};
use thalweg::source::Position;
use thalweg::{BoxError, Frame, KnnGraph, Next, Segmentation, Source};
use thalweg_connectors::out::energies::Energy;
use thalweg_connectors::rows::Rejected;

/// What a run read and wrote so far.
#[derive(Debug)]
pub struct Written {
    read: AtomicU64,
    /// The earliest stamp (ns) of the rows read.
    earliest: AtomicI64,
    total: AtomicU64,
    counts: Mutex<Counts>,
    /// Malformed rows, of an input of rows.
    rejected: OnceLock<Arc<Rejected>>,
}

/// Rows written, and points by class where there are classes.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Rows of the output.
    pub rows: u64,
    /// Points of each class, by its name.
    pub classes: BTreeMap<String, u64>,
}

impl Default for Written {
    fn default() -> Written {
        Written {
            read: AtomicU64::new(0),
            earliest: AtomicI64::new(i64::MAX),
            total: AtomicU64::new(0),
            counts: Mutex::default(),
            rejected: OnceLock::new(),
        }
    }
}

impl Written {
    /// The earliest stamp (ns) of the rows read, if there were any.
    pub(crate) fn earliest(&self) -> Option<i64> {
        Some(self.earliest.load(Ordering::Relaxed)).filter(|t| *t < i64::MAX)
    }

    /// Frames or rows read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Frames that the input holds in all, where that is known.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }

    /// Counts what one item puts into the output.
    pub(crate) fn count(&self, item: &impl Rows) {
        item.count(&mut self.lock());
    }

    /// Has the malformed rows of the input among what was left out.
    pub(crate) fn set_rejected(&self, rejected: &Arc<Rejected>) {
        self.rejected.get_or_init(|| Arc::clone(rejected));
    }

    /// The malformed rows of the input, where it is one of rows.
    pub(crate) fn rejected(&self) -> Option<&Rejected> {
        self.rejected.get().map(|rejected| &**rejected)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What was written.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }
}

/// What counts as read.
pub trait Read {
    /// Frames, or rows.
    fn size(&self) -> u64;

    /// The earliest stamp (ns) of its rows.
    fn earliest(&self) -> Option<i64> {
        None
    }

    /// True if all that it brings is in the output of its epoch: a run can go on behind it.
    fn whole(&self) -> bool {
        true
    }

    /// It is read again for the state that stages retain: what it gives is there already.
    fn again(&mut self) {}
}

impl Read for Frame {
    fn size(&self) -> u64 {
        1
    }

    fn again(&mut self) {
        self.again = true;
    }
}

impl<F: Stamped> Read for RowBatch<F> {
    fn size(&self) -> u64 {
        self.rows.len() as u64
    }

    fn earliest(&self) -> Option<i64> {
        self.rows.iter().filter_map(|(row, _)| row.t()).min()
    }

    fn whole(&self) -> bool {
        self.due
    }
}

/// What counts as written. Rows of graphs are the edges that the run's report counts.
pub trait Rows {
    /// Adds what one item puts into the output.
    fn count(&self, _: &mut Counts) {}
}

impl Rows for KnnGraph {}
impl Rows for MapGraph {}
impl Rows for MapChanges {}

impl Rows for Segmentation {
    fn count(&self, counts: &mut Counts) {
        counts.rows += self.class.len() as u64;
        let mut points = [0u64; 256];
        self.class.iter().for_each(|&class| points[usize::from(class)] += 1);
        for (code, name) in self.classes.iter().filter(|(code, _)| points[usize::from(*code)] > 0) {
            *counts.classes.entry(name.into()).or_default() += points[usize::from(code)];
        }
    }
}

impl Read for Molecule {
    fn size(&self) -> u64 {
        1
    }
}

impl Rows for Vec<Energy> {
    fn count(&self, counts: &mut Counts) {
        counts.rows += self.len() as u64;
    }
}

impl Rows for Evaluated {}

impl Rows for Skeleton {
    fn count(&self, counts: &mut Counts) {
        counts.rows += JOINTS as u64;
    }
}

impl Rows for Answers {
    fn count(&self, counts: &mut Counts) {
        counts.rows += self.rows.len() as u64;
    }
}

impl Rows for Scores {
    fn count(&self, counts: &mut Counts) {
        counts.rows += self.rows.len() as u64;
    }
}

/// A source whose items are counted as they are read.
pub struct Counted<S> {
    source: S,
    written: Arc<Written>,
}

impl<S: Source> Counted<S> {
    /// Counts what `source` delivers.
    pub fn new(source: S, written: &Arc<Written>) -> Counted<S> {
        written.total.store(source.total().unwrap_or(0), Ordering::Relaxed);
        Counted { source, written: Arc::clone(written) }
    }
}

impl<S: Source<Item: Read>> Source for Counted<S> {
    type Item = S::Item;

    fn name(&self) -> String {
        self.source.name()
    }

    fn drain(&mut self) -> bool {
        self.source.drain()
    }

    fn time(&self, item: &S::Item) -> Option<i64> {
        self.source.time(item)
    }

    fn reached(&self) -> Option<i64> {
        self.source.reached()
    }

    fn position(&self) -> Option<Position> {
        self.source.position()
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.source.start_at(position)
    }

    fn next(&mut self) -> Result<Next<S::Item>, BoxError> {
        let next = self.source.next()?;
        if let Next::Item(item) = &next {
            self.written.read.fetch_add(item.size(), Ordering::Relaxed);
            if let Some(t) = item.earliest() {
                self.written.earliest.fetch_min(t, Ordering::Relaxed);
            }
        }
        Ok(next)
    }
}
