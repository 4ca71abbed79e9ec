//! The graph that rows of edges and nodes mean as of a time.
//!
//! An edge is live at T while the diffs of its rows with stamps in `T − window ..= T` add up to more than 0; its attributes are those of the
//! last of these rows, by stamp, then by place in the input. A node has the features of its last row up to T, unless that row takes them back. It is
//! live while it has features or a live edge; without features it has zeros. The window is one of edges: features last until another row
//! of the node comes.

use super::{Graph, GraphRow, Place};
use crate::Error;
use crate::asof::{ByName, Names};
use crate::layers::{Matrix, Neighbors};

/// A row in the store: its key, and where its values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry<K> {
    key: K,
    t: i64,
    place: Place,
    diff: i32,
    /// The row of the values; none in a row without.
    values: Option<u32>,
}

/// Rows of one kind, by key, then stamp, then place in the input; rows of one place as they came.
#[derive(Clone, Debug)]
struct Store<K> {
    rows: Vec<Entry<K>>,
    sorted: bool,
    /// `[rows with values, width]`.
    values: Vec<f32>,
    width: usize,
}

impl<K: Ord + Copy> Store<K> {
    fn new(width: usize) -> Self {
        Store { rows: Vec::new(), sorted: true, values: Vec::new(), width }
    }

    fn push(&mut self, key: K, t: i64, place: Place, diff: i32, values: &[f32]) -> Result<(), Error> {
        let mut at = None;
        if values.len() == self.width && self.width > 0 {
            let row = u32::try_from(self.values.len() / self.width).unwrap_or(u32::MAX);
            at = Some(row).filter(|row| *row < u32::MAX);
            self.values.extend_from_slice(values);
        }
        if at.is_none() && (diff > 0 || !values.is_empty()) && self.width > 0 {
            Error::unless_same("values of a row of a graph", values.len(), self.width)?;
        }
        self.rows.push(Entry { key, t, place, diff, values: at });
        self.sorted = false;
        Ok(())
    }

    fn sort(&mut self) {
        if !std::mem::replace(&mut self.sorted, true) {
            // Sorted runs are merged: what came before is one.
            self.rows.sort_by_key(|row| (row.key, row.t, row.place));
        }
    }

    fn of(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.width..][..self.width]
    }

    /// Keeps the rows that `keep` holds for, given those of one key at a time.
    fn retain(&mut self, keep: impl Fn(&[Entry<K>], usize) -> bool) {
        self.sort();
        let rows = std::mem::take(&mut self.rows);
        let values = std::mem::take(&mut self.values);
        for of_key in rows.chunk_by(|a, b| a.key == b.key) {
            for (i, row) in of_key.iter().enumerate().filter(|(i, _)| keep(of_key, *i)) {
                let values = row.values.map(|old| {
                    let new = (self.values.len() / self.width.max(1)) as u32;
                    self.values.extend_from_slice(&values[old as usize * self.width..][..self.width]);
                    new
                });
                self.rows.push(Entry { values, ..of_key[i] });
            }
        }
    }
}

/// All rows so far of a graph.
#[derive(Clone, Debug)]
pub struct LiveGraph {
    edges: Store<(u32, u32)>,
    nodes: Store<u32>,
    undirected: bool,
    names: ByName,
    began: Option<i64>,
    /// How many rows that were let go of take back more than there was, and the first edge of these.
    unmatched: (u64, Option<(u32, u32)>),
}

/// The graph as of a time, and which node is whose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Nodes are in the order of their names' bytes.
    pub graph: Graph,
    /// Each node's number of arrival `[nodes]`.
    pub arrival: Vec<u32>,
    /// How many nodes have no features.
    pub no_features: u64,
}

