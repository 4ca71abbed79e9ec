//! Order, exchanges, errors, panics, draining and queries of the dataflow, with tiny stages whose answer is known.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thalweg::sink::Collect;
use thalweg::stage::{Inbox, Outbox};
use thalweg::{BoxError, Epoch, Error, Next, Pipeline, Sink, Source, Stage};

/// The numbers below `end`, an epoch each, with a hook on each read.
struct Numbers<F = fn(u64)> {
    next: u64,
    end: u64,
    hook: F,
}

fn numbers(end: u64) -> Numbers {
    Numbers { next: 0, end, hook: |_| () }
}

impl<F: FnMut(u64) + Send> Source for Numbers<F> {
    type Item = u64;
    fn name(&self) -> String {
        "numbers".into()
    }
    fn next(&mut self) -> Result<Next<u64>, BoxError> {
        if self.next == self.end {
            return Ok(Next::End);
        }
        (self.hook)(self.next);
        self.next += 1;
        Ok(Next::Item(self.next - 1))
    }
}

/// A running total over all shards: query (the number goes to its owner), reply (the owner's total comes back), output.
#[derive(Default)]
struct Totals {
    total: u64,
    asked: BTreeMap<Epoch, u64>,
}

impl Stage for Totals {
    type Input = u64;
    type Exchange = u64;
    type Output = (u64, u64);
    fn name(&self) -> &'static str {
        "totals"
    }
    fn phases(&self) -> usize {
        3
    }
    fn step(
        &mut self,
        epoch: Epoch,
        phase: usize,
        inbox: Inbox<u64, u64>,
        out: &mut Outbox<u64, (u64, u64)>,
    ) -> Result<(), BoxError> {
        match inbox {
            Inbox::Input(numbers) => {
                for number in numbers {
                    self.asked.insert(epoch, number);
                    out.send(number as usize % 3, number);
                }
            }
            Inbox::Exchange(messages) => {
                for (from, message) in messages {
                    if phase == 1 {
                        self.total += message;
                        out.send(from, self.total);
                    } else {
                        out.give((self.asked.remove(&epoch).ok_or("a reply nobody asked for")?, message));
                    }
                }
            }
        }
        Ok(())
    }
}

#[test]
fn phases_see_one_epoch_at_a_time_and_the_sink_sees_them_in_order() {
    for workers in [1, 2, 3, 4] {
        let sink = Collect::default();
        let report = Pipeline::from_source(numbers(200))
            .workers(workers)
            .run(|numbers| numbers.stage(|_| Totals::default()), sink.clone())
            .unwrap();
        assert_eq!(report.frames, 200);
        let owners = 3.min(workers);
        let mut totals = BTreeMap::<usize, u64>::new();
        let expected: Vec<_> = (0..200)
            .map(|n| {
                let total = totals.entry(n as usize % 3 % workers).or_default();
                *total += n;
                (n, (n, *total))
            })
            .collect();
        assert_eq!(sink.items(), expected, "{workers} workers, {owners} owners");
    }
}

#[test]
fn a_stage_error_ends_the_run_and_names_stage_and_epoch() {
    for workers in [1, 2, 4] {
        let refuse = |n: u64| if n == 37 { Err("found 37, expected anything else".into()) } else { Ok(n) };
        let error =
            Pipeline::from_source(numbers(1000)).workers(workers).run(|n| n.map("refuse", refuse), Collect::default());
        assert_eq!(error.unwrap_err().to_string(), "stage refuse, epoch 37: found 37, expected anything else");
    }
}

