//! Log lines about what is published: at most one a second for each output, whatever happens in between.

use std::path::Path;
use std::time::{Duration, Instant};

use super::manifest::Segment;

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// What was published and not yet said.
#[derive(Debug, Default)]
pub(super) struct Announced {
    said: Option<Instant>,
    segments: u64,
    rows: u64,
    last: String,
}

impl Announced {
    /// A segment that readers see from here on.
    pub(super) fn add(&mut self, segment: &Segment) {
        self.segments += 1;
        self.rows += segment.rows;
        self.last.clone_from(&segment.file);
    }

    /// Says what has come together, if there is something; `checkpoint` is the one that published it.
    pub(super) fn say(&mut self, folder: &Path, checkpoint: Option<u64>, last: bool) {
        if self.segments == 0 || (!last && self.said.is_some_and(|said| said.elapsed() < PAUSE)) {
            return;
        }
        let Announced { segments, rows, last: segment, .. } = std::mem::take(self);
        let folder = folder.display();
        tracing::info!(%folder, %segment, segments, rows, checkpoint, "published");
        self.said = Some(Instant::now());
    }
}
