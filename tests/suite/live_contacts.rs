//! Live rows of contacts and tests against a naive recomputation from scratch: random copies, retractions, late rows, windows, as-of rules,
//! any order, any number of workers; and revisions that add up to the final tables.

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;
use thalweg::asof::Stamped;
use thalweg::contacts::{
    AsOf, ContactRow, Fact, FactRows, Names, Risk, RiskModel, RiskOptions, Scores, ScoringOptions, Snapshot, TestRow,
};
use thalweg::sink::Collect;
use thalweg::{BoxError, Error, Next, Pipeline, Source};

/// A model whose answer depends on every bit of its input: a hash of it and the person.
struct Digest;

impl RiskModel for Digest {
    fn name(&self) -> &'static str {
        "digest"
    }
    fn risk(&mut self, snapshot: &Snapshot, _: &RiskOptions) -> Result<Risk, Error> {
        let mut seed = 1u64;
        let mut mix = |value: u64| seed = (seed ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        mix(snapshot.as_of as u64);
        for c in &snapshot.contacts {
            [c.t as u64, u64::from(c.a), u64::from(c.b), c.duration as u64].into_iter().for_each(&mut mix);
        }
        snapshot.tests.iter().for_each(|t| mix((t.t as u64) << 9 | u64::from(t.person) << 1 | u64::from(t.positive)));
        let score = (0..snapshot.people).map(|p| (seed.rotate_left(p) >> 40) as f64 / (1u64 << 24) as f64).collect();
        let because = (0..snapshot.people)
            .map(|p| snapshot.contacts.iter().filter(|c| c.a == p).map(|c| (c.b, c.duration as f32)).collect())
            .collect();
        Ok(Risk { score, because, converged: true, ..Risk::default() })
    }
}

/// Batches as they come.
struct Batches(std::vec::IntoIter<FactRows>);

impl Source for Batches {
    type Item = FactRows;
    fn name(&self) -> String {
        "batches".into()
    }
    fn next(&mut self) -> Result<Next<FactRows>, BoxError> {
        Ok(self.0.next().map_or(Next::End, Next::Item))
    }
}

/// Names in an order of arrival that is not that of their bytes.
fn names() -> Names {
    let names = Names::default();
    ["m", "b", "é", "z", "a", "10", "9", "B"].into_iter().for_each(|name| {
        names.push(name);
    });
    names
}

/// Few values, so that rows are often equal, or of one pair and stamp.
fn script(random: &mut Random, rows: usize) -> Vec<(Fact, i32)> {
    (0..rows)
        .map(|_| {
            let t = random.below(7) as i64 * 10;
            let fact = if random.below(4) == 0 {
                Fact::Test(TestRow { t, person: random.below(8) as u32, positive: random.below(2) == 0 })
            } else {
                let duration = random.below(2) as i64 * 5 + 5;
                Fact::Contact(ContactRow::new(t, random.below(8) as u32, random.below(8) as u32, duration))
            };
            (fact, if random.below(5) == 0 { -1 } else { 1 })
        })
        .collect()
}

/// (as-of, name, score bits, because).
type Row = (i64, String, u32, Vec<(String, u32)>);
type Table = BTreeSet<Row>;

