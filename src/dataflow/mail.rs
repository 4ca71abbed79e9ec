//! Mail: one batch addressed to one shard. It is one record to the progress protocol, and moves between threads by pointer.

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

/// Workers are threads of one process, whose allocator moves containers and never asks for their bytes. Under another allocator the first
/// batch ends the run: a panic, the one way to say so that this trait leaves, which the run reports as its error.
impl ContainerBytes for Mail {
    fn from_bytes(_: timely::bytes::arc::Bytes) -> Self {
        panic!("{NO_BYTES}")
    }
    fn length_in_bytes(&self) -> usize {
        panic!("{NO_BYTES}")
    }
    fn into_bytes<W: Write>(&self, _: &mut W) {
        panic!("{NO_BYTES}")
    }
}

const NO_BYTES: &str = "a batch between stages has no form in bytes: workers must be threads of one process";

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
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn mail_that_is_asked_for_its_bytes_does_not_arrive_empty() {
        let mail = || Mail { batch: Some(Item::new(7, None)), ..Mail::default() };
        let bytes = || timely::bytes::arc::BytesMut::from(Vec::new()).freeze();
        assert!(catch_unwind(|| mail().length_in_bytes()).is_err());
        assert!(catch_unwind(|| mail().into_bytes(&mut Vec::new())).is_err());
        assert!(catch_unwind(|| Mail::from_bytes(bytes())).is_err());
    }
}
