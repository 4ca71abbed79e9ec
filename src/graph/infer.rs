//! The stage that keeps a network's answer up to date over a graph that rows make: rows in, tables as of times out, or their differences.
//!
//! Differences are those between as-of times, as differential dataflow has them: the rows with `as_of ≤ T` add up to the table at T. A late
//! row corrects the differences at the times that it concerns.
//!
//! [`Tables`] says which times there are, and what a run without end lets go of.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{GraphRow, LiveGraph, View};
use crate::asof::{AsOf, Names, RowBatch, Stamped, Stop, Tables, stamp};
use crate::networks::GraphNetwork;
use crate::plan::Flow;
use crate::report::{Dropped, Stats};
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch};

/// The shard that the graph lives on.
const OWNER: usize = 0;

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
    /// Threads; no bit depends on their number.
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

/// The state machine; its graph is on one shard.
pub struct Inference {
    options: InferenceOptions,
    network: Arc<dyn GraphNetwork>,
    stats: Arc<Stats>,
    live: LiveGraph,
    tables: Tables<Table>,
}

impl Inference {
    /// A stage that asks `network`.
    pub fn new(options: InferenceOptions, network: Arc<dyn GraphNetwork>, stats: &Arc<Stats>) -> Self {
        let inputs = network.inputs();
        Inference {
            live: LiveGraph::new(inputs.x, inputs.edge_attr.unwrap_or(0), options.undirected),
            tables: Tables::new(options.as_of, options.window, options.lateness, options.follow),
            options,
            network,
            stats: Arc::clone(stats),
        }
    }

    fn take(&mut self, epoch: Epoch, rows: Vec<(GraphRow, i32)>) -> Result<(), BoxError> {
        let (rows, late) = self.tables.sift(rows);
        for (row, diff) in rows {
            self.live.push(&row, diff)?;
            if let Some(t) = row.t() {
                self.tables.changed(t);
                self.tables.newest(t);
            }
        }
        if late.count > 0 {
            self.stats.dropped(epoch as i64, "late", late);
        }
        Ok(())
    }

    /// The network's rows for a view.
    fn ask(&self, view: &View) -> Result<Table, BoxError> {
        let graph = &view.graph;
        let y = self.network.forward(&graph.x, graph.edge_attr.as_ref(), &graph.structure())?;
        let rows = view.arrival.iter().enumerate().map(|(i, &node)| (node, Arc::from(y.row(i))));
        Ok(Arc::new(rows.collect()))
    }

