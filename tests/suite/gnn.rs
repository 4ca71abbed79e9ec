//! Graphs that rows make, as of any time: the stage against a few naive lines, for random rows in any order, windows, late rows, workers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use thalweg::asof::{AsOf, Names, RowBatch, Stop};
use thalweg::graph::{Answers, EdgeRow, GraphRow, InferenceOptions, NodeRow, Place};
use thalweg::layers::{Matrix, Of, Shape, Structure};
use thalweg::networks::{GraphNetwork, Inputs};
use thalweg::sink::Collect;
use thalweg::{BoxError, Error, Next, Pipeline, Source};

/// Features of a node, then for each source in order its features times the edge's attribute: what a sum over a list gives.
#[derive(Debug)]
struct Sums(Inputs);

impl GraphNetwork for Sums {
    fn name(&self) -> &str {
        "sums"
    }
    fn inputs(&self) -> &Inputs {
        &self.0
    }
    fn output(&self) -> Shape {
        Shape { of: Of::Nodes, channels: 2 }
    }
    fn forward(&self, x: &Matrix, edge_attr: Option<&Matrix>, graph: &Structure) -> Result<Matrix, Error> {
        let mut out = Matrix::zeros(x.rows(), 2);
        for i in 0..x.rows() {
            let weight = |edge: usize| edge_attr.map_or(1.0, |attributes| attributes.row(edge)[0]);
            let list = graph.edges.of(i).iter().zip(graph.edges.edges_of(i));
            let sum = list.map(|(&j, edge)| weight(edge) * x.row(j as usize)[0]).sum();
            out.row_mut(i).copy_from_slice(&[x.row(i)[0], sum]);
        }
        Ok(out)
    }
}

fn network() -> Arc<dyn GraphNetwork> {
    Arc::new(Sums(Inputs { x: 1, edge_attr: Some(1), columns: None, edge_columns: None }))
}

struct Batches(std::vec::IntoIter<RowBatch<GraphRow>>);

impl Source for Batches {
    type Item = RowBatch<GraphRow>;
    fn name(&self) -> String {
        "rows".into()
    }
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError> {
        Ok(self.0.next().map_or(Next::End, Next::Item))
    }
}

const NODES: u32 = 9;

fn names() -> Names {
    let names = Names::default();
    // Neither in the order of their numbers nor of their lengths.
    ["k", "a", "zz", "b", "é", "c", "aa", "Z", "0"].iter().for_each(|name| {
        names.push(name);
    });
    names
}

fn second(t: i64) -> i64 {
    t * 1_000_000_000
}

/// Rows of three tables. Some are of one key and stamp, so that their places decide.
fn rows(rng: &mut Xoshiro256PlusPlus, count: usize) -> Vec<(GraphRow, i32)> {
    let mut rows = Vec::new();
    for n in 0..count {
        let mut below = |n: u64| rng.next_u64() % n;
        let t = second(below(60) as i64 / 4 * 4);
        let place = Place { table: below(3), row: n as u64 };
        let value = below(100) as f32 / 8.0;
        let diff = if below(4) == 0 { -1 } else { 1 };
        let (node, other) = (below(u64::from(NODES)) as u32, below(u64::from(NODES)) as u32);
        let edge = below(3) > 0;
        rows.push(if edge {
            let attributes = if diff < 0 && below(2) == 0 { Box::default() } else { [value].into() };
            (GraphRow::Edge(EdgeRow { t, src: node, dst: other, attributes, place }), diff)
        } else {
            let features = if diff < 0 { Box::default() } else { [value].into() };
            (GraphRow::Node(NodeRow { t, node, features, place }), diff)
        });
    }
    rows
}

type Row = (i64, String, Vec<u32>);

/// What decides which row of a key is the last.
type At = (i64, Place);

/// The sum of an edge's diffs, and the attribute of its last row.
type OfPair = (i64, Option<(At, f32)>);

