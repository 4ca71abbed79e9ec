//! Plans that branch and join: several sources and sinks, and what a stage may rely on.

use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use thalweg::sink::Collect;
use thalweg::source::Position;
use thalweg::stage::{Inbox, Outbox};
use thalweg::{BoxError, Epoch, Error, Next, Pipeline, Sink, Source, Stage};

/// Items with their times, handed out with pauses that the seed says.
struct Timed {
    name: &'static str,
    items: std::vec::IntoIter<(Option<i64>, u64)>,
    pauses: Option<Xoshiro256PlusPlus>,
    taken: u64,
}

fn timed(name: &'static str, items: &[(i64, u64)], seed: u64) -> Timed {
    let items: Vec<_> = items.iter().map(|&(time, item)| (Some(time), item)).collect();
    Timed { name, items: items.into_iter(), pauses: Some(Xoshiro256PlusPlus::seed_from_u64(seed)), taken: 0 }
}

fn numbers(name: &'static str, items: impl IntoIterator<Item = u64>) -> Timed {
    let items: Vec<_> = items.into_iter().map(|item| (None, item)).collect();
    Timed { name, items: items.into_iter(), pauses: None, taken: 0 }
}

impl Source for Timed {
    type Item = (Option<i64>, u64);
    fn name(&self) -> String {
        self.name.into()
    }
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError> {
        if self.pauses.as_mut().is_some_and(|pauses| pauses.next_u64().is_multiple_of(3)) {
            return Ok(Next::Idle);
        }
        self.taken += 1;
        Ok(self.items.next().map_or(Next::End, Next::Item))
    }
    fn position(&self) -> Option<Position> {
        Some(Position::of(self.name, self.taken))
    }
    fn time(&self, item: &Self::Item) -> Option<i64> {
        item.0
    }
}

#[test]
fn what_is_used_twice_is_computed_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    for workers in [1, 2, 4] {
        let calls = Arc::new(AtomicU64::new(0));
        let (all, even, twice) = (Collect::default(), Collect::default(), Collect::default());
        let pipeline = Pipeline::new();
        let counted = Arc::clone(&calls);
        let squares = pipeline.source(numbers("numbers", 0..50)).map("square", move |(_, n)| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(n * n)
        });
        squares.clone().sink(all.clone());
        squares.clone().filter("even", |n| n % 2 == 0).sink(even.clone());
        squares.clone().concat(squares.map("negative", |n| Ok(1000 - n.min(1000)))).sink(twice.clone());
        pipeline.workers(workers).run().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 50);
        assert_eq!(all.items(), (0..50).map(|n| (n, n * n)).collect::<Vec<_>>());
        assert_eq!(even.items(), (0..50).step_by(2).map(|n| (n, n * n)).collect::<Vec<_>>());
        let both = (0..50).flat_map(|n| [(n, n * n), (n, 1000 - (n * n).min(1000))]);
        assert_eq!(twice.items(), both.collect::<Vec<_>>(), "the left branch comes first");
    }
}

#[test]
fn branches_of_one_source_meet_again_in_their_epoch() {
    for workers in [1, 2, 3] {
        let sink = Collect::default();
        let pipeline = Pipeline::new();
        let n = pipeline.source(numbers("numbers", 0..40)).map("plain", |(_, n)| Ok(n));
        let odd = n.clone().filter("odd", |n| n % 2 == 1).map("tenfold", |n| Ok(10 * n));
        n.join_epoch(odd, |n, tenfold| Ok(n + tenfold)).sink(sink.clone());
        pipeline.workers(workers).run().unwrap();
        assert_eq!(sink.items(), (1..40).step_by(2).map(|n| (n, 11 * n)).collect::<Vec<_>>());
    }
}