    /// The tables of these as-of times, up to as many at once as there are threads; fewer if a signal came.
    fn tables_of(&mut self, times: &[i64]) -> Result<Vec<Table>, BoxError> {
        let mut tables = Vec::with_capacity(times.len());
        for some in times.chunks(self.options.threads.max(1)) {
            if self.options.stop.raised() && !self.options.follow {
                for as_of in &times[tables.len()..] {
                    self.stats.warn(format!("as of {}: not answered: stopped by a signal", stamp(*as_of)));
                }
                break;
            }
            let mut views = Vec::with_capacity(some.len());
            for &as_of in some {
                let names = self.options.names.clone();
                let stats = Arc::clone(&self.stats);
                let view = stats.time("snapshot", || self.live.view(&names, as_of, self.options.window))?;
                self.stats.graph();
                self.stats.nodes(view.graph.nodes() as u64);
                self.stats.edges(view.graph.edges.edges() as u64);
                if view.no_features > 0 {
                    let first = format!("as of {}", stamp(as_of));
                    self.stats.dropped(as_of, "no_features", Dropped { count: view.no_features, first });
                }
                views.push(view);
            }
            let this = &*self;
            let asked = this.stats.time("network", || {
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
            tables.extend(asked?);
        }
        Ok(tables)
    }

    /// The as-of times whose tables are not final.
    fn times(&self) -> Result<Vec<i64>, BoxError> {
        let Some((first, last)) = self.live.stamps() else { return Ok(Vec::new()) };
        Ok(self.tables.times(first, last, || self.live.widest_gap())?)
    }

    /// The tables of these times, each once.
    fn give_tables(&mut self, times: &[i64], out: &mut Outbox<RowBatch<GraphRow>, Answers>) -> Result<(), BoxError> {
        let names = Arc::new(self.options.names.list());
        // A run of as-of times at a time: tables are large.
        for some in times.chunks(self.options.threads.max(1)) {
            for (table, &as_of) in self.tables_of(some)?.iter().zip(some) {
                let rows = table.iter().map(|(node, y)| Answer { node: *node, y: Arc::clone(y), diff: 1 });
                out.give(Answers { as_of, rows: rows.collect(), names: Arc::clone(&names) });
            }
        }
        Ok(())
    }

    /// Gives everything that is not final, or its differences.
    fn give(&mut self, out: &mut Outbox<RowBatch<GraphRow>, Answers>) -> Result<(), BoxError> {
        let times = self.times()?;
        if !self.options.changes {
            return self.give_tables(&times, out);
        }
        let names = Arc::new(self.options.names.list());
        // Features last, so a row concerns all times from its own on.
        let stale: Vec<i64> = times.iter().copied().filter(|t| self.tables.stale(*t, None)).collect();
        let made: BTreeMap<i64, Table> = stale.iter().copied().zip(self.tables_of(&stale)?).collect();
        let old = std::mem::take(&mut self.tables.given);
        // What lies before the open times is final, and the last of it is what the first open table differs from.
        let mut new: BTreeMap<i64, Table> =
            old.range(..self.tables.open()).next_back().map(|(t, table)| (*t, Arc::clone(table))).into_iter().collect();
        new.extend(times.iter().filter_map(|t| Some((*t, made.get(t).or_else(|| old.get(t))?.clone()))));
        let all: Vec<i64> =
            old.keys().chain(new.keys()).copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
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
                out.give(Answers { as_of, rows, names: Arc::clone(&names) });
            }
        }
        self.tables.given = if self.options.follow { new } else { BTreeMap::new() };
        self.tables.made();
        Ok(())
    }

    /// Gives for the last time what the newest row makes final, and lets go of it.
    fn let_go(&mut self, out: &mut Outbox<RowBatch<GraphRow>, Answers>) -> Result<(), BoxError> {
        let Some(closing) = self.tables.closing() else { return Ok(()) };
        if closing.due && self.options.changes {
            self.give(out)?;
        } else if closing.due {
            let times: Vec<i64> = self.times()?.into_iter().take_while(|as_of| *as_of < closing.open).collect();
            self.give_tables(&times, out)?;
        }
        // The last final table is what the first open one differs from.
        let last = self.tables.close(closing.open).pop_last();
        self.tables.given.extend(last);
        self.live.evict(closing.open, closing.from);
        Ok(())
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

impl Stage for Inference {
    type Input = RowBatch<GraphRow>;
    type Exchange = RowBatch<GraphRow>;
    type Output = Answers;

    fn name(&self) -> &'static str {
        "infer"
    }

    fn phases(&self) -> usize {
        2
    }

    fn step(
        &mut self,
        epoch: Epoch,
        _: usize,
        inbox: Inbox<Self::Input, Self::Exchange>,
        out: &mut Outbox<Self::Exchange, Answers>,
    ) -> Result<(), BoxError> {
        let mail = match inbox {
            Inbox::Input(batches) => {
                batches.into_iter().for_each(|batch| out.send(OWNER, batch));
                return Ok(());
            }
            Inbox::Exchange(mail) => mail,
        };
        for (_, batch) in mail {
            self.take(epoch, batch.rows)?;
            self.let_go(out)?;
            if batch.due {
                self.give(out)?;
                let count = self.live.unmatched();
                self.stats.dropped_in_all("unmatched", Dropped { count, first: String::new() });
            }
        }
        Ok(())
    }
}

impl<'p> Flow<'p, RowBatch<GraphRow>> {
    /// A network's answer over the graph that the rows make, whenever the source says that it is due.
    pub fn infer_rows(self, network: &Arc<dyn GraphNetwork>, options: InferenceOptions) -> Flow<'p, Answers> {
        let network = Arc::clone(network);
        self.stage(move |stats| Inference::new(options.clone(), Arc::clone(&network), stats))
    }
}
