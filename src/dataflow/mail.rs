//! Mail: one batch addressed to one shard. It is one record to the progress protocol, and moves between threads by pointer.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::Write;

use timely::Accountable;
use timely::communication::Push;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::{DistributorPact, Pipeline};
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Capability, Concatenate, InputCapability};
use timely::dataflow::{Scope, Stream};
use timely::progress::Stamp;

use crate::Epoch;
use crate::plan::Item;

/// A batch on its way from shard `src` to shard `dst`; empty once it was taken.
#[derive(Clone, Default)]
pub(crate) struct Mail {
    pub dst: usize,
    pub src: usize,
    /// Which of a node's inputs it comes in by.
    pub port: u32,
    pub batch: Option<Item>,
    /// The batch as it goes to another process.
    bytes: OnceCell<Vec<u8>>,
}

impl Mail {
    /// A batch from shard `src` for shard `dst`.
    pub fn new(src: usize, dst: usize, batch: Item) -> Mail {
        Mail { dst, src, batch: Some(batch), ..Mail::default() }
    }

    /// The batch as bytes, made once.
    fn encoded(&self) -> &[u8] {
        self.bytes.get_or_init(|| self.batch.as_ref().and_then(|batch| batch.bytes().ok()).unwrap_or_default())
    }
}

pub(crate) type MailStream<'scope> = Stream<'scope, Epoch, Mail>;

/// What an operator keeps until the frontier has passed an epoch: its capability, and (input and sender, batch) in order of arrival.
pub(crate) type Held = BTreeMap<Epoch, (Capability<Epoch>, Vec<((u32, usize), Item)>)>;

/// Operators send whole batches and build nothing.
pub(crate) type MailBuilder = NoopBuilder<Mail>;

/// Takes a batch in, to be kept until its epoch is closed.
pub(super) fn hold(held: &mut Held, capability: InputCapability<Epoch>, mail: &mut Mail) {
    if let (Some(batch), Some(capability)) = (mail.batch.take(), capability.retain_least(0)) {
        let (_, batches) = held.entry(*capability.time()).or_insert_with(|| (capability, Vec::new()));
        batches.push(((mail.port, mail.src), batch));
    }
}

impl Accountable for Mail {
    fn record_count(&self) -> i64 {
        i64::from(self.batch.is_some())
    }
}

/// Between processes: `dst`, `src`, `port`, the batch's length, its bytes, all little-endian, padded to eight bytes.
impl ContainerBytes for Mail {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let word = |i: usize| {
            bytes.get(8 * i..8 * (i + 1)).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes) as usize
        };
        let end = HEAD.checked_add(word(3)).unwrap_or(HEAD);
        let batch = bytes.get(HEAD..end).unwrap_or_default().to_vec();
        // What could not be written has come without bytes, and is no item: whoever takes it says so.
        Mail { port: word(2) as u32, ..Mail::new(word(1), word(0), Item::of_bytes(batch)) }
    }
    fn length_in_bytes(&self) -> usize {
        (HEAD + self.encoded().len()).next_multiple_of(8)
    }
    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let bytes = self.encoded();
        let head = [self.dst, self.src, self.port as usize, bytes.len()].map(|word| (word as u64).to_le_bytes());
        let padding = [0; 8];
        let padding = &padding[..bytes.len().next_multiple_of(8) - bytes.len()];
        // The writer is timely's buffer of exactly the length above, which takes it all.
        let _ = writer
            .write_all(head.as_flattened())
            .and_then(|()| writer.write_all(bytes))
            .and_then(|()| writer.write_all(padding));
    }
}

/// Bytes before a batch's own.
const HEAD: usize = 32;

/// Sends every batch to the shard on its address, or all of them to one shard.
pub(crate) struct Route(Option<usize>);

impl Distributor<Mail> for Route {
    fn partition<S: Clone, P: Push<Message<S, Mail>>>(&mut self, mail: &mut Mail, stamp: &Stamp<S>, pushers: &mut [P]) {
        let dst = self.0.unwrap_or(mail.dst) % pushers.len();
        Message::push_at(mail, stamp.clone(), &mut pushers[dst]);
    }
    fn flush<S: Clone, P: Push<Message<S, Mail>>>(&mut self, _: &Stamp<S>, _: &mut [P]) {}
}

/// The pact of every edge between stages.
pub(crate) fn by_address() -> DistributorPact<fn(usize) -> Route> {
    DistributorPact(|_| Route(None))
}

/// The streams that a node takes from as one; mail says by which it came.
pub(super) fn side_by_side<'scope>(
    scope: Scope<'scope, Epoch>,
    streams: Vec<MailStream<'scope>>,
) -> MailStream<'scope> {
    let marked = streams.into_iter().zip(0..).map(|(stream, port)| {
        stream.unary::<MailBuilder, _, _, _>(Pipeline, "input", move |_, _| {
            move |input, output| {
                input.for_each(|capability, mail| {
                    let mut marked = Mail { port, ..std::mem::take(mail) };
                    if let Some(capability) = capability.retain_least(0) {
                        output.session_with_builder(&capability).give_container(&mut marked);
                    }
                });
            }
        })
    });
    scope.concatenate(marked.collect::<Vec<_>>())
}

/// The pact in front of a sink, which stands on shard 0.
pub(crate) fn to_first() -> DistributorPact<fn(usize) -> Route> {
    DistributorPact(|_| Route(Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_back_from_its_bytes() {
        let values = vec![1.5f32, f32::NAN, 3.0];
        let mail = Mail { port: 2, ..Mail::new(3, 5, Item::new(values.clone(), None)) };
        let mut bytes = Vec::new();
        mail.into_bytes(&mut bytes);
        assert_eq!((bytes.len(), bytes.len() % 8), (mail.length_in_bytes(), 0));
        let back = Mail::from_bytes(timely::bytes::arc::BytesMut::from(bytes).freeze());
        assert_eq!((back.dst, back.src, back.port), (5, 3, 2));
        let found: Vec<f32> = back.batch.unwrap().take().unwrap();
        assert!(found.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn bytes_that_are_no_batch_are_an_error_of_whoever_takes_it() {
        let torn = Mail::from_bytes(timely::bytes::arc::BytesMut::from(vec![255; 24]).freeze());
        assert!(torn.batch.unwrap().take::<Vec<f32>>().is_err());
    }
}
