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

    /// The names from number `first` on.
    pub fn since(&self, first: usize) -> Vec<Arc<str>> {
        let names = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        names.get(first..).map(<[_]>::to_vec).unwrap_or_default()
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

/// Names in the order of their bytes, which no arrival changes: what tables are sorted by, and what gives nodes and people their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByName {
    names: Vec<Arc<str>>,
    /// Numbers of arrival, by name.
    order: Vec<u32>,
}

impl ByName {
    /// Takes in the names that have come since.
    pub fn update(&mut self, names: &Names) {
        if self.names.len() != names.len() {
            self.names = names.list();
            self.order = (0..self.names.len() as u32).collect();
            let names = &self.names;
            self.order.sort_unstable_by(|&a, &b| names[a as usize].as_bytes().cmp(names[b as usize].as_bytes()));
        }
    }

    /// Those of `present` (numbers of arrival, any number of times) in the order of their names, and by number of arrival the place of each
    /// in it; [`u32::MAX`] for the others.
    pub fn places(&self, present: impl Iterator<Item = u32>) -> (Vec<u32>, Vec<u32>) {
        let mut place = vec![u32::MAX; self.names.len()];
        present.for_each(|number| place[number as usize] = 0);
        let arrival: Vec<u32> = self.order.iter().copied().filter(|&number| place[number as usize] == 0).collect();
        arrival.iter().zip(0..).for_each(|(&number, at)| place[number as usize] = at);
        (arrival, place)
    }
}
