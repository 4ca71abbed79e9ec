//! How a run ends: one that used nothing of what it read publishes nothing, and what was left out is in the report.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use thalweg::report::{Dropped, Stats};
use thalweg::{BoxError, Epoch, Flow, Pipeline, Portable, Report, Sink, Source};
use thalweg_connectors::Notices;
use thalweg_connectors::rows::Rejected;

use crate::failure::Failure;
use crate::input;
use crate::pipeline::Context;
use crate::settings::Settings;
use crate::written::{Counted, Read, Rows, Written};

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
        self.written.count(&item);
        self.sink.write(epoch, item)
    }

    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError> {
        self.sink.tick(complete)
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
    if let Some(rejected) = written.rejected() {
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

/// Nothing is used of an input of rows if all that was read takes back what never was, or could not be read. Where all of it comes after `as_of` (ns),
/// the only time that is asked for, that is said.
pub fn rows_used(
    stats: &Arc<Stats>,
    context: &Context,
    rejected: &Arc<Rejected>,
    as_of: Option<i64>,
) -> impl Fn() -> Result<(), Unused> + Send + 'static {
    let (stats, notices) = (Arc::clone(stats), context.notices.clone());
    let (written, rejected) = (Arc::clone(&context.written), Arc::clone(rejected));
    written.set_rejected(&rejected);
    move || {
        let mut unused = dropped(&stats, &notices);
        count_rejected(&rejected, &mut unused);
        if let Some((first, as_of)) = written.earliest().zip(as_of).filter(|(first, as_of)| first > as_of) {
            let seconds = |ns: i64| ns as f64 * 1e-9;
            let text = format!("found {} s, before all rows: the first is at {} s", seconds(as_of), seconds(first));
            notices.warn(Path::new("--as-of"), text);
        }
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
