//! How a run ends: what was read and written is counted on the way, and one that used nothing of what it read publishes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use thalweg::asof::RowBatch;
use thalweg::contacts::Scores;
use thalweg::graph::Answers;
use thalweg::molecules::{Evaluated, Molecule};
use thalweg::points::map::{MapChanges, MapGraph};
use thalweg::points::radar::{JOINTS, Skeleton};
use thalweg::report::{Dropped, Stats};
use thalweg::source::Position;
use thalweg::{BoxError, Epoch, Flow, Frame, KnnGraph, Next, Pipeline, Portable, Report, Segmentation, Sink, Source};
use thalweg_connectors::Notices;
use thalweg_connectors::out::energies::Energy;
use thalweg_connectors::rows::Rejected;

use crate::pipeline::Context;
use crate::{Failure, Settings, input};

/// What a run read and wrote so far.
#[derive(Debug, Default)]
pub struct Written {
    read: AtomicU64,
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

impl Written {
    /// Frames or rows read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Frames that the input holds in all, where that is known.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
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

impl<F> Read for RowBatch<F> {
    fn size(&self) -> u64 {
        self.rows.len() as u64
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
        }
        Ok(next)
    }
}

/// A sink that counts what is written, and publishes nothing where nothing that was read could be used.
pub struct Careful<S> {
    sink: S,
    written: Arc<Written>,
    /// How the input is called, and whether any of it was used; asked at the end.
    input: String,
    used: Box<dyn Fn() -> Result<(), Unused> + Send>,
    refused: bool,
}

/// What was left out of an input of which nothing was used.
pub type Unused = BTreeMap<String, Dropped>;

impl<S> Careful<S> {
    /// Lets `sink` publish if `used` says that something of `input` was of use, or that there was nothing.
    pub fn new(
        sink: S,
        input: String,
        written: &Arc<Written>,
        used: impl Fn() -> Result<(), Unused> + Send + 'static,
    ) -> Careful<S> {
        Careful { sink, written: Arc::clone(written), input, used: Box::new(used), refused: false }
    }
}

impl<T: Rows, S: Sink<T>> Sink<T> for Careful<S> {
    fn name(&self) -> String {
        if self.refused { self.input.clone() } else { self.sink.name() }
    }

    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError> {
        item.count(&mut self.written.lock());
        self.sink.write(epoch, item)
    }

    fn tick(&mut self) -> Result<(), BoxError> {
        self.sink.tick()
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        if let Err(unused) = (self.used)() {
            self.refused = true;
            let reasons: Vec<_> = unused.iter().map(|(reason, dropped)| line(reason, dropped)).collect();
            return Err(format!("found nothing that could be used: {}", reasons.join("; ")).into());
        }
        self.sink.finish()
    }
}

/// Runs a plan over frames into a sink, as all pipelines over frames do: what is read and written is counted and shown, a signal drains, and
/// nothing is published where nothing could be used.
///
/// # Errors
/// Those of the run (exit 1).
pub fn over<S, T>(
    settings: &Settings,
    context: &Context,
    source: S,
    plan: impl for<'p> FnOnce(Flow<'p, S::Item>) -> Flow<'p, T>,
    sink: impl Sink<T> + 'static,
) -> Result<Report, Failure>
where
    S: Source<Item: Read> + 'static,
    T: Rows + Portable,
{
    let pipeline = Pipeline::from_source(Counted::new(source, &context.written)).workers(settings.workers);
    let pipeline = pipeline.drain_when(Arc::clone(&context.drain)).cluster(context.cluster.clone());
    let stats = pipeline.stats();
    (context.watch)(Arc::clone(&stats));
    let used = points_used(&stats, &context.notices);
    Ok(pipeline.run(plan, Careful::new(sink, input::name(settings), &context.written, used))?)
}

/// What was left out for one reason, as a message says it.
pub fn line(reason: &str, dropped: &Dropped) -> String {
    let first = if dropped.first.is_empty() { String::new() } else { format!(", first: {}", dropped.first) };
    format!("{} {reason}{first}", dropped.count)
}

/// All that a run left out: what its stages counted, and what its readers did.
pub fn dropped(stats: &Stats, notices: &Notices) -> Unused {
    let report = stats.report(0.0);
    let mut all = Unused::new();
    for (reason, count) in report.dropped {
        let first = report.first_dropped.get(&reason).cloned().unwrap_or_default();
        all.insert(reason, Dropped { count, first });
    }
    for (reason, more) in notices.drops() {
        let sum = all.entry(reason.into()).or_default();
        sum.count += more.count;
        if sum.first.is_empty() {
            sum.first = more.first;
        }
    }
    all
}

/// All that a run has left out up to now, malformed rows among them.
pub fn dropped_so_far(stats: &Stats, notices: &Notices, written: &Written) -> Unused {
    let mut all = dropped(stats, notices);
    if let Some(rejected) = written.rejected.get() {
        count_rejected(rejected, &mut all);
    }
    all
}

/// Nothing is used of an input of points if none of its points entered a graph and some were left out.
fn points_used(stats: &Arc<Stats>, notices: &Notices) -> impl Fn() -> Result<(), Unused> + Send + 'static {
    let (stats, notices) = (Arc::clone(stats), notices.clone());
    move || {
        let unused = dropped(&stats, &notices);
        if unused.is_empty() || stats.report(0.0).nodes > 0 { Ok(()) } else { Err(unused) }
    }
}

/// Puts what the readers left out into a run's report.
pub fn complete(report: &mut Report, notices: &Notices) {
    for (reason, more) in notices.drops() {
        *report.dropped.entry(reason.into()).or_default() += more.count;
        report.first_dropped.entry(reason.into()).or_insert(more.first);
    }
}

/// Nothing is used of an input of rows if all that was read takes back what never was, or could not be read.
pub fn rows_used(
    stats: &Arc<Stats>,
    context: &Context,
    rejected: &Arc<Rejected>,
) -> impl Fn() -> Result<(), Unused> + Send + 'static {
    let (stats, notices) = (Arc::clone(stats), context.notices.clone());
    let (written, rejected) = (Arc::clone(&context.written), Arc::clone(rejected));
    written.rejected.get_or_init(|| Arc::clone(&rejected));
    move || {
        let mut unused = dropped(&stats, &notices);
        count_rejected(&rejected, &mut unused);
        let idle = unused.get("unmatched").map_or(0, |dropped| dropped.count);
        if unused.is_empty() || written.read() > idle { Ok(()) } else { Err(unused) }
    }
}

/// Adds the dead letters, by reason.
pub fn count_rejected(rejected: &Rejected, dropped: &mut Unused) {
    for (reason, more) in rejected.dropped() {
        let sum = dropped.entry(reason.into()).or_default();
        sum.count += more.count;
        if sum.first.is_empty() {
            sum.first = more.first;
        }
    }
}

/// Puts the dead letters into a run's report.
pub fn note_rejected(report: &mut Report, rejected: &Rejected) {
    let mut more = Unused::new();
    count_rejected(rejected, &mut more);
    for (reason, dropped) in more {
        *report.dropped.entry(reason.clone()).or_default() += dropped.count;
        report.first_dropped.entry(reason).or_insert(dropped.first);
    }
    // An input without a row is no frame, and takes no time.
    report.latency.entry("total".into()).or_default();
}