#[test]
fn a_panic_in_one_worker_ends_the_run_instead_of_hanging_it() {
    for workers in [1, 2, 4] {
        let explode = |n: u64| if n == 21 { panic!("a defect") } else { Ok(n) };
        let start = Instant::now();
        let error = Pipeline::from_source(numbers(u64::MAX))
            .workers(workers)
            .run(|n| n.map("explode", explode), Collect::default());
        assert!(matches!(error, Err(Error::Panic { message, .. }) if message == "a defect"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

/// A sink that is slow, or fails at an epoch.
struct Slow {
    pause: Duration,
    fail_at: Epoch,
    written: Arc<AtomicU64>,
    finished: Arc<AtomicBool>,
}

impl Slow {
    fn new(pause: Duration, fail_at: Epoch) -> Self {
        Slow { pause, fail_at, written: Arc::default(), finished: Arc::default() }
    }
}

impl Sink<u64> for Slow {
    fn name(&self) -> String {
        "slow".into()
    }
    fn write(&mut self, epoch: Epoch, _: u64) -> Result<(), BoxError> {
        std::thread::sleep(self.pause);
        if epoch == self.fail_at {
            return Err("no room".into());
        }
        self.written.store(epoch + 1, Ordering::SeqCst);
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        self.finished.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_slow_sink_slows_the_source() {
    for workers in [1, 2] {
        let sink = Slow::new(Duration::from_millis(5), Epoch::MAX);
        let written = Arc::clone(&sink.written);
        let ahead = Arc::new(AtomicU64::new(0));
        let most = Arc::clone(&ahead);
        let source = Numbers {
            next: 0,
            end: 40,
            hook: move |n| {
                most.fetch_max(n - written.load(Ordering::SeqCst), Ordering::SeqCst);
            },
        };
        Pipeline::from_source(source).workers(workers).run(|n| n, sink).unwrap();
        let ahead = ahead.load(Ordering::SeqCst);
        assert!(ahead <= 2 * workers as u64 + 1, "{ahead} epochs ahead of the sink with {workers} workers");
    }
}

/// A sink that notes what happens to it, and refuses to wait for longer than it is told.
struct Patient {
    events: Arc<Mutex<Vec<String>>>,
    ticks: usize,
}

impl Sink<u64> for Patient {
    fn name(&self) -> String {
        "patient".into()
    }
    fn write(&mut self, epoch: Epoch, _: u64) -> Result<(), BoxError> {
        self.events.lock().unwrap().push(format!("write {epoch}"));
        Ok(())
    }
    fn tick(&mut self, _: Epoch) -> Result<(), BoxError> {
        if self.ticks == 0 {
            return Err("too long".into());
        }
        self.ticks -= 1;
        self.events.lock().unwrap().push("tick".into());
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        self.events.lock().unwrap().push("finish".into());
        Ok(())
    }
}

#[test]
fn a_sink_is_told_that_time_passes_while_nothing_comes() {
    let run = |ticks| {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Patient { events: Arc::clone(&events), ticks };
        let pause = |n| std::thread::sleep(Duration::from_millis(if n == 1 { 900 } else { 0 }));
        let outcome = Pipeline::from_source(Numbers { next: 0, end: 2, hook: pause }).run(|n| n, sink);
        let events = events.lock().unwrap();
        (outcome.map(drop).map_err(|error| error.to_string()), events.join(", "))
    };
    let (outcome, events) = run(usize::MAX);
    assert!(
        outcome.is_ok() && events.starts_with("write 0, tick, tick,") && events.ends_with("write 1, finish"),
        "{events}"
    );
    assert_eq!(run(2), (Err("patient: too long".into()), "write 0, tick, tick".into()));
}

#[test]
fn a_sink_error_ends_the_run_unpublished() {
    let sink = Slow::new(Duration::ZERO, 5);
    let finished = Arc::clone(&sink.finished);
    let error = Pipeline::from_source(numbers(1000)).workers(2).run(|n| n, sink).unwrap_err();
    assert_eq!(error.to_string(), "slow: no room");
    assert!(!finished.load(Ordering::SeqCst));
}

#[test]
fn draining_finishes_what_was_read_and_publishes() {
    let stop = Arc::new(AtomicBool::new(false));
    let hook = Arc::clone(&stop);
    let source = Numbers { next: 0, end: u64::MAX, hook: move |n| hook.store(n >= 50, Ordering::SeqCst) };
    let sink = Slow::new(Duration::ZERO, Epoch::MAX);
    let (written, finished) = (Arc::clone(&sink.written), Arc::clone(&sink.finished));
    let report = Pipeline::from_source(source).workers(2).drain_when(stop).run(|n| n, sink).unwrap();
    assert_eq!(report.frames, 51);
    assert_eq!(written.load(Ordering::SeqCst), 51);
    assert!(finished.load(Ordering::SeqCst));
}

#[test]
fn a_query_is_maintained_as_the_collection_changes() {
    use thalweg::dataflow::operators::CountTotal;
    for workers in [1, 2, 4] {
        let sink = Collect::default();
        Pipeline::from_source(numbers(6))
            .workers(workers)
            .run(
                // Epoch n holds the rows 0..n; the answer counts rows by parity.
                |n| n.query(|n, row| (0..n).for_each(row), |rows| rows.map(|n| n % 2).count_total()),
                sink.clone(),
            )
            .unwrap();
        let mut answer = BTreeMap::<(u64, isize), isize>::new();
        let mut seen = BTreeMap::new();
        for (epoch, delta) in sink.items() {
            for (row, diff) in delta.rows {
                *answer.entry(row).or_default() += diff;
            }
            answer.retain(|_, diff| *diff != 0);
            seen.insert(epoch, answer.keys().copied().collect::<Vec<_>>());
        }
        assert_eq!(seen[&5], [(0, 3), (1, 2)]);
        assert_eq!(seen[&4], [(0, 2), (1, 2)]);
        assert_eq!(seen[&1], [(0, 1)]);
        assert!(seen[&6].is_empty(), "after the last sweep nothing is live");
    }
}

#[test]
fn edges_and_labels_of_a_sweep_are_collections_to_ask() {
    use thalweg::dataflow::operators::CountTotal;

    /// Points on a line, one more each frame: their degrees in the graph of the two nearest are known.
    struct Line(i64);
    impl Source for Line {
        type Item = thalweg::Frame;
        fn name(&self) -> String {
            "line".into()
        }
        fn next(&mut self) -> Result<Next<thalweg::Frame>, BoxError> {
            self.0 += 1;
            let n = self.0 as usize + 2;
            let x = (0..n).map(|i| (i * i) as f32).collect();
            let frame = thalweg::Frame { id: self.0 - 1, x, y: vec![0.0; n], z: vec![0.0; n], ..Default::default() };
            Ok(if self.0 > 4 { Next::End } else { Next::Item(frame) })
        }
    }
    let degrees_of = |n: usize| {
        // By hand: on squares 0, 1, 4, 9, … the nearest two of i ≥ 2 are i − 1 and i − 2 or i + 1; brute force says which.
        let x: Vec<f32> = (0..n).map(|i| (i * i) as f32).collect();
        let mut degree = BTreeMap::<u32, isize>::new();
        for i in 0..n {
            let mut others: Vec<_> = (0..n).filter(|&j| j != i).map(|j| (((x[i] - x[j]).powi(2)), j)).collect();
            others.sort_by(|a, b| a.partial_cmp(b).unwrap());
            others.iter().take(2).for_each(|(_, j)| *degree.entry(*j as u32).or_default() += 1);
        }
        degree.into_iter().collect::<Vec<_>>()
    };
    for workers in [1, 2, 4] {
        let sink = Collect::default();
        Pipeline::from_source(Line(0))
            .workers(workers)
            .run(|points| points.knn_graph(2).edges(|edges| edges.map(|(_, dst, _)| dst).count_total()), sink.clone())
            .unwrap();
        let mut answer = BTreeMap::<(u32, isize), isize>::new();
        for (epoch, delta) in sink.items() {
            delta.rows.into_iter().for_each(|(row, diff)| *answer.entry(row).or_default() += diff);
            answer.retain(|_, diff| *diff != 0);
            let expected = if epoch < 4 { degrees_of(epoch as usize + 3) } else { Vec::new() };
            assert_eq!(answer.keys().copied().collect::<Vec<_>>(), expected, "epoch {epoch}, {workers} workers");
        }
    }
}
