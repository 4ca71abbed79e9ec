//! Ids by number: an id gets the next number when it first comes, and keeps it.

use std::collections::HashMap;

use thalweg::asof::Names;

use super::hash::Key;

/// Numbers for ids.
#[derive(Debug, Default)]
pub struct Ids {
    numbers: HashMap<Box<str>, u32>,
    names: Names,
    key: Option<Key>,
    /// Checksums of the names, by number.
    sums: Vec<u32>,
}

impl Ids {
    /// None yet; with a key, names are its hashes of the ids.
    pub fn new(key: Option<Key>) -> Ids {
        Ids { key, ..Ids::default() }
    }

    /// The number of an id.
    pub fn number(&mut self, id: &str) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = match &self.key {
            Some(key) => self.names.push(&key.hash(id)),
            None => self.names.push(id),
        };
        self.numbers.insert(id.into(), number);
        self.sums.push(crc32fast::hash(id.as_bytes()));
        number
    }

    /// The checksum of a name by its number.
    pub(crate) fn sum(&self, number: u32) -> u32 {
        self.sums.get(number as usize).copied().unwrap_or_default()
    }

    /// True if names are hashes, and ids are to be shown nowhere.
    pub(crate) fn hashed(&self) -> bool {
        self.key.is_some()
    }

    /// The names, by number.
    pub fn names(&self) -> &Names {
        &self.names
    }
}
