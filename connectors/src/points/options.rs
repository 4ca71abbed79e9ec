//! What a run asks of every reader in it, and how readers say what is odd.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};

use thalweg::Frame;

use super::label::LabelCode;
use super::origin::OriginRule;
use super::told::Told;
use crate::notices::Notices;
use crate::tables::options::TableOptions;

/// What a run asks of every reader in it.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// What is subtracted from f64 coordinates.
    pub origin: OriginRule,
    /// What the column `label` of a run means.
    pub labels: LabelCode,
    /// Where readers say what is no error.
    pub notices: Notices,
    /// How often which oddity was said.
    pub told: Told,
    /// Columns that frames carry as they are, by name: `doppler` and `intensity` where there, others without fail.
    pub carry: Arc<[String]>,
    /// How tables are meant.
    pub tables: TableOptions,
    /// Optional columns of tables that could not be used.
    pub left_out: LeftOut,
    /// Go on behind a part of a table that cannot be read, such as a row group.
    pub skip: bool,
}

impl ReadOptions {
    /// True if frames are to carry the column as it is.
    pub(crate) fn carries(&self, name: &str) -> bool {
        self.carry.iter().any(|carried| carried == name)
    }

    /// Warns of an oddity in a file. Of each kind the first files are named; then comes a word that there are more.
    pub(crate) fn warn(&self, kind: &'static str, path: &Path, what: impl Display) {
        self.told.warn(&self.notices, kind, path, what);
    }

    /// The train ids of a frame's labels; warns of what is no train id where the first frame's were.
    pub(crate) fn train_ids(&self, labels: &[i64], path: &Path) -> Vec<u8> {
        let ids = self.labels.codes(labels);
        if let Some(text) = self.labels.odd() {
            self.warn("labels", path, text);
        }
        ids
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

/// Names of optional columns that a run does without, since a cell of theirs could not be used; clones are one list.
#[derive(Clone, Debug, Default)]
pub struct LeftOut(Arc<Mutex<BTreeSet<String>>>);

impl LeftOut {
    /// True if the column is left out.
    pub fn has(&self, column: &str) -> bool {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(column)
    }

    /// Leaves a column out from here on.
    pub(crate) fn add(&self, column: &str) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(column.into());
    }
}
