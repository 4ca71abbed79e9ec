//! What a run is told of its files: each kind of oddity a few times, not once a file for ten thousand files.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::notices::Notices;

/// Files named for one kind of oddity.
const NAMED: u32 = 3;

/// How often each kind of oddity was met; clones are one count.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<BTreeMap<&'static str, u32>>>);

impl Told {
    /// Warns of an oddity in a file. Of each kind the first files are named; then comes a word that there are more.
    pub(crate) fn warn(&self, notices: &Notices, kind: &'static str, path: &Path, what: impl Display) {
        let mut told = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let count = told.entry(kind).or_insert(0);
        *count = count.saturating_add(1);
        match *count {
            ..=NAMED => notices.warn(path, what),
            n if n == NAMED + 1 => notices.warn(path, format!("{what} (further files like this are not named)")),
            _ => {}
        }
    }
}
