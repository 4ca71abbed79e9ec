//! What the pipelines over rows of tables share: the times that they answer for, the pace of the rows, windows, and keys that hide ids.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thalweg::asof::AsOf;
use thalweg_connectors::rows::{Key as IdKey, Pace};

use crate::failure::Failure;
use crate::keys::{Key, Keys};
use crate::settings::Settings;

/// How long a model may go on after a signal: what is in hand is answered if it takes no longer.
pub const GRACE: Duration = Duration::from_millis(500);

/// Hides ids.
pub const HASH_IDS: Key = Key {
    name: "hash_ids",
    default: "none",
    expected: "the path of a key's file",
    what: "ids in the output are keyed hashes (HMAC-SHA-256)",
};

/// Takes `hash_ids`.
pub fn hash_ids(keys: &mut Keys<'_>) -> Option<PathBuf> {
    let path = keys.take_or(&HASH_IDS, String::new(), |path: &String| !path.is_empty());
    Some(path).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The key in a file, if there is one.
///
/// # Errors
/// A file that cannot be read or is empty (exit 1).
pub fn id_key(file: Option<&Path>) -> Result<Option<IdKey>, Failure> {
    Ok(file.map(IdKey::load).transpose()?)
}

/// Takes a window: how long before the as-of time rows count (ns); none for all of them.
pub fn window(keys: &mut Keys<'_>, key: &Key) -> Option<i64> {
    keys.nanoseconds(key, false)
}

/// How far behind answers are revised.
pub const LATENESS: Key = Key {
    name: "lateness",
    default: "the window",
    expected: "seconds, 0 or more",
    what: "with --follow and a window: how far behind the newest row answers are still revised; what can revise none any more is late",
};

/// How far behind tests may come.
pub const TESTS_LATENESS: Key = Key {
    name: "tests_lateness",
    default: "lateness",
    expected: "seconds, 0 or more",
    what: "the same for tests alone, where results come later than contacts",
};

/// How far behind rows of nodes may come.
pub const NODES_LATENESS: Key = Key {
    name: "nodes_lateness",
    default: "lateness",
    expected: "seconds, 0 or more",
    what: "the same for rows of nodes alone, where they come later than edges",
};

/// How far ahead a row may be.
pub const AHEAD: Key = Key {
    name: "ahead",
    default: "none",
    expected: "seconds, more than 0",
    what: "with --follow: a row so far ahead of all before it in its table is out_of_range, unless the one before it was so too",
};

/// Takes `lateness`, `other` of it for the tables of `rows`, and `ahead` (ns), which a run that follows has: how far behind answers are
/// revised, and the pace's bounds.
pub fn times(
    keys: &mut Keys<'_>,
    settings: &Settings,
    window: Option<i64>,
    (other, rows): (&Key, &'static str),
) -> (Option<i64>, Pace) {
    if !settings.follow {
        keys.refuse(&[&LATENESS, other, &AHEAD], "--follow beside it: an input that ends is taken whole, in any order");
        return (None, Pace::default());
    }
    if window.is_none() {
        keys.refuse(&[&LATENESS, other], "--set window=... beside it: without one nothing is ever too late");
    }
    let (lateness, ahead) = (keys.nanoseconds(&LATENESS, true), keys.nanoseconds(&AHEAD, false));
    let other = keys.nanoseconds(other, true);
    let Some(window) = window else { return (None, Pace { ahead, ..Pace::default() }) };
    let behind = window.saturating_add(lateness.unwrap_or(window));
    let behind_of = other.map(|other| (rows, window.saturating_add(other)));
    // What the latest rows may revise stays open.
    let open = other.map_or(lateness, |other| Some(other.max(lateness.unwrap_or(window))));
    (open, Pace { behind: Some(behind), behind_of, ahead, ..Pace::default() })
}

/// The times to answer for.
pub fn as_of(settings: &Settings) -> AsOf {
    match (settings.as_of, settings.every) {
        (Some(t), _) => AsOf::At(t),
        (None, Some(step)) => AsOf::Every(step),
        (None, None) => AsOf::Last,
    }
}

/// How rows are handed out; with `revisions` they are due as these times are passed, and `times` bounds how far behind and ahead they may be.
pub fn pace(settings: &Settings, revisions: Option<AsOf>, times: Pace) -> Pace {
    Pace {
        revisions,
        rate: settings.rate,
        start_offset: settings.start_offset,
        until: settings.until,
        kept: settings.checkpoint.is_some(),
        ..times
    }
}

/// What is said of a run without end that has no window and writes final tables: these come when it ends.
pub fn at_the_end(settings: &Settings) -> &'static str {
    if settings.checkpoint.is_some() {
        "rows are written, and a checkpoint made, when the run ends, for they are its final state; a run that is killed before begins anew with what \
         its files hold then: --set emit=changes, or a window, writes as it goes"
    } else {
        "rows are written when the run ends, for they are its final state: --set emit=changes writes them as they come"
    }
}
