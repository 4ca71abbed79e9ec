//! The stage that keeps a network's answer up to date over a graph that rows make: rows in, tables as of times out, or their differences.
//!
//! Differences are those between as-of times, as differential dataflow has them: the rows with `as_of ≤ T` add up to the table at T. A late
//! row corrects the differences at the times that it concerns.
//!
//! [`Tables`] says which times there are, and what a run without end lets go of. Tables are dealt out to the processes of a run.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{GraphRow, LiveGraph, View};
use crate::asof::{Answering, AsOf, AsOfStage, Asked, Closing, Names, RowBatch, Stamped, Stop, Tables, stamp};
use crate::networks::GraphNetwork;
use crate::plan::Flow;
use crate::report::{Dropped, Stats};
use crate::{BoxError, Epoch};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct InferenceOptions {
    /// The as-of times.
    pub as_of: AsOf,
    /// Edge rows older than as-of minus this (ns) are out.
    pub window: Option<i64>,
    /// How far (ns) behind the newest row a table may still be revised, where the inputs grow without end; the window where it is not said.
    pub lateness: Option<i64>,
    /// Differences between as-of times; else each table.
    pub changes: bool,
    /// Whether the inputs may grow without end.
    pub follow: bool,
    /// Whether each edge has its reverse.
    pub undirected: bool,
    /// Threads of a process, at least 1; no bit depends on their number. Of a run's workers every so manieth makes tables.
    pub threads: usize,
    /// Gives up what is under way when it is raised.
    pub stop: Stop,
    /// The names behind the rows' numbers.
    pub names: Names,
}

/// The network's answer for a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Which, by number of arrival.
    pub node: u32,
    /// The network's output row.
    pub y: Arc<[f32]>,
    /// 1, or −1 for a row that is no longer so.
    pub diff: i8,
}

/// Rows of one as-of time that came in one epoch, ascending by the bytes of the names, then by diff.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answers {
    /// The as-of time (ns).
    pub as_of: i64,
    /// The rows.
    pub rows: Vec<Answer>,
    /// Names by number of arrival.
    pub names: Arc<Vec<Arc<str>>>,
}

/// A table: nodes ascending by the bytes of their names, and their rows.
type Table = Arc<Vec<(u32, Arc<[f32]>)>>;

/// A table as it travels, and what of the graph is counted.
#[derive(Serialize, Deserialize)]
pub(crate) struct Made {
    table: Table,
    nodes: u64,
    edges: u64,
    no_features: u64,
}

/// The network, and the graph that it is asked of.
pub(crate) struct Inference {
    options: InferenceOptions,
    network: Arc<dyn GraphNetwork>,
    stats: Arc<Stats>,
    live: LiveGraph,
    tables: Tables<Table>,
}

impl Inference {
    fn new(options: InferenceOptions, network: Arc<dyn GraphNetwork>, stats: &Arc<Stats>) -> Self {
        let inputs = network.inputs();
        Inference {
            live: LiveGraph::new(inputs.x, inputs.edge_attr.unwrap_or(0), options.undirected),
            tables: Tables::new(options.as_of, options.window, options.lateness, options.follow),
            options,
            network,
            stats: Arc::clone(stats),
        }
    }

    /// The network's rows for a view.
    fn ask(&self, view: &View) -> Result<Made, BoxError> {
        let graph = &view.graph;
        let y = self.network.forward(&graph.x, graph.edge_attr.as_ref(), &graph.structure())?;
        let rows = view.arrival.iter().enumerate().map(|(i, &node)| (node, Arc::from(y.row(i))));
        Ok(Made {
            table: Arc::new(rows.collect()),
            nodes: graph.nodes() as u64,
            edges: graph.edges.edges() as u64,
            no_features: view.no_features,
        })
    }

    /// Counts what tables were made of, and warns of those that a signal left out.
    fn count(&self, make: &[i64], made: &BTreeMap<i64, Made>) {
        for as_of in make {
            let Some(made) = made.get(as_of) else {
                self.stats.warn(format!("as of {}: not answered: stopped by a signal", stamp(*as_of)));
                continue;
            };
            self.stats.graph();
            self.stats.nodes(made.nodes);
            self.stats.edges(made.edges);
            if made.no_features > 0 {
                let first = format!("as of {}", stamp(*as_of));
                self.stats.dropped(*as_of, "no_features", Dropped { count: made.no_features, first });
            }
        }
    }

