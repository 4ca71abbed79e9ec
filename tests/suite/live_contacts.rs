//! Live rows of contacts and tests against a naive recomputation from scratch: random copies, retractions, late rows, windows, as-of rules,
//! any order, any number of workers; and revisions that add up to the final tables.

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;
use thalweg::contacts::{AsOf, Asked, ContactRow, Fact, FactRows, Names, Risk, RiskModel, Scores, Snapshot, TestRow};
use thalweg::sink::Collect;
use thalweg::{BoxError, Error, Next, Pipeline, Source};

/// A model whose answer depends on every bit of its input: a hash of it and the person.
struct Digest;

impl RiskModel for Digest {
    fn name(&self) -> &'static str {
        "digest"
    }
    fn risk(&mut self, snapshot: &Snapshot, _: usize) -> Result<Risk, Error> {
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

/// The tables, from the rows' sums, by another way than the stage's.
fn naive(rows: &[(Fact, i32)], as_of: AsOf, window: Option<i64>) -> (Table, u64, u64) {
    let names = names().list();
    let mut sums = BTreeMap::<Fact, i64>::new();
    rows.iter().for_each(|(fact, diff)| *sums.entry(*fact).or_default() += i64::from(*diff));
    sums.retain(|_, n| *n > 0);
    let stamp = |fact: &Fact| fact.t().expect("a row has a stamp");
    let (Some(first), Some(last)) = (sums.keys().map(stamp).min(), sums.keys().map(stamp).max()) else {
        return (Table::new(), 0, 0);
    };
    let times: Vec<i64> = match as_of {
        AsOf::Last => vec![last],
        AsOf::At(t) => vec![t],
        AsOf::Every(s) => (-100..200).filter(|t| t % s == 0 && *t >= first && *t < last + s).collect(),
    };
    let mut table = Table::new();
    for time in times {
        let seen: Vec<(&Fact, i64)> = sums
            .iter()
            .filter(|(fact, _)| stamp(fact) <= time && window.is_none_or(|w| stamp(fact) >= time - w))
            .map(|(fact, n)| (fact, *n))
            .collect();
        let people: BTreeSet<&[u8]> = seen
            .iter()
            .flat_map(|(fact, _)| match fact {
                Fact::Contact(row) => vec![row.a, row.b],
                Fact::Test(row) => vec![row.person],
                Fact::Due(_) => vec![],
            })
            .map(|p| names[p as usize].as_bytes())
            .collect();
        let number = |p: u32| people.iter().position(|name| *name == names[p as usize].as_bytes()).unwrap() as u32;
        let mut contacts = BTreeMap::<(i64, u32, u32), i64>::new();
        let mut tests = Vec::new();
        for (fact, n) in &seen {
            match fact {
                Fact::Contact(row) if row.a != row.b => {
                    let (i, j) = (number(row.a), number(row.b));
                    *contacts.entry((row.t, i.min(j), i.max(j))).or_default() += row.duration;
                }
                Fact::Test(row) => {
                    for _ in 0..*n {
                        tests.push(thalweg::contacts::Test {
                            t: row.t,
                            person: number(row.person),
                            positive: row.positive,
                        });
                    }
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
        let risk = Digest.risk(&snapshot, 1).unwrap();
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        let who: Vec<String> = people.iter().map(|name| text(name)).collect();
        for (p, name) in who.iter().enumerate() {
            let because = risk.because[p].iter().map(|(q, w)| (who[*q as usize].clone(), w.to_bits())).collect();
            table.insert((time.div_euclid(1_000_000_000), name.clone(), (risk.score[p] as f32).to_bits(), because));
        }
    }
    let copies = |own: bool| {
        let of_kind = |fact: &Fact| matches!(fact, Fact::Contact(row) if (row.a == row.b) == own);
        sums.iter().filter(|(fact, _)| of_kind(fact)).map(|(_, n)| n - i64::from(!own)).sum::<i64>() as u64
    };
    (table, copies(false), copies(true))
}

fn run(
    batches: Vec<FactRows>,
    as_of: AsOf,
    window: Option<i64>,
    changes: bool,
    workers: usize,
) -> (Vec<Scores>, BTreeMap<String, u64>) {
    let asked = Asked { as_of, window, changes, threads: workers, names: names() };
    let sink = Collect::default();
    let report = Pipeline::from_source(Batches(batches.into_iter()))
        .workers(workers)
        .run(|rows| rows.risk(asked, || Ok(Box::new(Digest) as _)), sink.clone())
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
            let key = (scores.as_of.div_euclid(1_000_000_000), name(row.person), row.score.to_bits(), because);
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
            let (table, duplicate, self_contact) = naive(&rows, as_of, window);
            let mut shuffled = rows.clone();
            for workers in [1, 2, 4] {
                let (items, dropped) = run(batches(&shuffled, 7 * workers, |_| false), as_of, window, false, workers);
                let found = added_up(&items);
                assert!(found.values().all(|n| *n == 1), "seed {seed}");
                assert!(found.keys().eq(&table), "seed {seed}, {as_of:?}, {window:?}, {workers} workers");
                assert_eq!(dropped.get("duplicate").copied().unwrap_or(0), duplicate, "seed {seed}");
                assert_eq!(dropped.get("self_contact").copied().unwrap_or(0), self_contact, "seed {seed}");
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
