//! Mail: one batch addressed to one shard. It is one record to the progress protocol, and moves between threads by pointer.

use std::collections::BTreeMap;
use std::io::Write;

use timely::Accountable;
use timely::communication::Push;
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::dataflow::operators::Capability;
use timely::progress::Stamp;

use crate::Epoch;

/// A batch on its way from shard `src` to shard `dst`; empty once it was taken.
pub(crate) struct Mail<T> {
    pub dst: usize,
    pub src: usize,
    pub batch: Option<T>,
}

pub(crate) type MailStream<'scope, T> = Stream<'scope, Epoch, Mail<T>>;

/// What an operator keeps until the frontier has passed an epoch: its capability, and (sender, batch) in order of arrival.
pub(crate) type Held<T> = BTreeMap<Epoch, (Capability<Epoch>, Vec<(usize, T)>)>;

/// Operators send whole batches and build nothing.
pub(crate) type MailBuilder<T> = NoopBuilder<Mail<T>>;

impl<T> Default for Mail<T> {
    fn default() -> Self {
        Mail { dst: 0, src: 0, batch: None }
    }
}

impl<T> Accountable for Mail<T> {
    fn record_count(&self) -> i64 {
        i64::from(self.batch.is_some())
    }
}

/// Workers are threads of one process, whose allocator moves containers and never asks for their bytes. Under another allocator the first
/// batch ends the run: a panic, the one way to say so that this trait leaves, which the run reports as its error.
impl<T> ContainerBytes for Mail<T> {
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

impl<T> Distributor<Mail<T>> for Route {
    fn partition<S: Clone, P: Push<Message<S, Mail<T>>>>(
        &mut self,
        mail: &mut Mail<T>,
        stamp: &Stamp<S>,
        pushers: &mut [P],
    ) {
        let dst = self.0.unwrap_or(mail.dst) % pushers.len();
        Message::push_at(mail, stamp.clone(), &mut pushers[dst]);
    }
    fn flush<S: Clone, P: Push<Message<S, Mail<T>>>>(&mut self, _: &Stamp<S>, _: &mut [P]) {}
}

/// The pact of every edge between stages.
pub(crate) fn by_address() -> DistributorPact<fn(usize) -> Route> {
    DistributorPact(|_| Route(None))
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
        let mail = || Mail { dst: 0, src: 0, batch: Some(7) };
        let bytes = || timely::bytes::arc::BytesMut::from(Vec::new()).freeze();
        assert!(catch_unwind(|| mail().length_in_bytes()).is_err());
        assert!(catch_unwind(|| mail().into_bytes(&mut Vec::new())).is_err());
        assert!(catch_unwind(|| Mail::<u64>::from_bytes(bytes())).is_err());
    }
}
