//! The contract of a source: an iterator over items that may have nothing yet.

use crate::BoxError;

/// What a source has to say when asked for more.
#[derive(Debug)]
pub enum Next<T> {
    /// One item: it becomes one epoch.
    Item(T),
    /// Nothing yet: ask again a little later (a growing file, a live sensor).
    Idle,
    /// Nothing any more.
    End,
}

/// A connector that reads. Runs on a thread of its own, and is asked again only when the dataflow has room.
///
/// ```
/// use thalweg::{BoxError, Frame, Next, Source};
///
/// /// Three empty frames.
/// struct Blank(i64);
///
/// impl Source for Blank {
///     type Item = Frame;
///     fn name(&self) -> String {
///         "blank".into()
///     }
///     fn next(&mut self) -> Result<Next<Frame>, BoxError> {
///         self.0 += 1;
///         Ok(if self.0 > 3 { Next::End } else { Next::Item(Frame { id: self.0 - 1, ..Frame::default() }) })
///     }
/// }
/// assert!(matches!(Blank(0).next(), Ok(Next::Item(Frame { id: 0, .. }))));
/// ```
pub trait Source: Send {
    /// What the source delivers, one an epoch.
    type Item: Send + 'static;

    /// How messages call it: a path, a URI.
    fn name(&self) -> String;

    /// The next item. Must not block for longer than about 0.1 s: return [`Next::Idle`] instead.
    ///
    /// # Errors
    /// An unreadable input; the run ends with it.
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError>;

    /// The run was asked to read no more (a signal). True if something in hand is still to be had: the source is then asked on, hands it
    /// out, and says [`Next::End`] within about a second.
    fn drain(&mut self) -> bool {
        false
    }

    /// When an item happened (ns), where the source knows. Times of a source do not go back: one that does counts as the latest before it.
    fn time(&self, _: &Self::Item) -> Option<i64> {
        None
    }

    /// How far a source that has nothing at present has come: no item will be earlier than this (ns). Other sources of the pipeline need not
    /// wait for it until then.
    fn reached(&self) -> Option<i64> {
        None
    }

    /// How many items there are in all, where that is known before they are read: for those who watch.
    fn total(&self) -> Option<u64> {
        None
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    type Item = S::Item;
    fn name(&self) -> String {
        (**self).name()
    }
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError> {
        (**self).next()
    }
    fn drain(&mut self) -> bool {
        (**self).drain()
    }
    fn total(&self) -> Option<u64> {
        (**self).total()
    }
    fn time(&self, item: &Self::Item) -> Option<i64> {
        (**self).time(item)
    }
    fn reached(&self) -> Option<i64> {
        (**self).reached()
    }
}
