//! What a run counts and times while it goes on: items, nodes, edges, drops, and a latency histogram a stage.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::Epoch;

/// Warnings that a run keeps at most.
const WARNINGS: usize = 100;

/// Median and 99th percentile of a stage's time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median (ms).
    pub p50: f64,
    /// 99th percentile (ms).
    pub p99: f64,
}

/// What was left out for one reason: how much, and where the first of it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many points or rows.
    pub count: u64,
    /// The first one's place and what was wrong with it, as a message names it; empty where that is not known.
    pub first: String,
}

impl Dropped {
    /// One more of it; `place` is asked for the first alone.
    pub fn one(&mut self, place: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = place();
        }
        self.count += 1;
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Items read, of all sources.
    pub frames: u64,
    /// Finite points that entered a graph.
    pub nodes: u64,
    /// Edges of the graphs.
    pub edges: u64,
    /// Graphs that a network answered for, where rows make graphs as of times.
    #[serde(skip)]
    pub graphs: u64,
    /// Wall time of the run (s), reading and writing included.
    pub seconds: f64,
    /// Time a stage; `total` runs from a frame's arrival to its hand-over to the sink.
    pub latency: BTreeMap<String, Latency>,
    /// What was subtracted from f64 coordinates (m).
    pub origin: [f64; 3],
    /// What was dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Of each reason in `dropped` the first place, where it is known.
    #[serde(skip)]
    pub first_dropped: BTreeMap<String, String>,
    /// What whoever runs it should be told, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What a pipeline adds of its own.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// The time that one item spends in each part of a stage, added up before it is recorded once.
#[derive(Debug, Default)]
pub struct Clock(BTreeMap<&'static str, Duration>);

impl Clock {
    /// Runs `work`, adding its time to `part`.
    pub fn time<T>(&mut self, part: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        *self.0.entry(part).or_default() += start.elapsed();
        result
    }
}

/// The counters behind a [`Report`]; shared by all threads of a run.
#[derive(Debug, Default)]
pub struct Stats(Mutex<Counters>);

/// The counters of another process of a run, as they stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    nodes: u64,
    edges: u64,
    graphs: u64,
    origin: [f64; 3],
    dropped: BTreeMap<String, (i64, Dropped)>,
    warnings: Vec<String>,
    remarks: BTreeMap<String, String>,
    compared: u64,
    unlike: u64,
    words: Option<(i64, String)>,
    /// Of each stage (time in µs, how often).
    histograms: BTreeMap<String, Vec<(u64, u64)>>,
}

#[derive(Clone, Debug, Default)]
struct Counters {
    frames: u64,
    nodes: u64,
    edges: u64,
    graphs: u64,
    origin: [f64; 3],
    dropped: BTreeMap<Cow<'static, str>, (i64, Dropped)>,
    warnings: Vec<String>,
    /// Warnings that hold for the run so far, by subject.
    remarks: BTreeMap<Cow<'static, str>, String>,
    /// Frames held against what their model was trained on, those found unlike it, and the words for the first of them.
    compared: u64,
    unlike: u64,
    words: Option<(i64, String)>,
    histograms: BTreeMap<Cow<'static, str>, Histogram<u64>>,
    arrived: BTreeMap<Epoch, Instant>,
    /// What other processes counted.
    others: BTreeMap<usize, Snapshot>,
    /// Every epoch below `open` is done; the sources have begun those below `begun`.
    open: Epoch,
    begun: Epoch,
}

impl Counters {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if let Some((_, words)) = self.words.as_ref().filter(|_| 2 * self.unlike > self.compared) {
            warnings.push(format!("{words} ({} of {} frames)", self.unlike, self.compared));
        }
        warnings.extend(self.remarks.values().cloned());
        warnings
    }