/// The tables, from the rows' sums, by another way than the stage's; and what was dropped.
fn naive(rows: &[(Fact, i32)], as_of: AsOf, window: Option<i64>) -> (Table, BTreeMap<String, u64>) {
    let names = names().list();
    let mut sums = BTreeMap::<Fact, i64>::new();
    rows.iter().for_each(|(fact, diff)| *sums.entry(*fact).or_default() += i64::from(*diff));
    let unmatched = sums.values().filter(|n| **n < 0).map(|n| n.unsigned_abs()).sum();
    sums.retain(|_, n| *n > 0);
    let stamp = |fact: &Fact| fact.t().expect("a row has a stamp");
    let (Some(first), Some(last)) = (sums.keys().map(stamp).min(), sums.keys().map(stamp).max()) else {
        return (Table::new(), counts([0, 0, unmatched]));
    };
    let times: Vec<i64> = match as_of {
        AsOf::Last => vec![last],
        AsOf::At(t) => vec![t],
        AsOf::Every(s) => (-100..200).filter(|t| t % s == 0 && *t >= first && *t < last + s).collect(),
    };
    let mut table = Table::new();
    for time in times {
        let seen: Vec<&Fact> =
            sums.keys().filter(|fact| stamp(fact) <= time && window.is_none_or(|w| stamp(fact) >= time - w)).collect();
        let people: BTreeSet<&[u8]> = seen
            .iter()
            .flat_map(|fact| match fact {
                Fact::Contact(row) => vec![row.a, row.b],
                Fact::Test(row) => vec![row.person],
                Fact::Due(_) => vec![],
            })
            .map(|p| names[p as usize].as_bytes())
            .collect();
        let number = |p: u32| people.iter().position(|name| *name == names[p as usize].as_bytes()).unwrap() as u32;
        let mut contacts = BTreeMap::<(i64, u32, u32), i64>::new();
        let mut tests = Vec::new();
        for fact in &seen {
            match fact {
                Fact::Contact(row) if row.a != row.b => {
                    let (i, j) = (number(row.a), number(row.b));
                    *contacts.entry((row.t, i.min(j), i.max(j))).or_default() += row.duration;
                }
                Fact::Test(row) => {
                    let person = number(row.person);
                    tests.push(thalweg::contacts::Test { t: row.t, person, positive: row.positive });
                }
                _ => {}
            }
        }
        tests.sort();
        let contacts = contacts
            .into_iter()
            .map(|((t, a, b), duration)| thalweg::contacts::Contact { t, a, b, duration })
            .collect();
        let snapshot = Snapshot { as_of: time, people: people.len() as u32, contacts, tests };
        let risk = Digest.risk(&snapshot, &RiskOptions::default()).unwrap();
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        let who: Vec<String> = people.iter().map(|name| text(name)).collect();
        for (p, name) in who.iter().enumerate() {
            let because = risk.because[p].iter().map(|(q, w)| (who[*q as usize].clone(), w.to_bits())).collect();
            table.insert((time, name.clone(), (risk.score[p] as f32).to_bits(), because));
        }
    }
    let own = |fact: &Fact| matches!(fact, Fact::Contact(row) if row.a == row.b);
    let duplicate = sums.iter().filter(|(fact, _)| !own(fact)).map(|(_, n)| *n as u64 - 1).sum();
    let self_contact = sums.iter().filter(|(fact, _)| own(fact)).map(|(_, n)| *n as u64).sum();
    (table, counts([duplicate, self_contact, unmatched]))
}

fn counts(counts: [u64; 3]) -> BTreeMap<String, u64> {
    let names = ["duplicate", "self_contact", "unmatched"].map(str::to_string);
    names.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}

fn run(
    batches: Vec<FactRows>,
    as_of: AsOf,
    window: Option<i64>,
    changes: bool,
    workers: usize,
) -> (Vec<Scores>, BTreeMap<String, u64>) {
    // Four workers are two sites, which make tables in turn.
    let options = ScoringOptions { window, changes, threads: workers.min(2), ..ScoringOptions::new(as_of, names()) };
    run_with(batches, options, workers)
}

fn run_with(batches: Vec<FactRows>, options: ScoringOptions, workers: usize) -> (Vec<Scores>, BTreeMap<String, u64>) {
    let sink = Collect::default();
    let report = Pipeline::from_source(Batches(batches.into_iter()))
        .workers(workers)
        .run(|rows| rows.risk(options, || Ok(Box::new(Digest) as _)), sink.clone())
        .unwrap();
    (sink.items().into_iter().map(|(_, scores)| scores).collect(), report.dropped)
}