    /// Gives what the tables of `times` change, against each other and against those given before.
    fn give_changes(&mut self, times: &[i64], made: &BTreeMap<i64, Made>, give: &mut dyn FnMut(Answers)) {
        let names = Arc::new(self.options.names.list());
        let old = std::mem::take(&mut self.tables.given);
        // What lies before the open times is final, and the last of it is what the first open table differs from.
        let mut new: BTreeMap<i64, Table> =
            old.range(..self.tables.open()).next_back().map(|(t, table)| (*t, Arc::clone(table))).into_iter().collect();
        let table = |t: &i64| made.get(t).map(|made| &made.table).or_else(|| old.get(t));
        new.extend(times.iter().filter_map(|t| Some((*t, Arc::clone(table(t)?)))));
        let all: BTreeSet<i64> = old.keys().chain(new.keys()).copied().collect();
        let before =
            |tables: &BTreeMap<i64, Table>, t: i64| tables.range(..t).next_back().map(|(_, table)| Arc::clone(table));
        for as_of in all {
            let (mut plus, mut minus) = (Vec::new(), Vec::new());
            if let Some(table) = new.get(&as_of) {
                plus.push(Arc::clone(table));
                minus.extend(before(&new, as_of));
            }
            if let Some(table) = old.get(&as_of) {
                minus.push(Arc::clone(table));
                plus.extend(before(&old, as_of));
            }
            let rows = difference(&plus, &minus, &names);
            if !rows.is_empty() {
                give(Answers { as_of, rows, names: Arc::clone(&names) });
            }
        }
        self.tables.given = if self.options.follow { new } else { BTreeMap::new() };
        self.tables.made();
    }
}

impl Answering for Inference {
    type Input = RowBatch<GraphRow>;
    type Row = (GraphRow, i32);
    type Made = Made;
    type Output = Answers;

    fn name(&self) -> &'static str {
        "infer"
    }

    fn names(&self) -> &Names {
        &self.options.names
    }

    fn threads(&self) -> usize {
        self.options.threads
    }

    fn decide(&mut self, epoch: Epoch, batches: Vec<RowBatch<GraphRow>>) -> Result<Asked<Self::Row>, BoxError> {
        let due = batches.iter().any(|batch| batch.due);
        let (rows, late) = self.tables.sift(batches.into_iter().flat_map(|batch| batch.rows).collect());
        if late.count > 0 {
            self.stats.dropped(epoch as i64, "late", late);
        }
        self.take(&rows)?;
        for t in rows.iter().filter_map(|(row, _)| row.t()) {
            self.tables.changed(t);
            self.tables.newest(t);
        }
        let closing = self.tables.closing();
        let last_before = closing.map_or(i64::MIN, Closing::last_before);
        let mut asked = Asked { rows, closing, due, times: Vec::new(), make: Vec::new() };
        if let Some((first, last)) = self.live.stamps().filter(|_| due || last_before > i64::MIN) {
            asked.times = self.tables.times(first, last, || self.live.widest_gap())?;
        }
        if self.options.changes {
            // Features last, so a row concerns all times from its own on.
            asked.make = asked.times.iter().copied().filter(|t| self.tables.stale(*t, None)).collect();
        } else {
            asked.times.retain(|as_of| due || *as_of < last_before);
            asked.make.clone_from(&asked.times);
        }
        Ok(asked)
    }

    fn take(&mut self, rows: &[Self::Row]) -> Result<(), BoxError> {
        Ok(rows.iter().try_for_each(|(row, diff)| self.live.push(row, *diff))?)
    }

    /// Up to as many at once as there are threads.
    fn make(&mut self, times: &[i64], names: &Names) -> Result<Vec<Made>, BoxError> {
        let mut made = Vec::with_capacity(times.len());
        for some in times.chunks(self.options.threads.max(1)) {
            if self.options.stop.raised() && !self.options.follow {
                break;
            }
            let stats = Arc::clone(&self.stats);
            let mut view = |as_of: &i64| self.live.view(names, *as_of, self.options.window);
            let views: Vec<View> = stats.time("snapshot", || some.iter().map(&mut view).collect::<Result<_, _>>())?;
            let this = &*self;
            let asked = stats.time("network", || {
                std::thread::scope(|scope| {
                    let threads: Vec<_> =
                        views.iter().skip(1).map(|view| scope.spawn(move || this.ask(view))).collect();
                    let first = views.first().map(|view| this.ask(view));
                    let rest = threads
                        .into_iter()
                        .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of the network panicked".into())));
                    first.into_iter().chain(rest).collect::<Result<Vec<_>, BoxError>>()
                })
            });
            made.extend(asked?);
        }
        Ok(made)
    }

    fn evict(&mut self, closing: Closing) {
        self.live.evict(closing.open, closing.from);
    }

    fn give(
        &mut self,
        asked: Asked<Self::Row>,
        mut made: BTreeMap<i64, Made>,
        give: &mut dyn FnMut(Answers),
    ) -> Result<Option<Closing>, BoxError> {
        self.count(&asked.make, &made);
        if asked.due || asked.closing.is_some_and(|closing| closing.due) {
            if self.options.changes {
                self.give_changes(&asked.times, &made, give);
            } else {
                let names = Arc::new(self.options.names.list());
                for as_of in asked.times {
                    let Some(Made { table, .. }) = made.remove(&as_of) else { continue };
                    let rows = table.iter().map(|(node, y)| Answer { node: *node, y: Arc::clone(y), diff: 1 });
                    give(Answers { as_of, rows: rows.collect(), names: Arc::clone(&names) });
                }
            }
        }
        if let Some(closing) = asked.closing {
            // The last final table is what the first open one differs from.
            let last = self.tables.close(closing.open).pop_last();
            self.tables.given.extend(last);
            self.evict(closing);
        }
        if asked.due {
            let (count, first) = self.live.unmatched();
            let names = self.options.names.list();
            let name = |node: u32| names.get(node as usize).map_or("", |name| name);
            let first = first.map(|(src, dst)| format!("an edge from {} to {}", name(src), name(dst)));
            self.stats.dropped_in_all("unmatched", Dropped { count, first: first.unwrap_or_default() });
        }
        Ok(asked.closing)
    }
}

