//! Names by number: people, nodes of a graph, whatever rows name by an id.

use std::sync::{Arc, RwLock};

/// Names by their number of arrival. Clones share one list, to which the source appends and on which sinks look names up. In a run
/// without end it grows with the number of distinct names, and with nothing else: some 40 bytes and the name for each.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<RwLock<Vec<Arc<str>>>>);

impl Names {
    /// Appends a name; its number.
    pub fn push(&self, name: &str) -> u32 {
        let mut names = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        names.push(name.into());
        // A name takes more than a byte of memory, so memory ends long before numbers do.
        u32::try_from(names.len() - 1).expect("fewer than 2^32 names fit into memory")
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