/// Rows as (as-of, name, …) with their diffs added up; ascending order within each batch of scores is checked.
fn added_up(items: &[Scores]) -> BTreeMap<Row, i64> {
    let mut table = BTreeMap::new();
    for scores in items {
        let name = |p: u32| scores.names[p as usize].to_string();
        let order: Vec<_> = scores.rows.iter().map(|row| (name(row.person).into_bytes(), row.diff)).collect();
        assert!(order.is_sorted(), "{order:?}");
        for row in &scores.rows {
            let because = row.because.iter().map(|(p, w)| (name(*p), w.to_bits())).collect();
            let key = (scores.as_of, name(row.person), row.score.to_bits(), because);
            *table.entry(key).or_insert(0) += i64::from(row.diff);
        }
    }
    table.retain(|_, n| *n != 0);
    table
}

fn batches(rows: &[(Fact, i32)], size: usize, due: impl Fn(usize) -> bool) -> Vec<FactRows> {
    let mut batches: Vec<_> =
        rows.chunks(size).enumerate().map(|(i, rows)| FactRows { rows: rows.to_vec(), due: due(i) }).collect();
    batches.push(FactRows { rows: Vec::new(), due: true });
    batches
}

#[test]
fn tables_are_those_of_the_sorted_rows_for_any_order_batches_and_workers() {
    for seed in 1..=12 {
        let mut random = Random::new(seed);
        let rows = script(&mut random, 20 + 15 * seed as usize);
        for (as_of, window) in [
            (AsOf::Last, None),
            (AsOf::At(35), None),
            (AsOf::At(-1), None),
            (AsOf::Every(20), None),
            (AsOf::Every(15), Some(20)),
            (AsOf::At(40), Some(0)),
        ] {
            let (table, expected) = naive(&rows, as_of, window);
            let mut shuffled = rows.clone();
            for workers in [1, 2, 4] {
                let (items, dropped) = run(batches(&shuffled, 7 * workers, |_| false), as_of, window, false, workers);
                let found = added_up(&items);
                assert!(found.values().all(|n| *n == 1), "seed {seed}");
                assert!(found.keys().eq(&table), "seed {seed}, {as_of:?}, {window:?}, {workers} workers");
                assert_eq!(dropped, expected, "seed {seed}");
                random.shuffle(&mut shuffled);
            }
        }
    }
}

#[test]
fn revisions_add_up_to_the_tables_of_the_rows_so_far() {
    for seed in 1..=8 {
        let mut random = Random::new(seed);
        let rows = script(&mut random, 60);
        for (as_of, window) in
            [(AsOf::Last, None), (AsOf::At(30), None), (AsOf::Every(10), Some(20)), (AsOf::Every(20), None)]
        {
            for size in [1, 6, 60] {
                let (items, _) = run(batches(&rows, size, |i| i % 2 == 0), as_of, window, true, 2);
                let found = added_up(&items);
                let (table, ..) = naive(&rows, as_of, window);
                assert!(found.values().all(|n| *n == 1), "seed {seed}");
                assert!(found.keys().eq(&table), "seed {seed}, {as_of:?}, {window:?}, {size} rows a batch");
            }
        }
    }
}

#[test]
fn a_late_row_revises_only_what_it_concerns() {
    let contact = |t| (Fact::Contact(ContactRow::new(t, 0, 1, 5)), 1);
    let batch = |rows, due| FactRows { rows, due };
    let (items, _) = run(
        vec![batch(vec![contact(10), contact(20), contact(30)], true), batch(vec![contact(15)], true)],
        AsOf::Every(10),
        None,
        true,
        1,
    );
    let revised: Vec<_> = items.iter().map(|scores| (scores.as_of, scores.rows.len())).collect();
    assert_eq!(revised, [(10, 2), (20, 2), (30, 2), (20, 4), (30, 4)]);
}