/// What is in `plus` more often than in `minus`, and the other way round, by name, then by diff, then by the bits of the row.
fn difference(plus: &[Table], minus: &[Table], names: &[Arc<str>]) -> Vec<Answer> {
    if plus.len() == minus.len() && plus.iter().zip(minus).all(|(a, b)| Arc::ptr_eq(a, b)) {
        return Vec::new();
    }
    let signed = |tables: &[Table], diff: i8| {
        let rows = tables.iter().flat_map(|table| table.iter().cloned().collect::<Vec<_>>());
        rows.map(|(node, y)| Answer { node, y, diff }).collect::<Vec<_>>()
    };
    let mut rows = signed(plus, 1);
    rows.extend(signed(minus, -1));
    let bits = |row: &Answer| row.y.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    rows.sort_by(|a, b| {
        let same_row = || if Arc::ptr_eq(&a.y, &b.y) { Ordering::Equal } else { bits(a).cmp(&bits(b)) };
        names[a.node as usize].as_bytes().cmp(names[b.node as usize].as_bytes()).then_with(same_row)
    });
    let mut net: Vec<Answer> = Vec::new();
    for of_row in rows.chunk_by(|a, b| a.node == b.node && bits(a) == bits(b)) {
        let sum: i64 = of_row.iter().map(|row| i64::from(row.diff)).sum();
        let row = Answer { diff: sum.signum() as i8, ..of_row[0].clone() };
        net.extend(std::iter::repeat_n(row, sum.unsigned_abs() as usize));
    }
    // Stable: rows of one node and diff stay in the order of their bits.
    net.sort_by(|a, b| {
        let name = |row: &Answer| names[row.node as usize].as_bytes();
        name(a).cmp(name(b)).then(a.diff.cmp(&b.diff))
    });
    net
}

impl<'p> Flow<'p, RowBatch<GraphRow>> {
    /// A network's answer over the graph that the rows make, whenever the source says that it is due.
    pub fn infer_rows(self, network: &Arc<dyn GraphNetwork>, options: InferenceOptions) -> Flow<'p, Answers> {
        let network = Arc::clone(network);
        self.stage(move |stats| AsOfStage::new(Inference::new(options.clone(), Arc::clone(&network), stats)))
    }
}
