//! A run: one thread for the sources, one a sink, the workers between them, and one way for all of them to end.
//!
//! A worker steps its dataflow or parks. An error or a panic anywhere is recorded once; every thread sees it within the
//! parking time, drops its dataflow and leaves, so that a defect in one worker never hangs the others.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::{ProbeHandle, Scope};
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::control::lock;
use super::egress::{Door, drain, egress};
use super::ingest::{Arrival, Reader, Wakers, ingest, pump};
use super::{Control, MailStream, mail, phases};
use crate::plan::{Node, Plan, Work};
use crate::report::Stats;
use crate::{Epoch, Error};

/// How long a worker sleeps at most when nothing wakes it.
const PARK: Duration = Duration::from_millis(100);

/// What a plan is installed with on each worker.
struct Run {
    nodes: Vec<Node>,
    control: Arc<Control>,
    stats: Arc<Stats>,
    wakers: Wakers,
}

/// The ends of a worker's channels: of each source, and of each sink, in the order of the nodes.
struct Ends {
    sources: Vec<Receiver<Arrival>>,
    sinks: Vec<Door>,
}

/// Runs a plan to the end of its sources.
pub(crate) fn run(plan: Plan, workers: usize, control: Arc<Control>, stats: Arc<Stats>) -> Result<(), Error> {
    let (mut readers, mut sinks) = (Vec::new(), Vec::new());
    for node in &plan.nodes {
        match &node.work {
            Work::Source(source) => readers.extend(lock(source).take().map(|source| Reader::new(source, node.copy))),
            Work::Sink(sink) => sinks.extend(lock(sink).take()),
            _ => {}
        }
    }
    control.expect_sinks(sinks.len());
    let wakers: Wakers = Arc::new(Mutex::new((0..workers).map(|_| Vec::new()).collect()));
    let (mut senders, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (to, from): (Vec<_>, Vec<_>) = readers.iter().map(|_| bounded(2)).unzip();
        senders.push(to);
        ends.push(Ends { sources: from, sinks: Vec::new() });
    }
    let mut threads = Threads { control: Arc::clone(&control), running: Vec::new() };
    for (number, sink) in sinks.into_iter().enumerate() {
        let (orders, written) = bounded(1);
        let acknowledged = Arc::new(AtomicU64::new(0));
        for (worker, ends) in ends.iter_mut().enumerate() {
            let sender = if worker == 0 { Some(orders.clone()) } else { None };
            ends.sinks.push(Door { sink: number, sender, acknowledged: Arc::clone(&acknowledged) });
        }
        let (shared, stats) = (Arc::clone(&control), Arc::clone(&stats));
        threads.start("sink", move || drain(sink, written, &acknowledged, &shared, &stats))?;
    }
    let (shared, to_wake) = (Arc::clone(&control), Arc::clone(&wakers));
    threads.start("source", move || pump(readers, senders, &to_wake, &shared))?;

    let run = Run { nodes: plan.nodes, control: Arc::clone(&control), stats, wakers };
    let ends = Mutex::new(ends.into_iter().map(Some).collect::<Vec<_>>());
    let config = Config { communication: CommunicationConfig::Process(workers), worker: WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| {
        let index = worker.index();
        let Some(ends) = lock(&ends)[index].take() else { return };
        let name = || format!("worker {index}");
        let probe = run.control.guard(name, || worker.dataflow::<Epoch, _, _>(|scope| install(&run, ends, scope)));
        if let Some(probe) = probe {
            while !probe.done() && run.control.guard(name, || turn(worker, &probe, &run)) == Some(true) {}
        }
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    });
    match guards {
        Ok(guards) => drop(guards),
        Err(error) => control.fail(Error::Runtime(error)),
    }
    threads.join();
    control.take_error().map_or(Ok(()), Err)
}

/// Installs the nodes one after the other; what the probe sees was written by all sinks.
fn install<'scope>(run: &Run, ends: Ends, scope: Scope<'scope, Epoch>) -> ProbeHandle<Epoch> {
    let probe = ProbeHandle::new();
    let mut takers = vec![0; run.nodes.len()];
    run.nodes.iter().flat_map(|node| &node.inputs).for_each(|&input| takers[input] += 1);
    let (mut sources, mut sinks) = (ends.sources.into_iter(), ends.sinks.into_iter());
    let mut streams: Vec<Option<MailStream<'scope>>> = Vec::with_capacity(run.nodes.len());
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for node in &run.nodes {
        let mut take = |input: usize| {
            takers[input] -= 1;
            // The last to take it takes the stream itself: its items are not copied.
            if takers[input] == 0 { streams[input].take() } else { streams[input].clone() }
        };
        let mut inputs: Vec<_> = node.inputs.iter().filter_map(|&input| take(input)).collect();
        let input = if inputs.len() > 1 { Some(mail::side_by_side(scope, inputs)) } else { inputs.pop() };
        let output = match (&node.work, input) {
            (Work::Source(_), _) => {
                let receiver = sources.next();
                receiver.map(|receiver| ingest(scope, &node.name, receiver, &run.wakers, &run.stats))
            }
            (Work::Stage(make), Some(input)) => {
                let stage = make(&run.stats, node.copy);
                let name = if node.name.is_empty() { stage.name() } else { &node.name };
                let count = names.entry(name.to_string()).and_modify(|count| *count += 1).or_insert(1);
                let name = if *count > 1 { format!("{name} ({count})") } else { name.to_string() };
                Some(phases(input, name, stage, &run.control))
            }
            (Work::Query(install), Some(input)) => Some(install(input, node.copy)),
            (Work::Sink(_), Some(input)) => {
                if let Some(door) = sinks.next() {
                    egress(input, door, &run.control).probe_with(&probe);
                }
                None
            }
            (_, None) => None,
        };
        streams.push(output);
    }
    probe
}

/// One step of a worker; false when the run has failed.
fn turn(worker: &mut Worker, probe: &ProbeHandle<Epoch>, run: &Run) -> bool {
    worker.step_or_park(Some(PARK));
    if worker.index() == 0 {
        let written = probe.with_frontier(|frontier| frontier.first().copied().unwrap_or(Epoch::MAX));
        if run.control.written(written) {
            run.stats.done_before(written);
        }
    }
    !run.control.failed()
}

/// The threads beside the workers.
struct Threads {
    control: Arc<Control>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Threads {
    fn start(&mut self, name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let control = Arc::clone(&self.control);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            control.guard(|| name.to_string(), body);
        });
        self.running.push((name, thread.map_err(|error| Error::Runtime(error.to_string()))?));
        Ok(())
    }

    fn join(self) {
        for (name, thread) in self.running {
            if thread.join().is_err() {
                self.control.fail(Error::Panic { thread: name.into(), message: "while it was ending".into() });
            }
        }
    }
}