/// Rows whose stamps go on, some of them late, copied or taken back, in batches.
fn stream(random: &mut Random, steps: usize) -> Vec<FactRows> {
    let (mut now, mut written, mut batches) = (0, Vec::new(), Vec::new());
    for _ in 0..steps {
        let rows = (0..random.below(6)).map(|_| {
            now += random.below(8) as i64;
            if !written.is_empty() && random.below(4) == 0 {
                let fact = written[written.len() - 1 - random.below(written.len().min(12))];
                return (fact, if random.below(3) == 0 { 1 } else { -1 });
            }
            let t = now - [0, 0, 0, 5, 30, 70][random.below(6)];
            let fact = if random.below(4) == 0 {
                Fact::Test(TestRow { t, person: random.below(8) as u32, positive: random.below(2) == 0 })
            } else {
                Fact::Contact(ContactRow::new(t, random.below(8) as u32, random.below(8) as u32, 5))
            };
            written.push(fact);
            (fact, 1)
        });
        let rows = rows.collect();
        batches.push(FactRows { rows, due: random.below(2) == 0 });
    }
    batches.push(FactRows { rows: Vec::new(), due: true });
    batches
}

#[test]
fn a_run_that_follows_lets_go_of_what_is_behind_and_changes_no_table_that_is_open() {
    let (mut late, mut rows) = (0, 0);
    for seed in 1..=40 {
        let mut random = Random::new(seed);
        let batches = stream(&mut random, 10 + 5 * (seed as usize % 12));
        let newest = batches.iter().flat_map(|batch| &batch.rows).filter(|(_, diff)| *diff > 0);
        let newest = newest.filter_map(|(fact, _)| fact.t()).max().unwrap_or(0);
        for (as_of, window) in [(AsOf::Every(10), 20), (AsOf::Every(7), 40), (AsOf::Last, 25), (AsOf::At(60), 30)] {
            for (changes, workers) in [(true, 1), (true, 2), (false, 2)] {
                let options = ScoringOptions { window: Some(window), changes, ..ScoringOptions::new(as_of, names()) };
                let once = |mut batches: Vec<FactRows>| {
                    // Without revisions every due batch would give all tables: one at the end does.
                    let last = batches.len() - 1;
                    batches.iter_mut().take(last).for_each(|batch| batch.due &= changes);
                    batches
                };
                let kept = added_up(&run_with(once(batches.clone()), options.clone(), workers).0);
                let following = ScoringOptions { follow: true, ..options };
                let (items, dropped) = run_with(once(batches.clone()), following, workers);
                let found = added_up(&items);
                assert!(found.values().all(|n| *n == 1), "seed {seed}: {found:?}");
                let open = |table: BTreeMap<Row, i64>| -> Vec<Row> {
                    table.into_keys().filter(|row| row.0 >= newest - window).collect()
                };
                late += dropped.get("late").copied().unwrap_or(0);
                let (found, kept) = (open(found), open(kept));
                rows += found.len();
                assert_eq!(found, kept, "seed {seed}, {as_of:?}, window {window}, changes {changes}");
            }
        }
    }
    assert!(late > 50 && rows > 1000, "{late} {rows}");
}

