//! A run: one thread for the sources, one a sink, the workers between them, and one way for all of them to end.
//!
//! A worker steps its dataflow or parks. An error or a panic anywhere is recorded once; every thread sees it within the
//! parking time, drops its dataflow and leaves, so that a defect in one worker never hangs the others.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::{ProbeHandle, Scope};
use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

use super::control::lock;
use super::egress::{Door, drain, egress};
use super::ingest::{Arrival, Reader, Wakers, Way, ingest, pump};
use super::remote::{Group, follow, lead};
use super::{Control, MailStream, mail, phases};
use crate::cluster::{Cluster, News, meet};
use crate::plan::{AnySink, Node, Plan, Work};
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

/// Runs a plan to the end of its sources, on `workers` threads of this process and as many of each other process of `cluster`.
pub(crate) fn run(
    plan: Plan,
    workers: usize,
    cluster: Option<&Cluster>,
    control: Arc<Control>,
    stats: Arc<Stats>,
) -> Result<(), Error> {
    let mut group = match cluster {
        Some(cluster) => Some(Group::new(cluster, meet(cluster, &fingerprint(&plan, workers))?)?),
        None => None,
    };
    let (process, processes) = group.as_ref().map_or((0, 1), |group| (group.process, group.processes));
    let (readers, sinks) = outside(&plan);
    let mut sinks: Vec<_> = sinks.into_iter().map(Some).collect();
    if process > 0 {
        // The leader reads and writes.
        sinks.iter_mut().for_each(|sink| *sink = None);
    }
    control.expect(sinks.iter().flatten().count(), processes - 1);
    let wakers: Wakers = Arc::new(Mutex::new((0..workers).map(|_| Vec::new()).collect()));
    let (senders, mut ends) = channels(readers.len(), workers);
    let mut threads = Threads { control: Arc::clone(&control), stats: Arc::clone(&stats), running: Vec::new() };
    threads.start_sinks(sinks, &mut ends)?;
    match &mut group {
        Some(group) if process > 0 => threads.start_follower(group, senders, &wakers)?,
        group => threads.start_sources(readers, group.as_mut(), senders, &wakers)?,
    }
    let run = Run { nodes: plan.nodes, control: Arc::clone(&control), stats: Arc::clone(&stats), wakers };
    work(run, ends, group);
    threads.join();
    control.take_error().map_or(Ok(()), Err)
}

/// Takes the sources and the sinks out of a plan, each in the order of the nodes.
fn outside(plan: &Plan) -> (Vec<Reader>, Vec<Box<dyn AnySink>>) {
    let (mut readers, mut sinks) = (Vec::new(), Vec::new());
    for node in &plan.nodes {
        match &node.work {
            Work::Source(source) => readers.extend(lock(source).take().map(|source| Reader::new(source, node.copy))),
            Work::Sink(sink) => sinks.extend(lock(sink).take()),
            _ => {}
        }
    }
    (readers, sinks)
}

/// A channel from each source to each worker: the senders, a row a worker with an entry a source, and the workers' ends.
fn channels(sources: usize, workers: usize) -> (Vec<Vec<Sender<Arrival>>>, Vec<Ends>) {
    let (mut senders, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (to, from): (Vec<_>, Vec<_>) = (0..sources).map(|_| bounded(2)).unzip();
        senders.push(to);
        ends.push(Ends { sources: from, sinks: Vec::new() });
    }
    (senders, ends)
}

/// Installs the plan on the workers of this process and steps them to the end.
fn work(run: Run, ends: Vec<Ends>, group: Option<Group>) {
    let (workers, control, stats) = (ends.len(), Arc::clone(&run.control), Arc::clone(&run.stats));
    let ends = Mutex::new(ends.into_iter().map(Some).collect::<Vec<_>>());
    let body = move |worker: &mut Worker| {
        let (index, local) = (worker.index(), worker.index() % workers);
        let Some(ends) = lock(&ends)[local].take() else { return };
        let name = || format!("worker {index}");
        let probe = run.control.guard(name, || worker.dataflow::<Epoch, _, _>(|scope| install(&run, ends, scope)));
        if let Some(probe) = probe {
            while !probe.done() && run.control.guard(name, || turn(worker, local == 0, &probe, &run)) == Some(true) {}
        }
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    };
    match group {
        None => {
            let communication = CommunicationConfig::Process(workers);
            match timely::execute(Config { communication, worker: WorkerConfig::default() }, body) {
                Ok(guards) => drop(guards),
                Err(error) => control.fail(Error::Runtime(error)),
            }
        }
        Some(group) => together(group, workers, body, &control, &stats),
    }
}

