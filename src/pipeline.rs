//! The builder: a plan from source to sink, written once and installed on every worker.
//!
//! A [`Flow`] is not data but a recipe: each method appends a stage. [`Pipeline::run`] installs the recipe on the workers
//! and drives it to the end of the source.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::dataflow::{self, Arrival, Control, ExchangeData, Install, Run, VecCollection};
use crate::report::{Report, Stats};
use crate::stage::{Inbox, Map, Outbox, Stage};
use crate::{BoxError, Epoch, Error, Sink, Source};

/// A run in the making: a source, and how to run it.
pub struct Pipeline<S> {
    source: S,
    workers: usize,
    drain: Arc<AtomicBool>,
    stats: Arc<Stats>,
}

impl<S: Source + 'static> Pipeline<S> {
    /// A pipeline that reads `source`, on one worker.
    pub fn from_source(source: S) -> Self {
        Pipeline { source, workers: 1, drain: Arc::default(), stats: Arc::default() }
    }

    /// Runs on `workers` threads. The output does not depend on it.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// When `flag` becomes true the run reads no more, finishes what it has read, publishes, and ends well.
    pub fn drain_when(mut self, flag: Arc<AtomicBool>) -> Self {
        self.drain = flag;
        self
    }

    /// The counters of the run, to look at while it goes on.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Reads the source to its end through `plan` into `sink`.
    ///
    /// # Errors
    /// The first error of the source, a stage or the sink, or a panic of any thread; the sink has then not published.
    pub fn run<O, K, F>(self, plan: F, sink: K) -> Result<Report, Error>
    where
        O: Send + 'static,
        K: Sink<O> + 'static,
        F: FnOnce(Flow<S::Item, S::Item>) -> Flow<S::Item, O>,
    {
        if !(1..=256).contains(&self.workers) {
            let (found, expected) = (self.workers.to_string(), "1 to 256".into());
            return Err(Error::Value { what: "workers", found, expected });
        }
        let start = Instant::now();
        let control = Arc::new(Control::new(self.drain));
        let stats = Arc::clone(&self.stats);
        let flow = plan(Flow::arrivals());
        dataflow::run(self.source, sink, self.workers, control, self.stats, flow.install)?;
        Ok(stats.report(start.elapsed().as_secs_f64()))
    }
}

/// A recipe from a source's items `I` to items `T`.
pub struct Flow<I, T> {
    install: Box<Install<I, T>>,
}

/// Notes the arrival of each item, and hands it on.
struct Arrivals<I> {
    stats: Arc<Stats>,
    items: std::marker::PhantomData<fn(I)>,
}

impl<I: Send + 'static> Stage for Arrivals<I> {
    type Input = Arrival<I>;
    type Exchange = ();
    type Output = I;

    fn name(&self) -> &'static str {
        "arrivals"
    }

    fn step(
        &mut self,
        epoch: Epoch,
        _: usize,
        inbox: Inbox<Arrival<I>, ()>,
        out: &mut Outbox<(), I>,
    ) -> Result<(), BoxError> {
        if let Inbox::Input(arrivals) = inbox {
            for arrival in arrivals {
                self.stats.arrived(epoch, arrival.at);
                out.give(arrival.item);
            }
        }
        Ok(())
    }
}

impl<I: Send + 'static> Flow<I, I> {
    fn arrivals() -> Self {
        Flow {
            install: Box::new(|run, input, _| {
                let arrivals = Arrivals { stats: Arc::clone(&run.stats), items: std::marker::PhantomData };
                dataflow::phases(input, arrivals, &run.control)
            }),
        }
    }
}

impl<I: Send + 'static, T: Send + 'static> Flow<I, T> {
    /// Appends a stage; `make` builds its state machine on each worker, with the run's counters at hand.
    pub fn stage<S>(self, make: impl Fn(&Arc<Stats>) -> S + Send + Sync + 'static) -> Flow<I, S::Output>
    where
        S: Stage<Input = T>,
    {
        let before = self.install;
        Flow {
            install: Box::new(move |run: &Run, input, scope| {
                dataflow::phases(before(run, input, scope), make(&run.stats), &run.control)
            }),
        }
    }

    /// Appends a function from item to item as a local stage called `name`; its time goes into the report under that name.
    pub fn map<U, F>(self, name: &'static str, f: F) -> Flow<I, U>
    where
        U: Send + 'static,
        F: Fn(T) -> Result<U, BoxError> + Send + Sync + Clone + 'static,
    {
        self.stage(move |stats| {
            let (f, stats) = (f.clone(), Arc::clone(stats));
            Map::new(name, move |item| stats.time(name, || f(item)))
        })
    }

    /// Asks a differential-dataflow query of this stage's output, seen as a collection of rows.
    ///
    /// `rows` lists the rows of one item, which stand in the collection for the item's epoch and are retracted in the
    /// next one: a sweep replaces the sweep before it. `logic` is any differential program. The answer comes out as
    /// [`Delta`]s, one an epoch in which it changed.
    pub fn query<D, R>(
        self,
        rows: impl Fn(T, &mut dyn FnMut(D)) + Send + Sync + Clone + 'static,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, D, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<I, Delta<R>>
    where
        D: ExchangeData,
        R: ExchangeData,
    {
        let updates = move |epoch: Epoch, item, updates: &mut Vec<(D, Epoch, isize)>| {
            rows(item, &mut |row| {
                updates.push((row.clone(), epoch, 1));
                updates.push((row, epoch + 1, -1));
            });
        };
        self.query_updates(updates, logic)
    }

    /// Asks a differential-dataflow query of what this stage's output says of a collection that lasts: `updates` turns one
    /// item and its epoch into (row, epoch, difference), at that epoch or later ones.
    pub fn query_updates<D, R>(
        self,
        updates: impl Fn(Epoch, T, &mut Vec<(D, Epoch, isize)>) + Send + Sync + Clone + 'static,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, D, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<I, Delta<R>>
    where
        D: ExchangeData,
        R: ExchangeData,
    {
        let before = self.install;
        Flow {
            install: Box::new(move |run: &Run, input, scope| {
                dataflow::query(before(run, input, scope), updates.clone(), &logic)
            }),
        }
    }
}

/// What changed in the answer of a query in one epoch: rows in ascending order, none with a difference of zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta<R> {
    /// (row, difference of its multiplicity).
    pub rows: Vec<(R, isize)>,
}
