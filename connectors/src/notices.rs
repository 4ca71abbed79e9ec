//! What readers have to say that is no error: warnings, and what they passed over. `run` prints them, `inspect` lists them as problems.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use thalweg::Dropped;

use crate::error::Error;

/// Texts kept at most; a run without end must not collect them without end.
const MOST: usize = 200;

/// A shared list of warnings and of drops that no frame tells of; clones are one list.
///
/// ```
/// use thalweg_connectors::Notices;
///
/// let notices = Notices::default();
/// notices.warn("scans/calib.txt", "found no Tr, took the axis swap");
/// notices.warn("scans/calib.txt", "found no Tr, took the axis swap");
/// assert_eq!(notices.warnings(), ["scans/calib.txt: found no Tr, took the axis swap"]);
/// ```
#[derive(Clone, Default)]
pub struct Notices(Arc<Mutex<Inner>>);

/// Says a warning.
type Say = Box<dyn Fn(&str) + Send>;

#[derive(Default)]
struct Inner {
    warnings: Vec<String>,
    dropped: BTreeMap<&'static str, Dropped>,
    say: Option<Say>,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.warnings()).finish()
    }
}

impl Notices {
    /// A list that also says each warning at once.
    pub fn spoken(say: impl Fn(&str) + Send + 'static) -> Notices {
        let notices = Notices::default();
        notices.lock().say = Some(Box::new(say));
        notices
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A warning about a file; the same text counts once.
    pub fn warn(&self, path: impl AsRef<Path>, what: impl Display) {
        self.say(format!("{}: {what}", path.as_ref().display()));
    }

    /// A warning that names its place itself, or has none.
    pub fn say(&self, text: impl Into<String>) {
        let text = text.into();
        let mut inner = self.lock();
        if inner.warnings.len() < MOST && !inner.warnings.contains(&text) {
            if let Some(say) = &inner.say {
                say(&text);
            }
            inner.warnings.push(text);
        }
    }

    /// Says what could not be read and is passed over, and counts it as `unreadable`.
    pub(crate) fn passed_over(&self, error: &Error) {
        let text = error.to_string();
        let what = text.strip_prefix(&format!("{}: ", error.path().display())).unwrap_or(&text);
        self.warn(error.path(), format!("passed over: {what}"));
        self.dropped("unreadable", || text.clone());
    }

    /// Counts one thing passed over, `place` saying where and why; the first one's is kept.
    pub fn dropped(&self, reason: &'static str, place: impl FnOnce() -> String) {
        self.lock().dropped.entry(reason).or_default().one(place);
    }

    /// All warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        self.lock().warnings.clone()
    }

    /// What was passed over so far, by reason.
    pub fn drops(&self) -> BTreeMap<&'static str, Dropped> {
        self.lock().dropped.clone()
    }
}