#[test]
fn an_as_of_join_does_not_depend_on_who_was_faster() {
    let frames = [(10, 1), (20, 2), (30, 3), (30, 4), (45, 5)];
    let poses = [(5, 50), (20, 200), (29, 290), (31, 310), (60, 600)];
    // By hand: the newest pose at or before each frame.
    let expected = [(1, Some(50)), (2, Some(200)), (3, Some(290)), (4, Some(290)), (5, Some(310))];
    for seed in 0..40 {
        for (workers, frames_first) in [(1, true), (1, false), (2, true), (4, false)] {
            let sink = Collect::default();
            let pipeline = Pipeline::new();
            let (left, right) = (timed("frames", &frames, seed), timed("poses", &poses, seed ^ 77));
            let (left, right) = if frames_first {
                let left = pipeline.source(left);
                (left, pipeline.source(right))
            } else {
                let right = pipeline.source(right);
                (pipeline.source(left), right)
            };
            left.join_latest(right, |(_, frame), pose| Ok((frame, pose.map(|(_, pose)| *pose)))).sink(sink.clone());
            pipeline.workers(workers).run().unwrap();
            let found: Vec<_> = sink.items().into_iter().map(|(_, item)| item).collect();
            assert_eq!(found, expected, "seed {seed}, {workers} workers");
        }
    }
}

#[test]
fn sources_without_times_go_in_step_and_others_by_time() {
    let run = |left: Timed, right: Timed| {
        let sink = Collect::default();
        let pipeline = Pipeline::new();
        let left = pipeline.source(left);
        left.concat(pipeline.source(right)).map("number", |(_, n)| Ok(n)).sink(sink.clone());
        pipeline.workers(2).run().map(|_| sink.items())
    };
    assert_eq!(run(numbers("a", [1, 2]), numbers("b", [7, 8, 9])).unwrap(), [(0, 1), (0, 7), (1, 2), (1, 8), (2, 9)]);
    // The second 3 of a goes back in time and counts as 5.
    let (a, b) = (timed("a", &[(5, 1), (3, 2)], 1), timed("b", &[(4, 7), (5, 8)], 2));
    assert_eq!(run(a, b).unwrap(), [(0, 7), (1, 1), (1, 8), (2, 2)]);
    let error = run(timed("a", &[(5, 1)], 1), numbers("b", [7])).unwrap_err().to_string();
    assert_eq!(error, "b: found items without event times, expected times as a has them");
}

