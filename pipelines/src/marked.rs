//! Sources whose items carry marks: where each stands, and where a run that goes on behind it must begin.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg::source::Position;
use thalweg::{BoxError, Next, Source};
use thalweg_connectors::Notices;
use thalweg_connectors::out::die::die_at;
use thalweg_connectors::out::durable::{Mark, Marks};

use crate::quarantine::Quarantine;
use crate::written::Read;

/// A source that tells the sink where its items stand.
pub struct Marked<S> {
    pub(crate) source: S,
    pub(crate) marks: Option<Marks>,
    /// Frames that stages retain behind the one that they work on.
    pub(crate) retained: usize,
    /// Positions behind the last items, as many as are retained and one more.
    pub(crate) recent: VecDeque<Position>,
    /// Where this run began.
    pub(crate) restart: Position,
    /// The position that a run before this one had.
    pub(crate) before: Position,
    /// The number of items up to which they are read again.
    pub(crate) goal: Option<u64>,
    /// How long the source may find nothing before it has come to `before`, and since when it finds nothing.
    pub(crate) patience: Option<Duration>,
    pub(crate) since: Option<Instant>,
    /// Set where the run is asked to end.
    pub(crate) stop: Arc<AtomicBool>,
    /// Items that are left out because they kill.
    pub(crate) quarantine: Option<(Quarantine, Notices)>,
    /// Whether a run can go on behind any item.
    pub(crate) finals: bool,
}

impl<S: Source<Item: Read>> Marked<S> {
    /// The source has nothing: an error if it is not where the run before this one was, and ends, or has found nothing for long.
    fn lacks(&mut self, end: bool) -> Result<(), BoxError> {
        let found = self.source.position().map_or(0, |position| position.items);
        if found >= self.before.items || self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let since = self.since.get_or_insert_with(Instant::now).elapsed();
        if !end && self.patience.is_none_or(|patience| since < patience) {
            return Ok(());
        }
        let (goal, last) = (self.before.items, &self.before);
        let what = if end { "an end" } else { "nothing more" };
        let expected = format!("the {goal} that the run before this one had read, up to {last}: put the input back");
        Err(format!("found {what} after {found} items, expected {expected}").into())
    }
}

impl<S: Source<Item: Read>> Source for Marked<S> {
    type Item = S::Item;

    fn name(&self) -> String {
        self.source.name()
    }

    fn total(&self) -> Option<u64> {
        self.source.total()
    }

    fn drain(&mut self) -> bool {
        self.source.drain()
    }

    fn time(&self, item: &S::Item) -> Option<i64> {
        self.source.time(item)
    }

    fn reached(&self) -> Option<i64> {
        self.source.reached()
    }

    fn position(&self) -> Option<Position> {
        self.source.position()
    }

    fn next(&mut self) -> Result<Next<S::Item>, BoxError> {
        if let (Some((quarantine, _)), Some(marks)) = (&self.quarantine, &self.marks)
            && quarantine.careful()
            && !marks.all_written()
        {
            return Ok(Next::Idle);
        }
        let mut next = self.source.next()?;
        let Some(marks) = &self.marks else { return Ok(next) };
        match &mut next {
            Next::Item(item) => {
                self.since = None;
                if self.goal.is_some() {
                    item.again();
                }
                let position = self.source.position().ok_or("found a source without positions, expected one with")?;
                if let Some((quarantine, notices)) = &self.quarantine
                    && quarantine.leaves_out(&position, notices)?
                {
                    return Ok(Next::Idle);
                }
                die_at(&format!("item {}", position.items));
                self.recent.push_back(position.clone());
                if self.recent.len() > self.retained + 1 {
                    self.recent.pop_front();
                }
                let enough = self.recent.len() > self.retained;
                let restart = self.recent.front().filter(|_| enough).unwrap_or(&self.restart).clone();
                // The sink must know before the item is on its way.
                if self.goal.is_some_and(|goal| position.items >= goal) {
                    position.check(&self.before)?;
                    self.goal = None;
                    marks.again_until(marks.count() + 1);
                }
                marks.push(Mark { position, restart, whole: item.whole() || self.finals });
            }
            Next::End => self.lacks(true)?,
            Next::Idle => self.lacks(false)?,
        }
        Ok(next)
    }
}
