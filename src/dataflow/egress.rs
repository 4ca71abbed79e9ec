//! Where the workers meet a sink: one operator puts epochs in order and hands them to the sink's thread without ever blocking.
//!
//! The operator tries to send; while the sink is busy it keeps batch and capability. A capability is dropped when the
//! sink has acknowledged the epoch, so a probe behind the operator sees what was written, not what was computed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::SyncActivator;

use super::Control;
use super::mail::{Held, MailBuilder, MailStream, to_first};
use crate::report::Stats;
use crate::{Epoch, Error, Sink};

/// How long a sink waits for an item before it is told that time has passed.
const TICK: Duration = Duration::from_millis(200);

/// What a sink's thread gets.
pub(crate) enum Order<T> {
    /// Whom to wake after each epoch.
    Waker(SyncActivator),
    /// One epoch's items.
    Epoch(Epoch, Vec<T>),
}

/// The operator in front of the sink; it works on shard 0, where the sink is.
pub(crate) fn egress<'scope, T: Send + 'static>(
    stream: MailStream<'scope, T>,
    sender: Option<Sender<Order<T>>>,
    acknowledged: &Arc<AtomicU64>,
    control: &Arc<Control>,
) -> MailStream<'scope, ()> {
    let scope = stream.scope();
    let (acknowledged, control) = (Arc::clone(acknowledged), Arc::clone(control));
    stream.unary_frontier::<MailBuilder<()>, _, _, _>(to_first(), "sink", move |_, info| {
        let mut sender = sender;
        let waker = scope.worker().sync_activator_for(info.address.to_vec());
        if let Some(sender) = &sender {
            // The thread outlives the operator unless the run has failed, which others see.
            let _ = sender.send(Order::Waker(waker));
        }
        let mut held: Held<T> = Held::new();
        let mut writing: VecDeque<Capability<Epoch>> = VecDeque::new();
        move |(input, frontier), _| {
            input.for_each(|capability, mail| {
                if let (Some(item), Some(capability)) = (mail.batch.take(), capability.retain_least(0)) {
                    held.entry(*capability.time()).or_insert_with(|| (capability, Vec::new())).1.push((mail.src, item));
                }
            });
            let written = acknowledged.load(Ordering::Acquire);
            while writing.front().is_some_and(|capability| *capability.time() < written) {
                writing.pop_front();
            }
            let Some(sink) = &sender else { return };
            while let Some(entry) = held.first_entry() {
                let epoch = *entry.key();
                if frontier.less_equal(&epoch) || control.failed() {
                    break;
                }
                let (capability, mut items) = entry.remove();
                items.sort_by_key(|(src, _)| *src);
                let items = items.into_iter().map(|(_, item)| item).collect();
                match sink.try_send(Order::Epoch(epoch, items)) {
                    Ok(()) => writing.push_back(capability),
                    Err(TrySendError::Full(Order::Epoch(epoch, items))) => {
                        held.insert(epoch, (capability, items.into_iter().map(|item| (0, item)).collect()));
                        break;
                    }
                    Err(_) => break,
                }
            }
            let open = frontier.frontier().first().copied().unwrap_or(Epoch::MAX);
            let computed = held.first_key_value().map_or(open, |(epoch, _)| open.min(*epoch));
            control.advance(Some(computed), None);
            if open == Epoch::MAX && held.is_empty() {
                sender = None;
            }
        }
    })
}

/// The body of the sink's thread: writes epochs as they come, passes the time while none comes, publishes after the last unless the run has failed.
pub(crate) fn drain<T, S: Sink<T>>(
    mut sink: S,
    receiver: Receiver<Order<T>>,
    acknowledged: &AtomicU64,
    control: &Control,
    stats: &Stats,
) {
    let mut waker = None;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Order::Waker(found)) => waker = Some(found),
            Ok(Order::Epoch(epoch, items)) => {
                stats.handed_over(epoch, Instant::now());
                let written = stats.time("output", || items.into_iter().try_for_each(|item| sink.write(epoch, item)));
                if let Err(error) = written {
                    return control.fail(Error::Sink { name: sink.name(), error });
                }
                acknowledged.store(epoch + 1, Ordering::Release);
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = sink.tick() {
                    return control.fail(Error::Sink { name: sink.name(), error });
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(waker) = &waker {
            // A failed activation means that the worker has gone, and nobody waits for the acknowledgement.
            let _ = waker.activate();
        }
    }
    if control.failed() {
        return;
    }
    if let Err(error) = sink.finish() {
        control.fail(Error::Sink { name: sink.name(), error });
    }
}
