//! A flow: a handle to one node of a plan, and the methods that append nodes to it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use super::erased::{Erased, Item, Typed};
use super::nodes::{Plan, Work};
use crate::report::Stats;
use crate::stage::{Inbox, Map, Outbox, Stage};
use crate::{BoxError, Epoch, Portable, Sink};

/// A stream of items `T` in a plan. It lives as long as its pipeline has not run.
///
/// A clone is another handle to the same stream: what it stands for is computed once, and its items are copied to whoever takes them.
///
/// ```
/// use thalweg::sink::Collect;
/// use thalweg::{Next, Pipeline, Source};
/// # struct Numbers(u64);
/// # impl Source for Numbers {
/// #     type Item = u64;
/// #     fn name(&self) -> String { "numbers".into() }
/// #     fn next(&mut self) -> Result<Next<u64>, thalweg::BoxError> {
/// #         self.0 += 1;
/// #         Ok(if self.0 > 4 { Next::End } else { Next::Item(self.0) })
/// #     }
/// # }
///
/// // 1, 2, 3, 4 in; the squares into one sink, what is odd into another.
/// let (squares, odd) = (Collect::default(), Collect::default());
/// let pipeline = Pipeline::new();
/// let numbers = pipeline.source(Numbers(0));
/// numbers.clone().map("square", |n| Ok(n * n)).sink(squares.clone());
/// numbers.filter("odd", |n| n % 2 == 1).sink(odd.clone());
/// pipeline.workers(2).run()?;
/// assert_eq!(squares.items(), [(0, 1), (1, 4), (2, 9), (3, 16)]);
/// assert_eq!(odd.items(), [(0, 1), (2, 3)]);
/// # Ok::<(), thalweg::Error>(())
/// ```
///
/// A flow cannot be used once its pipeline runs:
///
/// ```compile_fail
/// # use thalweg::{Frame, Pipeline, Source, sink::Collect};
/// # fn late(source: impl Source<Item = Frame> + 'static) {
/// let pipeline = Pipeline::new();
/// let frames = pipeline.source(source);
/// frames.clone().sink(Collect::default());
/// pipeline.run();
/// frames.sink(Collect::default());
/// # }
/// ```
#[must_use = "a flow does nothing until it ends in a sink"]
pub struct Flow<'p, T> {
    pub(super) plan: &'p RefCell<Plan>,
    pub(super) node: usize,
    pub(super) items: PhantomData<fn() -> T>,
}

impl<T: Clone + Portable> Clone for Flow<'_, T> {
    fn clone(&self) -> Self {
        self.plan.borrow_mut().nodes[self.node].copy = Some(Item::copied::<T>);
        Flow { plan: self.plan, node: self.node, items: PhantomData }
    }
}

impl<'p, T: Portable> Flow<'p, T> {
    /// A handle to a node that was just appended.
    pub(super) fn of(plan: &'p RefCell<Plan>, node: usize) -> Self {
        Flow { plan, node, items: PhantomData }
    }

    /// Appends a stage that takes from several nodes; `open` turns what comes from each into the stage's input.
    pub(super) fn stage_of<S: Stage>(
        plan: &'p RefCell<Plan>,
        inputs: Vec<usize>,
        open: fn(u32, Item) -> Result<S::Input, BoxError>,
        make: impl Fn(&Arc<Stats>) -> S + Send + Sync + 'static,
    ) -> Flow<'p, S::Output> {
        let work = Work::Stage(Box::new(move |stats, copy| Box::new(Erased { stage: make(stats), open, copy })));
        let node = plan.borrow_mut().add(String::new(), work, inputs);
        Flow::of(plan, node)
    }

    /// Appends a stage; `make` builds its state machine on each worker, with the run's counters at hand.
    pub fn stage<S>(self, make: impl Fn(&Arc<Stats>) -> S + Send + Sync + 'static) -> Flow<'p, S::Output>
    where
        S: Stage<Input = T>,
    {
        Self::stage_of::<S>(self.plan, vec![self.node], |_, item| item.take(), make)
    }

    /// Gives the node a name of its own in messages.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.plan.borrow_mut().nodes[self.node].name = name.into();
        self
    }

    /// Appends a function from item to item as a local stage called `name`; its time goes into the report under that name.
    pub fn map<U, F>(self, name: &'static str, f: F) -> Flow<'p, U>
    where
        U: Portable,
        F: Fn(T) -> Result<U, BoxError> + Send + Sync + Clone + 'static,
    {
        self.stage(move |stats| {
            let (f, stats) = (f.clone(), Arc::clone(stats));
            Map::new(name, move |item| stats.time(name, || f(item)))
        })
    }

    /// Keeps the items for which `keep` holds.
    pub fn filter<F>(self, name: &'static str, keep: F) -> Flow<'p, T>
    where
        F: Fn(&T) -> bool + Send + Sync + Clone + 'static,
    {
        self.stage(move |_| Filter { name, keep: keep.clone(), items: PhantomData })
    }

    /// Ends the flow in a sink. It works on a thread of its own, gets epochs in ascending order, and publishes when all have been written,
    /// by this sink and by every other one of the pipeline.
    pub fn sink(self, sink: impl Sink<T> + 'static) {
        let mut plan = self.plan.borrow_mut();
        let name = sink.name();
        if let Some(path) = sink.destination().map(std::path::Path::to_path_buf)
            && !plan.destinations.insert(path)
        {
            plan.problem.get_or_insert(format!("{name}: found two sinks that write it, expected one"));
        }
        plan.add(name, Work::Sink(Mutex::new(Some(Box::new(Typed { sink, items: PhantomData })))), vec![self.node]);
    }
}

/// Keeps some items.
struct Filter<F, T> {
    name: &'static str,
    keep: F,
    items: PhantomData<fn(T)>,
}

impl<F: Fn(&T) -> bool + 'static, T: Portable> Stage for Filter<F, T> {
    type Input = T;
    type Exchange = ();
    type Output = T;

    fn name(&self) -> &'static str {
        self.name
    }

    fn step(&mut self, _: Epoch, _: usize, inbox: Inbox<T, ()>, out: &mut Outbox<(), T>) -> Result<(), BoxError> {
        if let Inbox::Input(items) = inbox {
            items.into_iter().filter(&self.keep).for_each(|item| out.give(item));
        }
        Ok(())
    }
}
