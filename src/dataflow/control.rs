//! What the threads of a run share: the wish to stop, the first error, and how far the epochs have come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::cluster::Told;
use crate::source::Position;
use crate::{Epoch, Error};

/// How far the run has come: every epoch below `computed` has left the stages, every epoch below `written` the sink.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub computed: Epoch,
    pub written: Epoch,
}

/// How timely's panic begins in a worker whose connection to another process is gone.
const GONE: &str = "MergeQueue";

#[derive(Debug, Default)]
pub(crate) struct Control {
    /// Set from outside: read no more, finish what was read.
    pub drain: Arc<AtomicBool>,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    progress: Mutex<Marks>,
    moved: Condvar,
}

/// What [`Control::wait`] waits for.
#[derive(Debug, Default)]
struct Marks {
    /// By sink, the epochs that have left the stages.
    computed: Vec<Epoch>,
    written: Epoch,
    /// How many epochs there are, once the sources have ended.
    epochs: Option<Epoch>,
    /// Sinks that may still have something to write, and other processes that may still have something to count.
    writing: usize,
    /// Where the items of the epochs stand that are under way.
    places: BTreeMap<Epoch, String>,
}

impl Marks {
    fn progress(&self) -> Progress {
        Progress { computed: self.computed.iter().copied().min().unwrap_or(0), written: self.written }
    }
}

/// Locks, whatever a panicking thread left: the run's first error is recorded beside it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Control {
    pub fn new(drain: Arc<AtomicBool>) -> Self {
        Control { drain, ..Control::default() }
    }

    /// Says how many sinks there are, and how many other processes, before the run begins.
    pub fn expect(&self, sinks: usize, others: usize) {
        let mut marks = lock(&self.progress);
        (marks.computed, marks.writing) = (vec![0; sinks], sinks + others);
    }

    /// The sources have ended after so many epochs.
    pub fn ended(&self, epochs: Epoch) {
        lock(&self.progress).epochs = Some(epochs);
    }

    /// Every epoch of the sources below this is closed, where an operator's frontier is at `open` or has passed the last epoch.
    pub fn closed(&self, open: Option<Epoch>) -> Epoch {
        let epochs = lock(&self.progress).epochs;
        open.or(epochs).unwrap_or(0).min(epochs.unwrap_or(Epoch::MAX))
    }

    /// An item of the epoch stands here in its source.
    pub fn stands(&self, epoch: Epoch, position: &Position) {
        let mut marks = lock(&self.progress);
        let place = marks.places.entry(epoch).or_default();
        place.push_str(if place.is_empty() { "" } else { ", " });
        place.push_str(&position.to_string());
    }

    /// The items of the epoch stand here, as the leader says.
    pub fn stand_at(&self, epoch: Epoch, place: String) {
        lock(&self.progress).places.insert(epoch, place);
    }

    /// Where the items of an epoch stand; empty where no source said so.
    pub fn place(&self, epoch: Epoch) -> String {
        lock(&self.progress).places.get(&epoch).cloned().unwrap_or_default()
    }

    /// A sink has written all, or another process has counted all.
    pub fn one_done(&self) {
        let mut marks = lock(&self.progress);
        marks.writing = marks.writing.saturating_sub(1);
        self.moved.notify_all();
    }

    /// A sink has written all; true once all sinks have, and other processes have counted, false if the run fails before that.
    pub fn all_written(&self) -> bool {
        self.one_done();
        self.wait_for(|marks| marks.writing == 0)
    }

    pub fn draining(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    /// Ends the run; the first error is the one reported.
    pub fn fail(&self, error: Error) {
        lock(&self.error).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
        self.moved.notify_all();
    }

    /// Ends the run with this error unless a better one comes within a second: of whoever sees which other process has gone.
    pub fn fail_late(&self, error: Error) {
        let until = Instant::now() + Duration::from_secs(1);
        while !self.failed() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.fail(error);
    }

    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The error, as another process is told of it.
    pub fn told(&self) -> Option<Told> {
        lock(&self.error).as_ref().map(Told::of)
    }

    pub fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    /// Every epoch below this has left the stages before a sink.
    pub fn computed(&self, sink: usize, epoch: Epoch) {
        let mut marks = lock(&self.progress);
        if let Some(computed) = marks.computed.get_mut(sink).filter(|computed| **computed < epoch) {
            *computed = epoch;
            self.moved.notify_all();
        }
    }

    /// Every epoch below the answer has left the stages before a sink.
    pub fn computed_before(&self, sink: usize) -> Epoch {
        lock(&self.progress).computed.get(sink).copied().unwrap_or(0)
    }

    /// Every epoch below this has left all sinks. True if that is more than before.
    pub fn written(&self, epoch: Epoch) -> bool {
        let mut marks = lock(&self.progress);
        let moved = marks.written < epoch;
        if moved {
            marks.written = epoch;
            marks.places = marks.places.split_off(&epoch);
            self.moved.notify_all();
        }
        moved
    }

    /// Waits until `enough` of the progress, or the run has failed. True if there is room.
    pub fn wait(&self, enough: impl Fn(Progress) -> bool) -> bool {
        self.wait_for(|marks| enough(marks.progress()))
    }

    fn wait_for(&self, enough: impl Fn(&Marks) -> bool) -> bool {
        let mut marks = lock(&self.progress);
        loop {
            if self.failed() {
                return false;
            }
            if enough(&marks) {
                return true;
            }
            marks = self
                .moved
                .wait_timeout(marks, Duration::from_millis(50))
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
    }

    /// Runs `body`, turning a panic into the run's error.
    pub fn guard<T>(&self, thread: impl FnOnce() -> String, body: impl FnOnce() -> T) -> Option<T> {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
            Ok(value) => Some(value),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                    .unwrap_or_else(|| "no message".into());
                let error = Error::Panic { thread: thread(), message };
                if matches!(&error, Error::Panic { message, .. } if message.starts_with(GONE)) {
                    self.fail_late(error);
                } else {
                    self.fail(error);
                }
                None
            }
        }
    }
}
