//! Sources, stages and sinks of any type, as the dataflow sees them: pieces in, pieces out.
//!
//! The types of a plan are checked by [`Flow`](super::Flow). Below it every piece is a box, one a batch, so that the operators are compiled
//! once, and nodes of different types stand in one list.

use std::any::Any;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::portable::{self, Portable};
use crate::report::Stats;
use crate::source::Position;
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch, Next, Sink, Source};

/// Copies a piece of a known type.
pub(crate) type CopyItem = fn(&Item) -> Item;

/// One piece on its way.
pub(crate) struct Item {
    value: Value,
    copy: Option<CopyItem>,
}

/// A piece here, or the bytes of one that came from another process; whoever takes it knows its type.
enum Value {
    Here { value: Box<dyn Any + Send>, encode: Encode },
    Came(Vec<u8>),
}

/// Writes a piece of a known type as bytes.
type Encode = fn(&dyn Any) -> Result<Vec<u8>, BoxError>;

/// What cannot happen: [`super::Flow`] connects nodes of equal types only, and marks what is used twice.
const TYPED: &str = "a plan connects outputs to inputs of their type";
const MARKED: &str = "a flow is cloned before it is used twice";

impl Item {
    /// A piece; `copy` is needed where more than one node takes it.
    pub fn new<T: Portable>(value: T, copy: Option<CopyItem>) -> Item {
        let encode: Encode = |value| portable::encode::<T>(value.downcast_ref().expect(TYPED));
        Item { value: Value::Here { value: Box::new(value), encode }, copy }
    }

    /// A piece that came from another process.
    pub fn of_bytes(bytes: Vec<u8>) -> Item {
        Item { value: Value::Came(bytes), copy: None }
    }

    /// Its bytes, for another process.
    ///
    /// # Errors
    /// A value that serde cannot write.
    pub fn bytes(&self) -> Result<Vec<u8>, BoxError> {
        match &self.value {
            Value::Here { value, encode } => encode(&**value),
            Value::Came(bytes) => Ok(bytes.clone()),
        }
    }

    /// The piece itself.
    ///
    /// # Errors
    /// Bytes from another process that are no such piece.
    pub fn take<T: DeserializeOwned + 'static>(self) -> Result<T, BoxError> {
        match self.value {
            Value::Here { value, .. } => Ok(*value.downcast().expect(TYPED)),
            Value::Came(bytes) => portable::decode(&bytes),
        }
    }

    /// [`CopyItem`] for a type that can be cloned.
    pub fn copied<T: Clone + Portable>(item: &Item) -> Item {
        match &item.value {
            Value::Here { value, .. } => {
                let value: &T = value.downcast_ref().expect(TYPED);
                Item::new(value.clone(), item.copy)
            }
            Value::Came(bytes) => Item::of_bytes(bytes.clone()),
        }
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        match &self.value {
            Value::Here { .. } => self.copy.expect(MARKED)(self),
            Value::Came(bytes) => Item::of_bytes(bytes.clone()),
        }
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
    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError>;
    fn finish(&mut self) -> Result<(), BoxError>;
}

/// A sink of items of one type.
pub(super) struct Typed<T, K> {
    pub sink: K,
    pub items: std::marker::PhantomData<fn(T)>,
}

impl<T: DeserializeOwned + 'static, K: Sink<T>> AnySink for Typed<T, K> {
    fn name(&self) -> String {
        self.sink.name()
    }
    fn write(&mut self, epoch: Epoch, item: Item) -> Result<(), BoxError> {
        self.sink.write(epoch, item.take()?)
    }
    fn tick(&mut self, complete: Epoch) -> Result<(), BoxError> {
        self.sink.tick(complete)
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
    pub open: fn(u32, Item) -> Result<S::Input, BoxError>,
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
        let items = items.into_iter().map(|(port, item)| open(port, item)).collect::<Result<_, _>>()?;
        self.step(out, |stage, out| stage.step(epoch, 0, Inbox::Input(items), out))
    }

    fn exchange(
        &mut self,
        epoch: Epoch,
        phase: usize,
        mail: Vec<(usize, Item)>,
        out: &mut Sent,
    ) -> Result<(), BoxError> {
        let mail = mail.into_iter().map(|(src, item)| Ok((src, item.take()?))).collect::<Result<_, BoxError>>()?;
        self.step(out, |stage, out| stage.step(epoch, phase, Inbox::Exchange(mail), out))
    }

    fn end(&mut self, epoch: Epoch, out: &mut Sent) -> Result<(), BoxError> {
        self.step(out, |stage, out| stage.end(epoch, out))
    }
}

/// How a node's stage is made on a worker.
pub(crate) type MakeStage = dyn Fn(&Arc<Stats>, Option<CopyItem>) -> Box<dyn AnyStage> + Send + Sync;
