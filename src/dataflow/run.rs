//! A run: one thread for the source, one for the sink, the workers between them, and one way for all of them to end.
//!
//! A worker steps its dataflow or parks. An error or a panic anywhere is recorded once; every thread sees it within the
//! parking time, drops its dataflow and leaves, so that a defect in one worker never hangs the others.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::bounded;
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::{ProbeHandle, Scope};
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::control::lock;
use super::egress::{drain, egress};
use super::ingest::{Arrival, Wakers, ingest, pump};
use super::{Control, MailStream};
use crate::report::Stats;
use crate::{Epoch, Error, Sink, Source};

/// How long a worker sleeps at most when nothing wakes it.
const PARK: Duration = Duration::from_millis(100);

/// What a plan is installed with on each worker.
pub(crate) struct Run {
    pub control: Arc<Control>,
    pub stats: Arc<Stats>,
}

/// Installs a plan between the source's and the sink's stream.
pub(crate) type Install<I, O> = dyn for<'scope> Fn(&Run, MailStream<'scope, Arrival<I>>, Scope<'scope, Epoch>) -> MailStream<'scope, O>
    + Send
    + Sync;

/// Runs a plan to the end of its source.
pub(crate) fn run<S, O, K>(
    source: S,
    sink: K,
    workers: usize,
    control: Arc<Control>,
    stats: Arc<Stats>,
    install: Box<Install<S::Item, O>>,
) -> Result<(), Error>
where
    S: Source + 'static,
    O: Send + 'static,
    K: Sink<O> + 'static,
{
    let wakers: Wakers = Arc::new(Mutex::new((0..workers).map(|_| None).collect()));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded(2)).unzip();
    let (orders, written) = bounded(1);
    let acknowledged = Arc::new(AtomicU64::new(0));

    let threads = Threads::start(&control, &stats, source, senders, &wakers, sink, written, &acknowledged)?;
    let context = Run { control: Arc::clone(&control), stats };
    let receivers = Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
    let orders = Mutex::new(Some(orders));
    let config = Config { communication: CommunicationConfig::Process(workers), worker: WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| {
        let index = worker.index();
        let receiver = lock(&receivers)[index].take();
        let orders = if index == 0 { lock(&orders).take() } else { None };
        let Some(receiver) = receiver else { return };
        let name = || format!("worker {index}");
        let probe = context.control.guard(name, || {
            worker.dataflow::<Epoch, _, _>(|scope| {
                let output = install(&context, ingest(scope, receiver, &wakers), scope);
                egress(output, orders, &acknowledged, &context.control).probe().0
            })
        });
        if let Some(probe) = probe {
            while !probe.done() && context.control.guard(name, || turn(worker, &probe, &context)) == Some(true) {}
        }
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    });
    match guards {
        Ok(guards) => drop(guards),
        Err(error) => control.fail(Error::Runtime(error)),
    }
    threads.join(&control);
    control.take_error().map_or(Ok(()), Err)
}

/// One step of a worker; false when the run has failed.
fn turn(worker: &mut Worker, probe: &ProbeHandle<Epoch>, run: &Run) -> bool {
    worker.step_or_park(Some(PARK));
    if worker.index() == 0 {
        let written = probe.with_frontier(|frontier| frontier.first().copied().unwrap_or(Epoch::MAX));
        if run.control.advance(None, Some(written)) {
            run.stats.done_before(written);
        }
    }
    !run.control.failed()
}

/// The threads beside the workers.
struct Threads {
    source: std::thread::JoinHandle<()>,
    sink: std::thread::JoinHandle<()>,
}

impl Threads {
    #[expect(clippy::too_many_arguments, reason = "the two ends of every channel of the run, named once")]
    fn start<S, O, K>(
        control: &Arc<Control>,
        stats: &Arc<Stats>,
        source: S,
        senders: Vec<crossbeam_channel::Sender<(Epoch, Arrival<S::Item>)>>,
        wakers: &Wakers,
        sink: K,
        written: crossbeam_channel::Receiver<super::egress::Order<O>>,
        acknowledged: &Arc<AtomicU64>,
    ) -> Result<Threads, Error>
    where
        S: Source + 'static,
        O: Send + 'static,
        K: Sink<O> + 'static,
    {
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let control = Arc::clone(control);
            let thread = name.to_string();
            std::thread::Builder::new()
                .name(thread.clone())
                .spawn(move || {
                    control.guard(|| thread, body);
                })
                .map_err(|error| Error::Runtime(error.to_string()))
        };
        let (wakers, shared) = (Arc::clone(wakers), Arc::clone(control));
        let source = spawn("source", Box::new(move || pump(source, senders, &wakers, &shared)))?;
        let (acknowledged, shared, stats) = (Arc::clone(acknowledged), Arc::clone(control), Arc::clone(stats));
        let sink = spawn("sink", Box::new(move || drain(sink, written, &acknowledged, &shared, &stats)))?;
        Ok(Threads { source, sink })
    }

    fn join(self, control: &Control) {
        for (name, thread) in [("source", self.source), ("sink", self.sink)] {
            if thread.join().is_err() {
                control.fail(Error::Panic { thread: name.into(), message: "while it was ending".into() });
            }
        }
    }
}
