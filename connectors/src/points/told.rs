//! What a run is told of its files: each kind of oddity a few times, not once a file for ten thousand files.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};

use thalweg::Frame;

use crate::points::format::ReadOptions;

/// Files named for one kind of oddity.
const NAMED: u32 = 3;

/// How often each kind of oddity was met; clones are one count.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<BTreeMap<&'static str, u32>>>);

impl ReadOptions {
    /// Warns of an oddity in a file. Of each kind the first files are named; then comes a word that there are more.
    pub(crate) fn warn(&self, kind: &'static str, path: &Path, what: impl Display) {
        let mut told = self.told.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let count = told.entry(kind).or_insert(0);
        *count = count.saturating_add(1);
        match *count {
            ..=NAMED => self.notices.warn(path, what),
            n if n == NAMED + 1 => self.notices.warn(path, format!("{what} (further files like this are not named)")),
            _ => {}
        }
    }

    /// Warns of what is odd about a frame as a whole: points at exactly (0, 0, 0), which sensors write for no return.
    pub(crate) fn look(&self, frame: &Frame) {
        if frame.origin != [0.0; 3] {
            return;
        }
        let points = frame.x.iter().zip(&frame.y).zip(&frame.z);
        let zeros = points.filter(|((x, y), z)| **x == 0.0 && **y == 0.0 && **z == 0.0).count();
        if let Some(path) = frame.path.as_deref().filter(|_| zeros > 1 && zeros < frame.len()) {
            self.warn("zeros", path, format!("{zeros} points lie at exactly (0, 0, 0): no returns?"));
        }
    }
}
