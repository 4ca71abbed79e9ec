//! The contract of a sink: items in epoch order, then one publication.

use crate::{BoxError, Epoch};

/// A connector that writes. Runs on a thread of its own; while it is busy the dataflow, and so the source, waits.
///
/// A sink that is dropped before [`Sink::finish`] succeeded leaves nothing at its destination.
pub trait Sink<T>: Send {
    /// How messages call it: a path, a URI.
    fn name(&self) -> String;

    /// The file or folder that it publishes, where there is one. A plan with two sinks of one destination is refused.
    fn destination(&self) -> Option<&std::path::Path> {
        None
    }

    /// Takes one item; epochs come in ascending order.
    ///
    /// # Errors
    /// A destination that cannot be written; the run ends with it.
    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError>;

    /// Called every fifth of a second or so while no item comes, for what goes by the clock: a sink without end publishes by time. All epochs
    /// before `complete` have come, those without an item among them.
    ///
    /// # Errors
    /// A destination that cannot be written; the run ends with it.
    fn tick(&mut self, _complete: Epoch) -> Result<(), BoxError> {
        Ok(())
    }

    /// Publishes what was written (rename, manifest). Called once, after the last item.
    ///
    /// # Errors
    /// A destination that cannot be published.
    fn finish(&mut self) -> Result<(), BoxError>;
}

impl<T, S: Sink<T> + ?Sized> Sink<T> for Box<S> {
    fn name(&self) -> String {
        (**self).name()
    }
    fn destination(&self) -> Option<&std::path::Path> {
        (**self).destination()
    }
    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError> {
        (**self).write(epoch, item)
    }
    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError> {
        (**self).tick(complete)
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        (**self).finish()
    }
}

/// Keeps the items in memory: for tests and small programs.
///
/// The handle returned by [`Collect::items`] shows what has arrived.
#[derive(Clone, Debug)]
pub struct Collect<T>(std::sync::Arc<std::sync::Mutex<Vec<(Epoch, T)>>>);

impl<T> Default for Collect<T> {
    fn default() -> Self {
        Collect(std::sync::Arc::default())
    }
}

impl<T> Collect<T> {
    /// All items so far, taken out.
    pub fn items(&self) -> Vec<(Epoch, T)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl<T: Send> Sink<T> for Collect<T> {
    fn name(&self) -> String {
        "memory".into()
    }
    fn write(&mut self, epoch: Epoch, item: T) -> Result<(), BoxError> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((epoch, item));
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
