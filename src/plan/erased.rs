//! Sources, stages and sinks of any type, as the dataflow sees them: pieces in, pieces out.
//!
//! The types of a plan are checked by [`Flow`](super::Flow). Below it every piece is a box, one a batch, so that the operators are compiled
//! once, and nodes of different types stand in one list.

use std::any::Any;
use std::sync::Arc;

use crate::report::Stats;
use crate::source::Position;
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch, Next, Sink, Source};

/// Copies a piece of a known type.
pub(crate) type CopyItem = fn(&Item) -> Item;

/// One piece on its way.
pub(crate) struct Item {
    value: Box<dyn Any + Send>,
    copy: Option<CopyItem>,
}

/// What cannot happen: [`super::Flow`] connects nodes of equal types only, and marks what is used twice.
const TYPED: &str = "a plan connects outputs to inputs of their type";
const MARKED: &str = "a flow is cloned before it is used twice";

impl Item {
    /// A piece; `copy` is needed where more than one node takes it.
    pub fn new<T: Send + 'static>(value: T, copy: Option<CopyItem>) -> Item {
        Item { value: Box::new(value), copy }
    }

    /// The piece itself.
    pub fn take<T: 'static>(self) -> T {
        *self.value.downcast().expect(TYPED)
    }

    /// [`CopyItem`] for a type that can be cloned.
    pub fn copied<T: Clone + Send + 'static>(item: &Item) -> Item {
        let value: &T = item.value.downcast_ref().expect(TYPED);
        Item { value: Box::new(value.clone()), copy: item.copy }
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        self.copy.expect(MARKED)(self)
    }
}

/// A source.
pub(crate) trait AnySource: Send {
    fn name(&self) -> String;
    fn next(&mut self, copy: Option<CopyItem>) -> Result<Next<(Item, Option<i64>)>, BoxError>;
    fn reached(&self) -> Option<i64>;
    fn position(&self) -> Option<Position>;
    fn drain(&mut self) -> bool;
}

impl<S: Source> AnySource for S {
    fn name(&self) -> String {
        Source::name(self)
    }

    fn next(&mut self, copy: Option<CopyItem>) -> Result<Next<(Item, Option<i64>)>, BoxError> {
        Ok(match Source::next(self)? {
            Next::Item(item) => {
                // Whoever made a torn frame is named; items of other types are as their stages want them.
                if let Some(frame) = (&item as &dyn Any).downcast_ref::<crate::Frame>() {
                    frame.check()?;
                }
                let time = self.time(&item);
                Next::Item((Item::new(item, copy), time))
            }
            Next::Idle => Next::Idle,
            Next::End => Next::End,
        })
    }

    fn reached(&self) -> Option<i64> {
        Source::reached(self)
    }

    fn position(&self) -> Option<Position> {
        Source::position(self)
    }

    fn drain(&mut self) -> bool {
        Source::drain(self)
    }
}

/// A sink.
pub(crate) trait AnySink: Send {
    fn name(&self) -> String;
    fn write(&mut self, epoch: Epoch, item: Item) -> Result<(), BoxError>;
    fn tick(&mut self) -> Result<(), BoxError>;
    fn finish(&mut self) -> Result<(), BoxError>;
}

/// A sink of items of one type.
pub(super) struct Typed<T, K> {
    pub sink: K,
    pub items: std::marker::PhantomData<fn(T)>,
}

impl<T: 'static, K: Sink<T>> AnySink for Typed<T, K> {
    fn name(&self) -> String {
        self.sink.name()
    }
    fn write(&mut self, epoch: Epoch, item: Item) -> Result<(), BoxError> {
        self.sink.write(epoch, item.take())
    }
    fn tick(&mut self) -> Result<(), BoxError> {
        self.sink.tick()
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        self.sink.finish()
    }
}

/// What a stage hands on: letters to shards, and output.
pub(crate) type Sent = Outbox<Item, Item>;

/// A stage on one shard.
pub(crate) trait AnyStage {
    fn name(&self) -> &'static str;
    fn phases(&self) -> usize;
    fn every_epoch(&self) -> bool;
    /// Phase 0: (input of the node, piece).
    fn input(&mut self, epoch: Epoch, items: Vec<(u32, Item)>, out: &mut Sent) -> Result<(), BoxError>;
    /// A later phase: (sender, message).
    fn exchange(
        &mut self,
        epoch: Epoch,
        phase: usize,
        mail: Vec<(usize, Item)>,
        out: &mut Sent,
    ) -> Result<(), BoxError>;
    fn end(&mut self, epoch: Epoch, out: &mut Sent) -> Result<(), BoxError>;
}

/// A stage with how the pieces of the node's inputs become its own.
pub(super) struct Erased<S: Stage> {
    pub stage: S,
    pub open: fn(u32, Item) -> S::Input,
    pub copy: Option<CopyItem>,
}

impl<S: Stage> Erased<S> {
    fn step(
        &mut self,
        sent: &mut Sent,
        step: impl FnOnce(&mut S, &mut Outbox<S::Exchange, S::Output>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let mut out = Outbox::new(sent.shard(), sent.shards());
        step(&mut self.stage, &mut out)?;
        sent.letters.extend(out.letters.into_iter().map(|(dst, letter)| (dst, Item::new(letter, None))));
        sent.output.extend(out.output.into_iter().map(|(dst, output)| (dst, Item::new(output, self.copy))));
        Ok(())
    }
}

impl<S: Stage> AnyStage for Erased<S> {
    fn name(&self) -> &'static str {
        self.stage.name()
    }

    fn phases(&self) -> usize {
        self.stage.phases()
    }

    fn every_epoch(&self) -> bool {
        self.stage.every_epoch()
    }

    fn input(&mut self, epoch: Epoch, items: Vec<(u32, Item)>, out: &mut Sent) -> Result<(), BoxError> {
        let open = self.open;
        let items = items.into_iter().map(|(port, item)| open(port, item)).collect();
        self.step(out, |stage, out| stage.step(epoch, 0, Inbox::Input(items), out))
    }

    fn exchange(
        &mut self,
        epoch: Epoch,
        phase: usize,
        mail: Vec<(usize, Item)>,
        out: &mut Sent,
    ) -> Result<(), BoxError> {
        let mail = mail.into_iter().map(|(src, item)| (src, item.take())).collect();
        self.step(out, |stage, out| stage.step(epoch, phase, Inbox::Exchange(mail), out))
    }

    fn end(&mut self, epoch: Epoch, out: &mut Sent) -> Result<(), BoxError> {
        self.step(out, |stage, out| stage.end(epoch, out))
    }
}

/// How a node's stage is made on a worker.
pub(crate) type MakeStage = dyn Fn(&Arc<Stats>, Option<CopyItem>) -> Box<dyn AnyStage> + Send + Sync;
