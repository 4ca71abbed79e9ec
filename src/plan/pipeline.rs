//! A pipeline: a plan, and how to run it.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::flow::Flow;
use super::nodes::{Plan, Work};
use crate::cluster::Cluster;
use crate::dataflow::{self, Control};
use crate::report::{Report, Stats};
use crate::{Error, Portable, Sink, Source};

/// A run in the making: sources, what is done with their items, sinks, and how to run it all. See [`Flow`] for an example.
#[derive(Default)]
pub struct Pipeline {
    plan: RefCell<Plan>,
    how: How,
}

/// How a plan is run.
struct How {
    workers: usize,
    drain: Arc<AtomicBool>,
    stats: Arc<Stats>,
    cluster: Option<Cluster>,
}

impl Default for How {
    fn default() -> Self {
        How { workers: 1, drain: Arc::default(), stats: Arc::default(), cluster: None }
    }
}

impl Pipeline {
    /// An empty plan, to be run on one worker.
    pub fn new() -> Self {
        Pipeline::default()
    }

    /// The short form for one source, one line of stages and one sink.
    pub fn from_source<S: Source + 'static>(source: S) -> Chain<S> {
        Chain { source, pipeline: Pipeline::new() }
    }

    /// Appends a source. With one source each item is an epoch.
    ///
    /// Epochs of several sources follow event time, ties by the order in which sources were named. An epoch holds at most one item of each:
    /// those of equal time. Where no source gives times, first items come together, then second ones, and so on.
    pub fn source<S: Source + 'static>(&self, source: S) -> Flow<'_, S::Item> {
        let name = source.name();
        let node = self.plan.borrow_mut().add(name, Work::Source(Mutex::new(Some(Box::new(source)))), Vec::new());
        Flow::of(&self.plan, node)
    }

    /// Runs on `workers` threads. The output does not depend on it.
    pub fn workers(mut self, workers: usize) -> Self {
        self.how.workers = workers;
        self
    }

    /// Runs as one of several processes, each with as many workers. All make the same plan. The sources of process 0 read, and its sinks write;
    /// those of the others are not used. The output does not depend on how many there are.
    pub fn cluster(mut self, cluster: Option<Cluster>) -> Self {
        self.how.cluster = cluster;
        self
    }

    /// When `flag` becomes true the run reads no more, finishes what it has read, publishes, and ends well. All sources
    /// are told ([`Source::drain`]); nothing else is needed to end a run that follows growing inputs.
    pub fn drain_when(mut self, flag: Arc<AtomicBool>) -> Self {
        self.how.drain = flag;
        self
    }

    /// The counters of the run, to look at while it goes on.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.how.stats)
    }

    /// Reads the sources to their end, through the plan into the sinks.
    ///
    /// # Errors
    /// [`Error::Plan`] where the plan cannot run, before anything does; else the first error of a source, a stage or a sink, or a panic of any
    /// thread. No sink has then published.
    pub fn run(self) -> Result<Report, Error> {
        let How { workers, drain, stats, cluster } = self.how;
        if !(1..=256).contains(&workers) {
            let (found, expected) = (workers.to_string(), "1 to 256".into());
            return Err(Error::Value { what: "workers", found, expected });
        }
        let plan = self.plan.into_inner().finished()?;
        let start = Instant::now();
        dataflow::run(plan, workers, cluster.as_ref(), Arc::new(Control::new(drain)), Arc::clone(&stats))?;
        Ok(stats.report(start.elapsed().as_secs_f64()))
    }
}

/// A pipeline of one source and one sink.
pub struct Chain<S> {
    source: S,
    pipeline: Pipeline,
}

impl<S: Source + 'static> Chain<S> {
    /// See [`Pipeline::workers`].
    pub fn workers(mut self, workers: usize) -> Self {
        self.pipeline = self.pipeline.workers(workers);
        self
    }

    /// See [`Pipeline::cluster`].
    pub fn cluster(mut self, cluster: Option<Cluster>) -> Self {
        self.pipeline = self.pipeline.cluster(cluster);
        self
    }

    /// See [`Pipeline::drain_when`].
    pub fn drain_when(mut self, flag: Arc<AtomicBool>) -> Self {
        self.pipeline = self.pipeline.drain_when(flag);
        self
    }

    /// See [`Pipeline::stats`].
    pub fn stats(&self) -> Arc<Stats> {
        self.pipeline.stats()
    }

    /// Reads the source to its end through `plan` into `sink`.
    ///
    /// # Errors
    /// Those of [`Pipeline::run`].
    pub fn run<O, K, F>(self, plan: F, sink: K) -> Result<Report, Error>
    where
        O: Portable,
        K: Sink<O> + 'static,
        F: for<'p> FnOnce(Flow<'p, S::Item>) -> Flow<'p, O>,
    {
        plan(self.pipeline.source(self.source)).sink(sink);
        self.pipeline.run()
    }
}