#[test]
fn a_plan_that_cannot_run_is_refused_before_anything_does() {
    let message = |pipeline: Pipeline| match pipeline.run() {
        Err(Error::Plan(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(message(Pipeline::new()).starts_with("found no sink"));
    let pipeline = Pipeline::new();
    let _ = pipeline.source(numbers("a", 0..3)).map("lost", Ok);
    pipeline.source(numbers("b", 0..3)).sink(Collect::default());
    assert_eq!(message(pipeline), "a: found no sink behind this source, expected one");
    let (one, two) = (Pipeline::new(), Pipeline::new());
    one.source(numbers("a", 0..3)).concat(two.source(numbers("b", 0..3))).sink(Collect::default());
    two.source(numbers("c", 0..3)).sink(Collect::default());
    assert!(message(two).starts_with("found flows of two pipelines"));
    assert!(message(one).starts_with("found flows of two pipelines"));
    let pipeline = Pipeline::new();
    let flow = pipeline.source(numbers("a", 0..3));
    flow.clone().sink(Written("same.csv"));
    flow.clone().sink(Written("other.csv"));
    flow.sink(Written("same.csv"));
    assert_eq!(message(pipeline), "same.csv: found two sinks that write it, expected one");
}

/// A sink into a file of this name.
struct Written(&'static str);

impl<T> Sink<T> for Written {
    fn name(&self) -> String {
        self.0.into()
    }
    fn destination(&self) -> Option<&std::path::Path> {
        Some(self.0.as_ref())
    }
    fn write(&mut self, _: Epoch, _: T) -> Result<(), BoxError> {
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn times_that_go_back_are_said_once_where_sources_are_joined() {
    let second = 1_000_000_000;
    let run = |right: &[(i64, u64)]| {
        let pipeline = Pipeline::new();
        let left = pipeline.source(timed("left", &[(second, 1), (2 * second, 2)], 3));
        let right = pipeline.source(timed("right", right, 4));
        left.join_latest(right, |_, _| Ok(())).sink(Collect::default());
        pipeline.run().unwrap().warnings
    };
    let back = [(5 * second, 1), (second, 2), (3 * second, 3), (6 * second, 4)];
    let expected = "right: found an item at 1 s after one at 5 s, expected times that ascend: it counts as of 5 s";
    assert_eq!(run(&back), [expected]);
    assert_eq!(run(&[(second, 1), (second, 2), (4 * second, 3)]), [""; 0]);
}

#[test]
fn an_error_names_the_node_of_the_plan() {
    let pipeline = Pipeline::new();
    let n = pipeline.source(numbers("numbers", 0..9)).map("check", Ok);
    let refuse = |(time, n): (Option<i64>, u64)| if n == 4 { Err("found 4".into()) } else { Ok((time, n)) };
    n.map("check", refuse).sink(Collect::default());
    assert_eq!(pipeline.run().unwrap_err().to_string(), "stage check (2), epoch 4 (numbers up to record 5): found 4");
    let pipeline = Pipeline::new();
    pipeline.source(numbers("numbers", 0..9)).map("check", refuse).named("left").sink(Collect::default());
    assert_eq!(pipeline.run().unwrap_err().to_string(), "stage left, epoch 4 (numbers up to record 5): found 4");
}

/// A sink that fails, and one that remembers whether it published.
struct Fails(bool, std::sync::Arc<std::sync::atomic::AtomicBool>);

impl<T> Sink<T> for Fails {
    fn name(&self) -> String {
        "disk".into()
    }
    fn write(&mut self, epoch: Epoch, _: T) -> Result<(), BoxError> {
        if self.0 && epoch == 7 { Err("full".into()) } else { Ok(()) }
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        self.1.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn no_sink_publishes_unless_all_have_written() {
    for fails in [false, true] {
        let published: [std::sync::Arc<std::sync::atomic::AtomicBool>; 2] = Default::default();
        let pipeline = Pipeline::new();
        let n = pipeline.source(numbers("numbers", 0..8));
        n.clone().sink(Fails(false, published[0].clone()));
        n.sink(Fails(fails, published[1].clone()));
        assert_eq!(pipeline.workers(2).run().is_err(), fails);
        published.iter().for_each(|p| assert_eq!(p.load(std::sync::atomic::Ordering::Relaxed), !fails));
    }
}

/// Four phases that count how often they run within an epoch; any mixture of two epochs is an error. Phases take random time.
struct Four {
    rng: Xoshiro256PlusPlus,
    last: Option<(Epoch, usize)>,
    sum: u64,
}

impl Stage for Four {
    type Input = u64;
    type Exchange = (u64, usize);
    type Output = (usize, u64);
    fn name(&self) -> &'static str {
        "four"
    }
    fn phases(&self) -> usize {
        4
    }
    fn step(
        &mut self,
        epoch: Epoch,
        phase: usize,
        inbox: Inbox<u64, (u64, usize)>,
        out: &mut Outbox<(u64, usize), (usize, u64)>,
    ) -> Result<(), BoxError> {
        // A shard without input has no phase 0; every shard has all the others.
        let follows = match self.last {
            None => phase < 2,
            Some((before, 3)) => epoch > before && phase < 2,
            Some((before, last)) => epoch == before && phase == last + 1,
        };
        if !follows {
            return Err(format!("found phase {phase} of epoch {epoch} after {:?}", self.last).into());
        }
        self.last = Some((epoch, phase));
        if self.rng.next_u64().is_multiple_of(64) {
            std::thread::sleep(Duration::from_micros(self.rng.next_u64() % 300));
        }
        let (shard, shards) = (out.shard(), out.shards());
        match inbox {
            Inbox::Input(numbers) => {
                numbers.into_iter().for_each(|n| (0..shards).for_each(|dst| out.send(dst, (n, shard))));
            }
            Inbox::Exchange(mail) if phase == 1 => {
                self.sum += mail.iter().map(|(_, (n, _))| n).sum::<u64>();
                (0..shards).for_each(|dst| out.send(dst, (self.sum, shard)));
            }
            Inbox::Exchange(mail) if phase == 2 => {
                // All shards have the same sum, or two epochs were mixed.
                if mail.iter().any(|(_, (sum, _))| *sum != self.sum) {
                    return Err(format!("epoch {epoch}: found {mail:?}, expected {}", self.sum).into());
                }
                (0..shards).for_each(|dst| out.send(dst, (self.sum, shard)));
            }
            Inbox::Exchange(mail) => {
                if mail.len() != shards || mail.iter().any(|(_, (sum, _))| *sum != self.sum) {
                    return Err(format!("epoch {epoch}: found {mail:?}, expected {}", self.sum).into());
                }
                if shard == (epoch as usize) % shards {
                    out.give((0, self.sum));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn four_phases_with_state_between_them_never_see_two_epochs_at_once() {
    const EPOCHS: u64 = 2000;
    for workers in [1, 2, 4, 8] {
        let sink = Collect::default();
        let make = move |seed: u64| Four { rng: Xoshiro256PlusPlus::seed_from_u64(seed), last: None, sum: 0 };
        let pipeline = Pipeline::new();
        let seeds = std::sync::atomic::AtomicU64::new(0);
        pipeline
            .source(numbers("numbers", 0..EPOCHS))
            .map("from one", |(_, n)| Ok(n))
            .stage(move |_| make(seeds.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
            .sink(sink.clone());
        pipeline.workers(workers).run().unwrap();
        let expected = (0..EPOCHS).scan(0, |sum, n| {
            *sum += n;
            Some((n, (0, *sum)))
        });
        assert_eq!(sink.items(), expected.collect::<Vec<_>>(), "{workers} workers");
    }
}

/// Hears of every epoch and of the end.
#[derive(Default)]
struct Listens {
    epochs: Vec<Epoch>,
    items: u64,
}

impl Stage for Listens {
    type Input = u64;
    type Exchange = ();
    type Output = (Vec<Epoch>, u64);
    fn name(&self) -> &'static str {
        "listens"
    }
    fn every_epoch(&self) -> bool {
        true
    }
    fn step(
        &mut self,
        epoch: Epoch,
        _: usize,
        inbox: Inbox<u64, ()>,
        _: &mut Outbox<(), Self::Output>,
    ) -> Result<(), BoxError> {
        self.epochs.push(epoch);
        if let Inbox::Input(items) = inbox {
            self.items += items.len() as u64;
        }
        Ok(())
    }
    fn end(&mut self, _: Epoch, out: &mut Outbox<(), Self::Output>) -> Result<(), BoxError> {
        out.give((std::mem::take(&mut self.epochs), self.items));
        Ok(())
    }
}

#[test]
fn a_stage_hears_of_every_epoch_and_of_the_end() {
    for workers in [1, 2, 5] {
        for count in [0, 1, 7, 100] {
            let sink = Collect::default();
            let pipeline = Pipeline::new();
            let n = pipeline.source(numbers("numbers", 0..count)).map("plain", |(_, n)| Ok(n));
            n.filter("thirds", |n| n % 3 == 0).stage(|_| Listens::default()).sink(sink.clone());
            pipeline.workers(workers).run().unwrap();
            let items = sink.items();
            assert_eq!(items.len(), workers, "each shard hears of the end once");
            for (epoch, (epochs, _)) in &items {
                assert_eq!((*epoch, epochs), (count, &(0..count).collect()), "{workers} workers");
            }
            assert_eq!(items.iter().map(|(_, (_, n))| n).sum::<u64>(), count.div_ceil(3));
        }
    }
}