#[test]
fn a_model_that_is_stopped_gives_no_table_and_the_next_scoring_is_done_in_full() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use thalweg::contacts::Stop;

    /// Meets a signal in the middle of the as-of time of 20.
    struct Interrupted(Arc<AtomicBool>);
    impl RiskModel for Interrupted {
        fn name(&self) -> &'static str {
            "interrupted"
        }
        fn risk(&mut self, snapshot: &Snapshot, options: &RiskOptions) -> Result<Risk, Error> {
            if snapshot.as_of == 20 {
                self.0.store(true, Ordering::Relaxed);
            }
            options.stop.check()?;
            Digest.risk(snapshot, options)
        }
    }
    for (changes, again) in [(false, false), (true, false), (true, true)] {
        let rows = [5, 15, 25, 35].map(|t| (Fact::Contact(ContactRow::new(t, 0, 1, 5)), 1)).to_vec();
        let mut batches = vec![FactRows { rows: rows.clone(), due: true }];
        batches.extend(again.then(|| FactRows { rows: Vec::new(), due: true }));
        let flag = Arc::new(AtomicBool::new(false));
        let stop = Stop::when(Arc::clone(&flag));
        let options = ScoringOptions { changes, stop, follow: again, ..ScoringOptions::new(AsOf::Every(10), names()) };
        let sink = Collect::default();
        let pipeline = Pipeline::new();
        let rows = pipeline.source(Batches(batches.into_iter()));
        rows.risk(options, move || Ok(Box::new(Interrupted(Arc::clone(&flag))) as _)).sink(sink.clone());
        let report = pipeline.run().unwrap();
        let items: Vec<Scores> = sink.items().into_iter().map(|(_, scores)| scores).collect();
        let found: BTreeSet<i64> = added_up(&items).into_keys().map(|row| row.0).collect();
        assert_eq!(found, if again { BTreeSet::from([10, 20, 30, 40]) } else { BTreeSet::from([10]) });
        assert_eq!(report.warnings, ["as of 0.00000002 s: not scored: stopped by a signal"]);
    }
}

#[test]
fn stamps_far_apart_are_refused_where_as_of_times_would_fill_what_is_between() {
    let contact = |t: i64| (Fact::Contact(ContactRow::new(t, 0, 1, 5)), 1);
    let run = |stamps: &[i64], step| {
        let rows = stamps.iter().map(|t| contact(*t)).collect();
        let options = ScoringOptions::new(AsOf::Every(step), names());
        let fits = options.fits.clone();
        Pipeline::from_source(Batches(vec![FactRows { rows, due: true }].into_iter()))
            .run(|rows| rows.risk(options, || Ok(Box::new(Digest) as _)), Collect::default())
            .map(|_| fits.sums())
    };
    let day = 86_400_000_000_000;
    let error = run(&[1_704_067_200_000_000_000, 1_706_000_000_000_000_000, 7_289_000_000_000_000_000], day);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("every: found 646") && error.contains("1706000000 s and 7289000000 s"), "{error}");
    assert_eq!(run(&[0, 19_999 * day], day).unwrap().fits, 20_000);
    let error = run(&(0..60).map(|n| n * 19_000 * 1000).collect::<Vec<_>>(), 1000).unwrap_err().to_string();
    assert!(error.contains("1121001 as-of times between rows at 0 s and 1.121 s"), "{error}");
    // At the ends of the range no row is lost.
    for stamps in [[i64::MIN, i64::MIN + 1], [i64::MAX - 1, i64::MAX]] {
        assert!(run(&stamps, day).unwrap().contacts >= 2, "{stamps:?}");
    }
}

#[test]
fn what_is_told_of_a_run_without_end_is_bounded() {
    let rows = |t: i64| vec![(Fact::Contact(ContactRow::new(t, 0, 1, 5)), 1)];
    let batches: Vec<FactRows> = (0..1500).map(|t| FactRows { rows: rows(t), due: true }).collect();
    let options = ScoringOptions {
        window: Some(10),
        changes: true,
        follow: true,
        ..ScoringOptions::new(AsOf::Every(1), names())
    };
    let fits = options.fits.clone();
    Pipeline::from_source(Batches(batches.into_iter()))
        .run(|rows| rows.risk(options, || Ok(Box::new(Digest) as _)), Collect::default())
        .unwrap();
    // A table a row, of at most eleven rows; none is made again.
    let sums = fits.sums();
    assert_eq!((fits.last().len(), sums.fits), (1000, 1500));
    assert_eq!((sums.people, sums.contacts), (3000, 55 + 11 * 1490));
}