impl LiveGraph {
    /// A graph without rows. Nodes have `channels` features, edges so many attributes; `undirected` adds each edge's reverse.
    pub fn new(channels: usize, attributes: usize, undirected: bool) -> Self {
        LiveGraph {
            edges: Store::new(attributes),
            nodes: Store::new(channels),
            undirected,
            names: ByName::default(),
            began: None,
            unmatched: (0, None),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Shape`] for a row with another number of values.
    pub fn push(&mut self, row: &GraphRow, diff: i32) -> Result<(), Error> {
        let (t, pushed) = match row {
            GraphRow::Edge(row) => {
                (row.t, self.edges.push((row.src, row.dst), row.t, row.place, diff, &row.attributes))
            }
            GraphRow::Node(row) => (row.t, self.nodes.push(row.node, row.t, row.place, diff, &row.features)),
        };
        self.began = Some(self.began.map_or(t, |began| began.min(t)));
        pushed
    }

    /// The first stamp of any row so far, and the last one of those kept.
    pub fn stamps(&self) -> Option<(i64, i64)> {
        let edges = self.edges.rows.iter().map(|row| row.t);
        let last = edges.chain(self.nodes.rows.iter().map(|row| row.t)).max()?;
        Some((self.began?, last))
    }

    /// The two neighbouring stamps that lie farthest apart.
    pub fn widest_gap(&self) -> Option<(i64, i64)> {
        let edges = self.edges.rows.iter().map(|row| row.t);
        let mut stamps: Vec<i64> = edges.chain(self.nodes.rows.iter().map(|row| row.t)).collect();
        stamps.sort_unstable();
        stamps.windows(2).map(|pair| (pair[0], pair[1])).max_by_key(|(from, to)| to.abs_diff(*from))
    }

    /// How many rows take back more than there was, and the first edge of these (src, dst), in the order of arrival.
    pub fn unmatched(&mut self) -> (u64, Option<(u32, u32)>) {
        self.edges.sort();
        self.unmatched_before(i64::MAX)
    }

    /// The same of the rows before `from` and of those that were let go of.
    fn unmatched_before(&self, from: i64) -> (u64, Option<(u32, u32)>) {
        let of_key = self.edges.rows.chunk_by(|a, b| a.key == b.key);
        let sum =
            |rows: &[Entry<_>]| rows.iter().filter(|row| row.t < from).map(|row| i64::from(row.diff)).sum::<i64>();
        let sums = of_key.map(|rows| (rows[0].key, sum(rows)));
        sums.filter(|(_, sum)| *sum < 0)
            .fold(self.unmatched, |(count, first), (edge, sum)| (count + sum.unsigned_abs(), first.or(Some(edge))))
    }

    /// Lets go of what no as-of time from `open` on asks for: edges before `from`, features that another row has replaced by `open`.
    pub fn evict(&mut self, open: i64, from: i64) {
        self.edges.sort();
        self.unmatched = self.unmatched_before(from);
        self.edges.retain(|rows, i| rows[i].t >= from);
        self.nodes.retain(|rows, i| {
            let replaced = rows.get(i + 1).is_some_and(|next| next.t <= open);
            !replaced && (rows[i].t > open || rows[i].diff > 0)
        });
    }

    /// The graph as of `as_of` (ns), of edges not older than `as_of - window` (ns).
    ///
    /// # Errors
    /// None for rows that were taken in.
    pub fn view(&mut self, names: &Names, as_of: i64, window: Option<i64>) -> Result<View, Error> {
        self.edges.sort();
        self.nodes.sort();
        self.names.update(names);
        let from = window.map_or(i64::MIN, |window| as_of.saturating_sub(window));

        // (src, dst, values), ascending.
        let mut edges: Vec<(u32, u32, Option<u32>)> = Vec::new();
        for rows in self.edges.rows.chunk_by(|a, b| a.key == b.key) {
            let counting = || rows.iter().filter(|row| from <= row.t && row.t <= as_of);
            if counting().map(|row| i64::from(row.diff)).sum::<i64>() > 0 {
                let (src, dst) = rows[0].key;
                edges.push((src, dst, counting().filter_map(|row| row.values).next_back()));
            }
        }
        if self.undirected {
            let own = edges.len();
            for e in 0..own {
                let (src, dst, values) = edges[e];
                if edges[..own].binary_search_by_key(&(dst, src), |edge| (edge.0, edge.1)).is_err() {
                    edges.push((dst, src, values));
                }
            }
        }
        let mut features: Vec<(u32, Option<u32>)> = Vec::new();
        for rows in self.nodes.rows.chunk_by(|a, b| a.key == b.key) {
            let last = rows.iter().rfind(|row| row.t <= as_of).filter(|row| row.diff > 0);
            features.extend(last.map(|row| (row.key, row.values)));
        }

        let ends = edges.iter().flat_map(|edge| [edge.0, edge.1]);
        let (arrival, number) = self.names.places(ends.chain(features.iter().map(|(node, _)| *node)));

        let mut x = Matrix::zeros(arrival.len(), self.nodes.width);
        for &(node, values) in &features {
            if let Some(values) = values {
                x.row_mut(number[node as usize] as usize).copy_from_slice(self.nodes.of(values));
            }
        }
        let ends = |end: fn(&(u32, u32, Option<u32>)) -> u32| -> Vec<u32> {
            edges.iter().map(|edge| number[end(edge) as usize]).collect()
        };
        let (lists, order) = Neighbors::from_edges_ordered(arrival.len(), &ends(|e| e.0), &ends(|e| e.1))?;
        let edge_attr = (self.edges.width > 0).then(|| {
            let mut attributes = Matrix::zeros(edges.len(), self.edges.width);
            for (row, &edge) in order.iter().enumerate() {
                if let Some(values) = edges[edge as usize].2 {
                    attributes.row_mut(row).copy_from_slice(self.edges.of(values));
                }
            }
            attributes
        });
        let no_features = (arrival.len() - features.len()) as u64;
        let id = (0..arrival.len() as u64).collect();
        let graph = Graph { frame: as_of, id, x, edges: lists, edge_attr, ..Graph::default() };
        Ok(View { graph, arrival, no_features })
    }
}
