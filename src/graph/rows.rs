//! Rows of a graph that is given as tables: edges and nodes with stamps, by number of arrival.

use serde::{Deserialize, Serialize};

use crate::asof::Stamped;

/// Where a row stands in the input: what decides between rows of one edge or node and one stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its table: one that comes before another in the input has the smaller number.
    pub table: u64,
    /// Its row there.
    pub row: u64,
}

/// An edge comes, or goes where the row's multiplicity is −1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeRow {
    /// Stamp (ns).
    pub t: i64,
    /// Where messages come from, by number of arrival.
    pub src: u32,
    /// Where they go.
    pub dst: u32,
    /// Its attributes; empty where edges have none, and in a row that takes an edge back and does not say them.
    pub attributes: Box<[f32]>,
    /// Where it stands.
    pub place: Place,
}

/// A node has these features from here on, or none where the row's multiplicity is −1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Stamp (ns).
    pub t: i64,
    /// Which, by number of arrival.
    pub node: u32,
    /// Its features; may be empty in a row that takes them back.
    pub features: Box<[f32]>,
    /// Where it stands.
    pub place: Place,
}

/// A row of either table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GraphRow {
    /// An edge.
    Edge(EdgeRow),
    /// A node.
    Node(NodeRow),
}

impl Stamped for GraphRow {
    fn t(&self) -> Option<i64> {
        Some(match self {
            GraphRow::Edge(row) => row.t,
            GraphRow::Node(row) => row.t,
        })
    }
}
