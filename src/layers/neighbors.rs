//! Neighbour lists of any length: for each node its sources, ascending by id.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Edges in compressed rows: the sources of node `i` are `src[offset[i]..offset[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbors {
    offset: Vec<usize>,
    src: Vec<u32>,
}

impl Neighbors {
    /// From edges `src[e] → dst[e]` in any order; each list comes out ascending, whatever the order was.
    ///
    /// # Errors
    /// [`Error::Value`] if the lengths differ or an edge ends outside `0..nodes`.
    pub fn from_edges(nodes: usize, src: &[u32], dst: &[u32]) -> Result<Self, Error> {
        let (offset, mut next) = Neighbors::offsets(nodes, src, dst)?;
        let mut sorted = vec![0; src.len()];
        for (&s, &d) in src.iter().zip(dst) {
            sorted[next[d as usize]] = s;
            next[d as usize] += 1;
        }
        (0..nodes).for_each(|i| sorted[offset[i]..offset[i + 1]].sort_unstable());
        Ok(Neighbors { offset, src: sorted })
    }

    /// The same lists, and for each of their edges, list after list, its place `e` in the input: `order[edge]`. Edges between the same
    /// nodes keep the order of the input.
    ///
    /// ```
    /// use thalweg::layers::Neighbors;
    ///
    /// let (graph, order) = Neighbors::from_edges_ordered(3, &[2, 0, 1], &[1, 1, 0]).unwrap();
    /// assert_eq!((graph.of(0), graph.of(1)), (&[1][..], &[0, 2][..]));
    /// assert_eq!(order, [2, 1, 0]);
    /// ```
    ///
    /// # Errors
    /// Those of [`Neighbors::from_edges`]; more than 2³² − 1 edges.
    pub fn from_edges_ordered(nodes: usize, src: &[u32], dst: &[u32]) -> Result<(Self, Vec<u32>), Error> {
        if u32::try_from(src.len()).is_err() {
            let (found, expected) = (src.len().to_string(), format!("{} or fewer", u32::MAX));
            return Err(Error::Value { what: "number of edges", found, expected });
        }
        let (offset, mut next) = Neighbors::offsets(nodes, src, dst)?;
        let mut order = vec![0; src.len()];
        for (e, &d) in dst.iter().enumerate() {
            order[next[d as usize]] = e as u32;
            next[d as usize] += 1;
        }
        (0..nodes).for_each(|i| order[offset[i]..offset[i + 1]].sort_unstable_by_key(|&e| (src[e as usize], e)));
        let sorted = order.iter().map(|&e| src[e as usize]).collect();
        Ok((Neighbors { offset, src: sorted }, order))
    }

    /// From the lists themselves: those of node `i` are `src[offset[i]..offset[i + 1]]`.
    ///
    /// # Errors
    /// [`Error::Value`] if `offset` does not go from 0 to the length of `src` without falling, or a list is not ascending or names a node
    /// that is not there. An edge may stand in a list twice.
    pub fn from_lists(offset: Vec<usize>, src: Vec<u32>) -> Result<Self, Error> {
        let error = |what, found: String, expected: String| Err(Error::Value { what, found, expected });
        match (offset.first(), offset.last()) {
            (Some(0), Some(&last)) if last == src.len() => {}
            (first, last) => {
                let expected = format!("from 0 to {}, the number of edges", src.len());
                return error("offsets of lists", format!("from {first:?} to {last:?}"), expected);
            }
        }
        if let Some(pair) = offset.windows(2).find(|pair| pair[0] > pair[1]) {
            return error("offsets of lists", format!("{} before {}", pair[0], pair[1]), "ascending numbers".into());
        }
        let graph = Neighbors { offset, src };
        for i in 0..graph.nodes() {
            let list = graph.of(i);
            if let Some(pair) = list.windows(2).find(|pair| pair[0] > pair[1]) {
                return error("list of a node", format!("{} before {}", pair[0], pair[1]), "ascending numbers".into());
            }
            if let Some(&last) = list.last().filter(|&&last| last as usize >= graph.nodes()) {
                return error("list of a node", last.to_string(), format!("below {}", graph.nodes()));
            }
        }
        Ok(graph)
    }

    /// Where the list of each node begins, twice; the edges are checked.
    fn offsets(nodes: usize, src: &[u32], dst: &[u32]) -> Result<(Vec<usize>, Vec<usize>), Error> {
        if src.len() != dst.len() {
            let found = format!("{} and {}", src.len(), dst.len());
            return Err(Error::Value { what: "lengths of src and dst", found, expected: "one length".into() });
        }
        if let Some(end) = src.iter().chain(dst).find(|&&end| end as usize >= nodes) {
            return Err(Error::Value { what: "edge", found: end.to_string(), expected: format!("below {nodes}") });
        }
        let mut offset = vec![0; nodes + 1];
        dst.iter().for_each(|&d| offset[d as usize + 1] += 1);
        (0..nodes).for_each(|i| offset[i + 1] += offset[i]);
        let next = offset.clone();
        Ok((offset, next))
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.offset.len().saturating_sub(1)
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.src.len()
    }

    /// The numbers of the edges into node `i`, list after list.
    pub fn edges_of(&self, i: usize) -> Range<usize> {
        self.offset[i]..self.offset[i + 1]
    }

    /// The sources of node `i`.
    pub fn of(&self, i: usize) -> &[u32] {
        &self.src[self.offset[i]..self.offset[i + 1]]
    }
}