/// The table as of each time, from scratch.
fn oracle(rows: &[(GraphRow, i32)], times: &[i64], window: Option<i64>, undirected: bool) -> BTreeSet<Row> {
    let names = names().list();
    let mut table = BTreeSet::new();
    for &as_of in times {
        let mut edges: BTreeMap<(u32, u32), OfPair> = BTreeMap::new();
        let mut nodes: BTreeMap<u32, (Option<At>, Option<f32>)> = BTreeMap::new();
        for (row, diff) in rows {
            match row {
                GraphRow::Edge(row) if row.t <= as_of && window.is_none_or(|window| row.t >= as_of - window) => {
                    let (sum, last) = edges.entry((row.src, row.dst)).or_default();
                    *sum += i64::from(*diff);
                    if let Some(&value) = row.attributes.first() {
                        let at = (row.t, row.place);
                        *last = (*last).filter(|last| last.0 > at).or(Some((at, value)));
                    }
                }
                GraphRow::Node(row) if row.t <= as_of => {
                    let (at, newest) = (Some((row.t, row.place)), nodes.entry(row.node).or_insert((None, None)));
                    if at >= newest.0 {
                        *newest = (at, row.features.first().copied().filter(|_| *diff > 0));
                    }
                }
                _ => {}
            }
        }
        let mut live: BTreeMap<(u32, u32), f32> = BTreeMap::new();
        for ((src, dst), (_, last)) in edges.iter().filter(|(_, (sum, _))| *sum > 0) {
            live.insert((*src, *dst), last.map_or(0.0, |last| last.1));
        }
        if undirected {
            for ((src, dst), value) in live.clone() {
                live.entry((dst, src)).or_insert(value);
            }
        }
        let feature = |node: u32| nodes.get(&node).and_then(|(_, value)| *value);
        let by_name = |node: &u32| names[*node as usize].as_bytes().to_vec();
        for node in 0..NODES {
            let met = live.keys().any(|(src, dst)| *src == node || *dst == node);
            if feature(node).is_none() && !met {
                continue;
            }
            let mut sources: Vec<u32> = live.keys().filter(|(_, dst)| *dst == node).map(|(src, _)| *src).collect();
            sources.sort_by_key(by_name);
            let sum: f32 = sources.iter().map(|src| live[&(*src, node)] * feature(*src).unwrap_or(0.0)).sum();
            let y = [feature(node).unwrap_or(0.0), sum].map(f32::to_bits).to_vec();
            table.insert((as_of, names[node as usize].to_string(), y));
        }
    }
    table
}

struct Case {
    as_of: AsOf,
    window: Option<i64>,
    undirected: bool,
    changes: bool,
    follow: bool,
    workers: usize,
    /// Threads that share a site's rows: with fewer than workers, several sites make the tables.
    threads: usize,
}

fn run(batches: Vec<RowBatch<GraphRow>>, case: &Case) -> Vec<Answers> {
    let sink = Collect::default();
    let options = InferenceOptions {
        as_of: case.as_of,
        lateness: None,
        window: case.window,
        changes: case.changes,
        follow: case.follow,
        undirected: case.undirected,
        threads: case.threads,
        stop: Stop::default(),
        names: names(),
    };
    let network = network();
    Pipeline::from_source(Batches(batches.into_iter()))
        .workers(case.workers)
        .run(|rows| rows.infer_rows(&network, options), sink.clone())
        .unwrap();
    sink.items().into_iter().map(|(_, answers)| answers).collect()
}

fn row(answers: &Answers, answer: &thalweg::graph::Answer) -> Row {
    let name = answers.names[answer.node as usize].to_string();
    (answers.as_of, name, answer.y.iter().map(|v| v.to_bits()).collect())
}

/// Random pieces of rows in random order; the last is due.
fn pieces(rng: &mut Xoshiro256PlusPlus, mut rows: Vec<(GraphRow, i32)>, due: bool) -> Vec<RowBatch<GraphRow>> {
    for i in (1..rows.len()).rev() {
        rows.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
    let mut batches = Vec::new();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(1 + (rng.next_u64() % 9) as usize));
        let now = due && rng.next_u64().is_multiple_of(3);
        batches.push(RowBatch { rows: std::mem::replace(&mut rows, rest), due: now });
    }
    batches.push(RowBatch { rows: Vec::new(), due: true });
    batches
}

#[test]
fn tables_are_those_of_the_live_rows() {
    for seed in 0..120 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let all = rows(&mut rng, 1 + (seed as usize * 7) % 60);
        let stamps = || all.iter().map(|(row, _)| thalweg::asof::Stamped::t(row).unwrap());
        let (first, last) = (stamps().min().unwrap(), stamps().max().unwrap());
        let as_of = match seed % 3 {
            0 => AsOf::Last,
            1 => AsOf::At(second(31)),
            _ => AsOf::Every(second(1 + seed as i64 % 17)),
        };
        let times: Vec<i64> = as_of.times(first, last).collect();
        let window = (seed % 4 == 0).then(|| second(1 + seed as i64 % 23));
        let undirected = seed % 5 < 2;
        let expected = oracle(&all, &times, window, undirected);
        for (workers, threads) in [(1, 1), (2, 1), (2, 2), (4, 2), (3, 1)] {
            let case = Case { as_of, window, undirected, changes: false, follow: false, workers, threads };
            let answers = run(pieces(&mut rng, all.clone(), false), &case);
            assert!(
                answers.iter().map(|a| a.as_of).is_sorted_by(|a, b| a < b),
                "seed {seed}: one table a time, in order"
            );
            let found: Vec<Row> = answers.iter().flat_map(|a| a.rows.iter().map(move |r| row(a, r))).collect();
            for answers in &answers {
                let name = |r: &thalweg::graph::Answer| answers.names[r.node as usize].as_bytes().to_vec();
                assert!(answers.rows.iter().map(name).is_sorted_by(|a, b| a < b), "seed {seed}");
            }
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "seed {seed}, {workers} workers");
        }
    }
}