    fn record(&mut self, stage: &'static str, time: Duration) {
        self.histogram(stage.into()).saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn histogram(&mut self, stage: Cow<'static, str>) -> &mut Histogram<u64> {
        // Three significant digits, 1 µs to 1 h: construction cannot fail for these constants, and an hour saturates.
        self.histograms.entry(stage).or_insert_with(|| {
            Histogram::new_with_bounds(1, 3_600_000_000, 3)
                .expect("the bounds are constants within hdrhistogram's limits")
        })
    }

    fn dropped(&mut self, order: i64, reason: Cow<'static, str>, dropped: Dropped) {
        match self.dropped.get_mut(&reason) {
            Some((first, sum)) => {
                sum.count += dropped.count;
                if order < *first {
                    (*first, sum.first) = (order, dropped.first);
                }
            }
            None => drop(self.dropped.insert(reason, (order, dropped))),
        }
    }

    fn warn(&mut self, text: String) {
        if self.warnings.len() < WARNINGS && !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    fn unlike(&mut self, order: i64, words: String) {
        match &self.words {
            Some((first, _)) if *first <= order => {}
            _ => self.words = Some((order, words)),
        }
    }

    /// With what the other processes counted.
    fn whole(&self) -> Counters {
        let mut whole = self.clone();
        for (_, other) in std::mem::take(&mut whole.others) {
            whole.nodes += other.nodes;
            whole.edges += other.edges;
            whole.graphs += other.graphs;
            if whole.origin == [0.0; 3] {
                whole.origin = other.origin;
            }
            other.dropped.into_iter().for_each(|(reason, (order, d))| whole.dropped(order, reason.into(), d));
            other.warnings.into_iter().for_each(|text| whole.warn(text));
            whole.remarks.extend(other.remarks.into_iter().map(|(subject, text)| (subject.into(), text)));
            whole.compared += other.compared;
            whole.unlike += other.unlike;
            other.words.into_iter().for_each(|(order, words)| whole.unlike(order, words));
            for (stage, times) in other.histograms {
                let histogram = whole.histogram(stage.into());
                times.into_iter().for_each(|(time, count)| histogram.saturating_record_n(time, count));
            }
        }
        whole
    }
}

impl Stats {
    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs `work`, adding its time to the histogram of `stage`.
    pub fn time<T>(&self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.lock().record(stage, start.elapsed());
        result
    }

    /// Adds an item's times to the histograms of their parts.
    pub fn record(&self, clock: Clock) {
        let mut counters = self.lock();
        clock.0.into_iter().for_each(|(part, time)| counters.record(part, time));
    }

    /// Counts drops for `reason`; the first place kept is the one of least `order`, such as the frame's number.
    pub fn dropped(&self, order: i64, reason: impl Into<Cow<'static, str>>, dropped: Dropped) {
        if dropped.count > 0 {
            self.lock().dropped(order, reason.into(), dropped);
        }
    }

    /// Sets the drops for `reason`, where they are known of the whole and not piece by piece.
    pub fn dropped_in_all(&self, reason: &'static str, dropped: Dropped) {
        let mut counters = self.lock();
        counters.dropped.remove(reason);
        if dropped.count > 0 {
            counters.dropped.insert(reason.into(), (0, dropped));
        }
    }

    /// Notes what whoever runs it should be told; the same text counts once, and after `WARNINGS` of them no more are kept.
    pub fn warn(&self, text: impl Into<String>) {
        self.lock().warn(text.into());
    }

    /// Sets what is to be warned of a subject in the end, or that there is nothing: only the last word counts.
    pub fn remark(&self, subject: &'static str, text: Option<String>) {
        let mut counters = self.lock();
        counters.remarks.remove(subject);
        counters.remarks.extend(text.map(|text| (subject.into(), text)));
    }

    /// Notes whether a frame was found unlike what its model was trained on, and how. If more than half of a run's frames are, the report warns
    /// with the words of the least `order`, such as the frame's number.
    pub fn compared(&self, order: i64, unlike: Option<String>) {
        let mut counters = self.lock();
        counters.compared += 1;
        if let Some(words) = unlike {
            counters.unlike += 1;
            counters.unlike(order, words);
        }
    }

    /// Counts a graph that a network answers for.
    pub fn graph(&self) {
        self.lock().graphs += 1;
    }

    /// Counts a graph's nodes.
    pub fn nodes(&self, nodes: u64) {
        self.lock().nodes += nodes;
    }

    /// Counts a graph's edges.
    pub fn edges(&self, edges: u64) {
        self.lock().edges += edges;
    }

    /// Notes the origin that the source subtracts.
    pub fn origin(&self, origin: [f64; 3]) {
        self.lock().origin = origin;
    }

    /// Notes that an item was read; its clock starts at `at`.
    pub(crate) fn arrived(&self, epoch: Epoch, at: Instant) {
        let mut counters = self.lock();
        counters.frames += 1;
        counters.begun = counters.begun.max(epoch + 1);
        counters.arrived.insert(epoch, at);
    }

    /// Notes that an epoch's output was handed to the sink.
    pub(crate) fn handed_over(&self, epoch: Epoch, now: Instant) {
        let mut counters = self.lock();
        let later = counters.arrived.split_off(&(epoch + 1));
        let done = std::mem::replace(&mut counters.arrived, later);
        if let Some(at) = done.get(&epoch) {
            counters.record("total", now.saturating_duration_since(*at));
        }
    }

    /// How long the oldest item waits that was read and not yet handed to the sink; 0 if there is none.
    pub fn lag(&self) -> Duration {
        self.lock().arrived.values().next().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// How many epochs were read and not yet handed to the sink.
    pub fn in_flight(&self) -> u64 {
        self.lock().arrived.len() as u64
    }

    /// How many epochs are closed: all that they gave is written.
    pub fn epochs_closed(&self) -> u64 {
        let counters = self.lock();
        counters.open.min(counters.begun)
    }

    /// Notes that every epoch below this is done: whichever of them gave the sink nothing has no time to tell.
    pub(crate) fn done_before(&self, epoch: Epoch) {
        let mut counters = self.lock();
        counters.open = counters.open.max(epoch);
        counters.arrived = counters.arrived.split_off(&epoch);
    }

    /// Notes what another process has counted so far.
    pub(crate) fn counted_by(&self, process: usize, snapshot: Snapshot) {
        self.lock().others.insert(process, snapshot);
    }

    /// What this process has counted so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let c = self.lock();
        let times = |h: &Histogram<u64>| {
            h.iter_recorded().map(|v| (v.value_iterated_to(), v.count_since_last_iteration())).collect()
        };
        Snapshot {
            nodes: c.nodes,
            edges: c.edges,
            graphs: c.graphs,
            origin: c.origin,
            dropped: c.dropped.iter().map(|(reason, dropped)| (reason.to_string(), dropped.clone())).collect(),
            warnings: c.warnings.clone(),
            remarks: c.remarks.iter().map(|(subject, text)| (subject.to_string(), text.clone())).collect(),
            compared: c.compared,
            unlike: c.unlike,
            words: c.words.clone(),
            histograms: c.histograms.iter().map(|(stage, h)| (stage.to_string(), times(h))).collect(),
        }
    }

    /// The figures so far.
    pub fn report(&self, seconds: f64) -> Report {
        let counters = self.lock().whole();
        let ms = |micros: u64| micros as f64 / 1000.0;
        let latency =
            |h: &Histogram<u64>| Latency { p50: ms(h.value_at_quantile(0.5)), p99: ms(h.value_at_quantile(0.99)) };
        Report {
            frames: counters.frames,
            nodes: counters.nodes,
            edges: counters.edges,
            graphs: counters.graphs,
            seconds,
            latency: counters.histograms.iter().map(|(stage, h)| (stage.to_string(), latency(h))).collect(),
            origin: counters.origin,
            dropped: counters.dropped.iter().map(|(reason, (_, d))| (reason.to_string(), d.count)).collect(),
            first_dropped: counters
                .dropped
                .iter()
                .filter(|(_, (_, d))| !d.first.is_empty())
                .map(|(reason, (_, d))| (reason.to_string(), d.first.clone()))
                .collect(),
            warnings: counters.warnings(),
            extra: serde_json::Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_that_give_the_sink_nothing_are_forgotten() {
        let stats = Stats::default();
        let start = Instant::now();
        for epoch in 0..10_000 {
            stats.arrived(epoch, start);
            if epoch % 100 == 7 {
                stats.handed_over(epoch, start);
            }
            stats.done_before(epoch);
            assert!(stats.in_flight() <= 1 && stats.epochs_closed() == epoch);
        }
        stats.done_before(Epoch::MAX);
        assert_eq!((stats.in_flight(), stats.epochs_closed()), (0, 10_000));
        assert_eq!((stats.report(1.0).frames, stats.lock().histograms["total"].len()), (10_000, 100));
    }
}
