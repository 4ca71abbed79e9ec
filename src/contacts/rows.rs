//! Rows of contacts and tests as they are read, with people numbered in order of arrival.
//!
//! A row is a fact with a multiplicity: what is live is what the diffs of equal rows add up to, whatever their order.

use serde::{Deserialize, Serialize};

use crate::Epoch;
use crate::asof::{RowBatch, Stamped};

/// Two people met; `a <= b` by number of arrival, equal for a contact with oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContactRow {
    /// Stamp (ns).
    pub t: i64,
    /// One of the two.
    pub a: u32,
    /// The other one.
    pub b: u32,
    /// Duration (ns), 0 or more.
    pub duration: i64,
}

impl ContactRow {
    /// A contact of an unordered pair.
    pub fn new(t: i64, i: u32, j: u32, duration: i64) -> ContactRow {
        ContactRow { t, a: i.min(j), b: i.max(j), duration }
    }
}

/// Somebody was tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TestRow {
    /// Stamp (ns).
    pub t: i64,
    /// Who, by number of arrival.
    pub person: u32,
    /// The result.
    pub positive: bool,
}

/// A row of the relational face: contacts and tests are one collection, told apart by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A contact.
    Contact(ContactRow),
    /// A test.
    Test(TestRow),
    /// Not a row of the input: what is live at this epoch is to be scored. It stands in the collection for that epoch alone.
    Due(Epoch),
}

impl Stamped for Fact {
    fn t(&self) -> Option<i64> {
        match self {
            Fact::Contact(row) => Some(row.t),
            Fact::Test(row) => Some(row.t),
            Fact::Due(_) => None,
        }
    }
}

/// What a source delivers in one epoch.
pub type FactRows = RowBatch<Fact>;