#[test]
fn differences_add_up_to_the_tables_also_where_rows_come_late() {
    for seed in 0..120 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1000 + seed);
        let all = rows(&mut rng, 1 + (seed as usize * 5) % 50);
        let stamps = || all.iter().map(|(row, _)| thalweg::asof::Stamped::t(row).unwrap());
        let (first, last) = (stamps().min().unwrap(), stamps().max().unwrap());
        let as_of = if seed % 6 == 0 { AsOf::Last } else { AsOf::Every(second(1 + seed as i64 % 13)) };
        let times: Vec<i64> = as_of.times(first, last).collect();
        let undirected = seed % 2 == 0;
        for follow in [false, true] {
            let (workers, threads) = (1 + seed as usize % 3, 1 + seed as usize % 2);
            let case = Case { as_of, window: None, undirected, changes: true, follow, workers, threads };
            let answers = run(pieces(&mut rng, all.clone(), follow), &case);
            let mut sums: BTreeMap<Row, i64> = BTreeMap::new();
            for answers in &answers {
                let order = |r: &thalweg::graph::Answer| (answers.names[r.node as usize].as_bytes().to_vec(), r.diff);
                assert!(answers.rows.iter().map(order).is_sorted(), "seed {seed}");
                answers.rows.iter().for_each(|r| *sums.entry(row(answers, r)).or_default() += i64::from(r.diff));
            }
            for &t in &times {
                let mut upto: BTreeMap<(String, Vec<u32>), i64> = BTreeMap::new();
                for ((as_of, name, y), n) in sums.iter().filter(|((as_of, ..), _)| *as_of <= t) {
                    let _ = as_of;
                    *upto.entry((name.clone(), y.clone())).or_default() += n;
                }
                upto.retain(|_, n| *n != 0);
                assert!(upto.values().all(|n| *n == 1), "seed {seed}: {upto:?}");
                let expected: BTreeSet<_> =
                    oracle(&all, &[t], None, undirected).into_iter().map(|(_, name, y)| (name, y)).collect();
                assert_eq!(
                    upto.into_keys().collect::<BTreeSet<_>>(),
                    expected,
                    "seed {seed}, follow {follow}, as of {t}"
                );
            }
            // Nothing is said twice in a run that gives all at once.
            assert!(follow || sums.values().all(|n| *n != 0), "seed {seed}");
        }
    }
}

#[test]
fn a_run_without_end_gives_what_one_that_keeps_everything_gives() {
    for seed in 0..40 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2000 + seed);
        let mut all = rows(&mut rng, 120);
        // In order of time, with a little disorder: less than a window.
        all.sort_by_key(|(row, _)| thalweg::asof::Stamped::t(row).unwrap() / second(7));
        let window = second(9);
        let as_of = AsOf::Every(second(5));
        let stamps = || all.iter().map(|(row, _)| thalweg::asof::Stamped::t(row).unwrap());
        let times: Vec<i64> = as_of.times(stamps().min().unwrap(), stamps().max().unwrap()).collect();
        let expected = oracle(&all, &times, Some(window), false);
        for changes in [false, true] {
            let threads = 1 + seed as usize % 2;
            let case =
                Case { as_of, window: Some(window), undirected: false, changes, follow: true, workers: 2, threads };
            let mut batches: Vec<_> = all
                .chunks(4)
                .map(|rows| RowBatch { rows: rows.to_vec(), due: changes && rng.next_u64() % 4 == 0 })
                .collect();
            batches.push(RowBatch { rows: Vec::new(), due: true });
            let answers = run(batches, &case);
            let mut sums: BTreeMap<Row, i64> = BTreeMap::new();
            for answers in &answers {
                answers.rows.iter().for_each(|r| *sums.entry(row(answers, r)).or_default() += i64::from(r.diff));
            }
            if !changes {
                assert_eq!(sums.into_keys().collect::<BTreeSet<_>>(), expected, "seed {seed}");
                continue;
            }
            for &t in &times {
                let mut upto: BTreeMap<(String, Vec<u32>), i64> = BTreeMap::new();
                for ((_, name, y), n) in sums.iter().filter(|((as_of, ..), _)| *as_of <= t) {
                    *upto.entry((name.clone(), y.clone())).or_default() += n;
                }
                upto.retain(|_, n| *n != 0);
                let of_t: BTreeSet<_> =
                    expected.iter().filter(|row| row.0 == t).map(|(_, name, y)| (name.clone(), y.clone())).collect();
                assert_eq!(upto.into_keys().collect::<BTreeSet<_>>(), of_t, "seed {seed}, as of {t}");
            }
        }
    }
}