/// What must be the same in all processes: the nodes of the plan, and how many workers each has.
fn fingerprint(plan: &Plan, workers: usize) -> String {
    let kind = |work: &Work| match work {
        Work::Source(_) => "source",
        Work::Stage(_) => "stage",
        Work::Query(_) => "query",
        Work::Sink(_) => "sink",
    };
    // Names of sources and sinks are paths, which may differ between machines.
    let nodes: Vec<_> = plan.nodes.iter().map(|node| format!("{}{:?}", kind(&node.work), node.inputs)).collect();
    format!("{workers} {}", nodes.join(" "))
}

/// Runs the workers of this process among those of the others, and ends with them.
fn together(
    mut group: Group,
    workers: usize,
    work: impl Fn(&mut Worker) + Send + Sync + 'static,
    control: &Control,
    stats: &Stats,
) {
    let comms = match group.execute(workers, work) {
        Ok((guards, comms)) => {
            if group.process > 0 {
                group.attend(&guards, stats);
            }
            // A worker that a lost process takes with it has said so, or whoever listens at the links has.
            for ended in guards.join() {
                if let Err(message) = ended {
                    control.fail_late(Error::Panic { thread: "worker".into(), message });
                }
            }
            Some(comms)
        }
        Err(error) => {
            control.fail(Error::Runtime(error));
            None
        }
    };
    let failed = control.failed();
    if group.process > 0 {
        let news = match control.told() {
            Some(told) => News::Failed(told),
            None => News::Done(stats.snapshot()),
        };
        group.part(&news);
    }
    if failed {
        // timely's threads wait for the other processes, which may be gone: they are left alone, and end with the program.
        std::mem::forget(comms);
        group.close();
    } else {
        drop(comms);
    }
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
                receiver.map(|receiver| ingest(scope, &node.name, receiver, &run.wakers))
            }
            (Work::Stage(make), Some(input)) => {
                let stage = make(&run.stats, node.copy);
                let name = if node.name.is_empty() { stage.name() } else { &node.name };
                let count = names.entry(name.to_string()).and_modify(|count| *count += 1).or_insert(1);
                let name = if *count > 1 { format!("{name} ({count})") } else { name.to_string() };
                Some(phases(input, name, stage, &run.control))
            }
            (Work::Query(install), Some(input)) => Some(install(input, node.copy, &run.control)),
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

/// One step of a worker, which is the first of its process or another; false when the run has failed.
fn turn(worker: &mut Worker, first: bool, probe: &ProbeHandle<Epoch>, run: &Run) -> bool {
    worker.step_or_park(Some(PARK));
    if first {
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
    stats: Arc<Stats>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Threads {
    /// A thread for each sink, and its doors at the workers; one that is `None` is written by another process.
    fn start_sinks(&mut self, sinks: Vec<Option<Box<dyn AnySink>>>, ends: &mut [Ends]) -> Result<(), Error> {
        for (number, sink) in sinks.into_iter().enumerate() {
            let (orders, written) = bounded(1);
            let acknowledged = Arc::new(AtomicU64::new(0));
            for (worker, ends) in ends.iter_mut().enumerate() {
                let sender = if worker == 0 && sink.is_some() { Some(orders.clone()) } else { None };
                ends.sinks.push(Door { sink: number, sender, acknowledged: Arc::clone(&acknowledged) });
            }
            if let Some(sink) = sink {
                let (control, stats) = (Arc::clone(&self.control), Arc::clone(&self.stats));
                self.start("sink", move || drain(number, sink, written, &acknowledged, &control, &stats))?;
            }
        }
        Ok(())
    }

    /// The thread that reads the sources, and in a leader of several processes one at the link with each of the others.
    fn start_sources(
        &mut self,
        readers: Vec<Reader>,
        group: Option<&mut Group>,
        senders: Vec<Vec<Sender<Arrival>>>,
        wakers: &Wakers,
    ) -> Result<(), Error> {
        let workers = senders.len();
        let mut ways: Vec<_> = senders.into_iter().enumerate().map(|(worker, to)| Way::Here(worker, to)).collect();
        for (number, post, ear) in group.map_or(Vec::new(), Group::others) {
            ways.extend((0..workers).map(|worker| Way::There(worker, Arc::clone(&post))));
            let (control, stats) = (Arc::clone(&self.control), Arc::clone(&self.stats));
            self.start("link", move || lead(number, ear, &post, &control, &stats))?;
        }
        let (wakers, control, stats) = (Arc::clone(wakers), Arc::clone(&self.control), Arc::clone(&self.stats));
        self.start("source", move || pump(readers, ways, &wakers, &control, &stats))
    }

    /// In a process that does not lead, the thread that takes what the leader deals out.
    fn start_follower(
        &mut self,
        group: &mut Group,
        senders: Vec<Vec<Sender<Arrival>>>,
        wakers: &Wakers,
    ) -> Result<(), Error> {
        let Some((_, _, ear)) = group.others().pop() else { return Ok(()) };
        let (done, wakers, control) = (Arc::clone(&group.done), Arc::clone(wakers), Arc::clone(&self.control));
        self.start("link", move || follow(ear, senders, &wakers, &control, &done))
    }

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
