//! What the threads of a run share: the wish to stop, the first error, and how far the epochs have come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::{Epoch, Error};

/// How far the run has come: every epoch below `computed` has left the stages, every epoch below `written` the sink.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub computed: Epoch,
    pub written: Epoch,
}

#[derive(Debug, Default)]
pub(crate) struct Control {
    /// Set from outside: read no more, finish what was read.
    pub drain: Arc<AtomicBool>,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    progress: Mutex<Progress>,
    moved: Condvar,
}

/// Locks, whatever a panicking thread left: the run's first error is recorded beside it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Control {
    pub fn new(drain: Arc<AtomicBool>) -> Self {
        Control { drain, ..Control::default() }
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

    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    /// Moves the progress on; never back. True if it moved.
    pub fn advance(&self, computed: Option<Epoch>, written: Option<Epoch>) -> bool {
        let mut progress = lock(&self.progress);
        let before = *progress;
        progress.computed = before.computed.max(computed.unwrap_or(0));
        progress.written = before.written.max(written.unwrap_or(0));
        let moved = progress.computed != before.computed || progress.written != before.written;
        if moved {
            self.moved.notify_all();
        }
        moved
    }

    /// Waits until `enough` of the progress, or the run has failed. True if there is room.
    pub fn wait(&self, enough: impl Fn(Progress) -> bool) -> bool {
        let mut progress = lock(&self.progress);
        loop {
            if self.failed() {
                return false;
            }
            if enough(*progress) {
                return true;
            }
            progress = self
                .moved
                .wait_timeout(progress, Duration::from_millis(50))
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
                self.fail(Error::Panic { thread: thread(), message });
                None
            }
        }
    }
}
