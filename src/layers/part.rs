//! The part of a graph that the wanted rows see: their lists, with the nodes in them numbered anew where not all are wanted.
//!
//! A layer computes its node-level products for the nodes of the part alone. Lists keep their ascending order, so sums run in
//! the same order for some rows as for all.

use std::borrow::Cow;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::{Matrix, Neighbors, Rows};
use crate::Error;

/// The number of an edge that a layer adds from a node to itself.
pub(super) const LOOP: usize = usize::MAX;

/// Edges of a batch: a multiple of the dense kernel's rows, and few enough to stay in the cache.
pub(super) const BATCH: usize = 192;

/// How many lists before its turn the rows of a list are asked for.
pub(super) const AHEAD: usize = 2;

/// An edge into a wanted row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// Where the row stands in the output.
    pub place: usize,
    /// The row's node, as numbered in the part.
    pub dst: usize,
    /// The source, as numbered in the part.
    pub src: usize,
    /// The edge's number in the graph, or [`LOOP`].
    pub number: usize,
}

/// Which edges of a node to itself a layer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loops {
    /// Those of the graph.
    AsGiven,
    /// Exactly one a node, numbered [`LOOP`], at its place in the ascending list.
    One,
}

/// The lists of the wanted rows.
pub(super) struct Part<'a> {
    graph: &'a Neighbors,
    rows: Rows<'a>,
    subset: Option<Subset>,
}

/// What stands for the graph where not all rows are wanted.
struct Subset {
    /// The nodes that are seen.
    nodes: Vec<u32>,
    /// Of each wanted row, its number among them.
    dst: Vec<u32>,
    /// Of each list, list after list, the sources' numbers among them.
    src: Vec<u32>,
    offset: Vec<usize>,
}

impl<'a> Part<'a> {
    /// The part that `rows` see; they are below the number of nodes.
    pub fn new(graph: &'a Neighbors, rows: Rows<'a>) -> Self {
        let Rows::These(wanted) = rows else { return Part { graph, rows, subset: None } };
        let mut nodes = Vec::with_capacity(2 * wanted.len());
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut number = |node: u32| {
            *numbers.entry(node).or_insert_with(|| {
                nodes.push(node);
                (nodes.len() - 1) as u32
            })
        };
        let dst = wanted.iter().map(|&row| number(row)).collect();
        let (mut src, mut offset) = (Vec::new(), vec![0]);
        for &row in wanted {
            src.extend(graph.of(row as usize).iter().map(|&source| number(source)));
            offset.push(src.len());
        }
        Part { graph, rows, subset: Some(Subset { nodes, dst, src, offset }) }
    }

    /// How many rows are wanted.
    pub fn rows(&self) -> usize {
        self.rows.count(self.graph.nodes())
    }

    /// How many nodes are seen.
    pub fn nodes(&self) -> usize {
        self.subset.as_ref().map_or(self.graph.nodes(), |subset| subset.nodes.len())
    }

    /// The graph's number of a node that is seen.
    pub fn node(&self, number: usize) -> usize {
        self.subset.as_ref().map_or(number, |subset| subset.nodes[number] as usize)
    }

    /// The number in the part of the row at `place`.
    pub fn dst(&self, place: usize) -> usize {
        self.subset.as_ref().map_or(place, |subset| subset.dst[place] as usize)
    }

    /// The sources of the row at `place`, as numbered in the part.
    pub fn list(&self, place: usize) -> &[u32] {
        match &self.subset {
            None => self.graph.of(place),
            Some(subset) => &subset.src[subset.offset[place]..subset.offset[place + 1]],
        }
    }

    /// Asks for the rows of `x` that the list after the next one takes: of a large graph they do not fit into the cache, and lie anywhere.
    pub fn ahead(&self, place: usize, x: &Matrix) {
        if place + AHEAD < self.rows() {
            x.ahead(self.list(place + AHEAD));
        }
    }

    /// The graph's numbers of the edges in [`Part::list`].
    pub fn edges(&self, place: usize) -> Range<usize> {
        self.graph.edges_of(self.rows.at(place))
    }

    /// The rows of all nodes that are seen.
    pub fn seen<'m>(&self, x: &'m Matrix) -> Cow<'m, Matrix> {
        match &self.subset {
            None => Cow::Borrowed(x),
            Some(subset) => Cow::Owned(x.take(&subset.nodes)),
        }
    }

    /// The wanted rows.
    pub fn own<'m>(&self, x: &'m Matrix) -> Cow<'m, Matrix> {
        self.rows.take(x)
    }

    /// The list of the row at `place` with exactly one edge to itself, at its place in the ascending order: sources and the
    /// graph's edge numbers, which are [`LOOP`] for that one. Returns the number of the last such edge that the graph has.
    pub fn with_loop(&self, place: usize, sources: &mut Vec<u32>, numbers: &mut Vec<usize>) -> Option<usize> {
        sources.clear();
        numbers.clear();
        let (node, own) = (self.rows.at(place) as u32, self.dst(place) as u32);
        let (mut given, mut added) = (None, false);
        for ((&global, &source), number) in
            self.graph.of(node as usize).iter().zip(self.list(place)).zip(self.edges(place))
        {
            if global >= node && !added {
                sources.push(own);
                numbers.push(LOOP);
                added = true;
            }
            if global == node {
                given = Some(number);
            } else {
                sources.push(source);
                numbers.push(number);
            }
        }
        if !added {
            sources.push(own);
            numbers.push(LOOP);
        }
        given
    }

    /// All edges into the wanted rows, row after row, `limit` at a time.
    pub fn batches(
        &self,
        loops: Loops,
        limit: usize,
        each: impl FnMut(&[Edge]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.split(loops, limit, false, each)
    }

    /// All edges into the wanted rows, about [`BATCH`] at a time; those of one row stay together.
    pub fn lists(&self, loops: Loops, each: impl FnMut(&[Edge]) -> Result<(), Error>) -> Result<(), Error> {
        self.split(loops, BATCH, true, each)
    }

    fn split(
        &self,
        loops: Loops,
        limit: usize,
        whole: bool,
        mut each: impl FnMut(&[Edge]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut batch: Vec<Edge> = Vec::with_capacity(limit);
        let (mut sources, mut numbers) = (Vec::new(), Vec::new());
        for place in 0..self.rows() {
            let dst = self.dst(place);
            if loops == Loops::One {
                self.with_loop(place, &mut sources, &mut numbers);
            } else {
                sources.clear();
                numbers.clear();
                sources.extend_from_slice(self.list(place));
                numbers.extend(self.edges(place));
            }
            if whole && !batch.is_empty() && batch.len() + sources.len() > limit {
                each(&batch)?;
                batch.clear();
            }
            for (&src, &number) in sources.iter().zip(&numbers) {
                if !whole && batch.len() == limit {
                    each(&batch)?;
                    batch.clear();
                }
                batch.push(Edge { place, dst, src: src as usize, number });
            }
        }
        if batch.is_empty() { Ok(()) } else { each(&batch) }
    }
}
