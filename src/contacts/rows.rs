//! Rows of contacts and tests as they are read, with people numbered in order of arrival, and the names behind the numbers.
//!
//! A row is a fact with a multiplicity: what is live is what the diffs of equal rows add up to, whatever their order.

use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use crate::Epoch;

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

impl Fact {
    /// The stamp (ns) of a row of the input.
    pub fn t(&self) -> Option<i64> {
        match self {
            Fact::Contact(row) => Some(row.t),
            Fact::Test(row) => Some(row.t),
            Fact::Due(_) => None,
        }
    }
}

/// What a source delivers in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactRows {
    /// Rows, each with its multiplicity: 1, or −1 for one taken back.
    pub rows: Vec<(Fact, i32)>,
    /// Whether to score once these rows are in.
    pub due: bool,
}

/// Names of people by their number of arrival. Clones share one list, to which the source appends and on which sinks look names up. In a run
/// without end it grows with the number of distinct people, and with nothing else: some 40 bytes and the name for each.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<RwLock<Vec<Arc<str>>>>);

impl Names {
    /// Appends a name; its number.
    pub fn push(&self, name: &str) -> u32 {
        let mut names = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        names.push(name.into());
        // A name takes more than a byte of memory, so memory ends long before numbers do.
        u32::try_from(names.len() - 1).expect("fewer than 2^32 people fit into memory")
    }

    /// All names so far.
    pub fn list(&self) -> Vec<Arc<str>> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// The number of names so far.
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
