//! Neighbour lists of any length: for each node its sources, ascending by id.

use std::ops::Range;

use crate::Error;

/// Edges in compressed rows: the sources of node `i` are `src[offset[i]..offset[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
        let mut next = offset.clone();
        let mut sorted = vec![0; src.len()];
        for (&s, &d) in src.iter().zip(dst) {
            sorted[next[d as usize]] = s;
            next[d as usize] += 1;
        }
        (0..nodes).for_each(|i| sorted[offset[i]..offset[i + 1]].sort_unstable());
        Ok(Neighbors { offset, src: sorted })
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
