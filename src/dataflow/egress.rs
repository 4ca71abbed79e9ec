//! Where the workers meet a sink: one operator puts epochs in order and hands them to the sink's thread without ever blocking.
//!
//! The operator tries to send; while the sink is busy it keeps batch and capability. A capability is dropped when the
//! sink has acknowledged the epoch, so a probe behind the operator sees what was written, not what was computed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::SyncActivator;

use super::Control;
use super::mail::{Held, MailBuilder, MailStream, hold, to_first};
use crate::plan::{AnySink, Item};
use crate::report::Stats;
use crate::{Epoch, Error};

/// How long a sink waits for an item before it is told that time has passed.
const TICK: Duration = Duration::from_millis(200);

/// What a sink's thread gets.
pub(crate) enum Order {
    /// Whom to wake after each epoch.
    Waker(SyncActivator),
    /// One epoch's items.
    Epoch(Epoch, Vec<Item>),
}

/// One end of a sink's channel.
pub(crate) struct Door {
    /// Which of the run's sinks it is.
    pub sink: usize,
    /// Orders for its thread; on shard 0 alone.
    pub sender: Option<Sender<Order>>,
    /// Every epoch below this is written.
    pub acknowledged: Arc<AtomicU64>,
}

/// The operator in front of a sink; it works on shard 0, where the sink is.
pub(crate) fn egress<'scope>(stream: MailStream<'scope>, door: Door, control: &Arc<Control>) -> MailStream<'scope> {
    let scope = stream.scope();
    let control = Arc::clone(control);
    stream.unary_frontier::<MailBuilder, _, _, _>(to_first(), "sink", move |_, info| {
        let Door { sink: number, mut sender, acknowledged } = door;
        let waker = scope.worker().sync_activator_for(info.address.to_vec());
        if let Some(sender) = &sender {
            // The thread outlives the operator unless the run has failed, which others see.
            let _ = sender.send(Order::Waker(waker));
        }
        let mut held: Held = Held::new();
        let mut writing: VecDeque<Capability<Epoch>> = VecDeque::new();
        move |(input, frontier), _| {
            input.for_each(|capability, mail| hold(&mut held, capability, mail));
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
                        held.insert(epoch, (capability, items.into_iter().map(|item| ((0, 0), item)).collect()));
                        break;
                    }
                    Err(_) => break,
                }
            }
            let open = frontier.frontier().first().copied().unwrap_or(Epoch::MAX);
            let computed = held.first_key_value().map_or(open, |(epoch, _)| open.min(*epoch));
            control.computed(number, computed);
            if open == Epoch::MAX && held.is_empty() {
                sender = None;
            }
        }
    })
}

/// The body of a sink's thread: writes epochs as they come, passes the time while none comes, publishes after the last unless the run has
/// failed.
pub(crate) fn drain(
    number: usize,
    mut sink: Box<dyn AnySink>,
    receiver: Receiver<Order>,
    acknowledged: &AtomicU64,
    control: &Control,
    stats: &Stats,
) {
    let mut waker = None;
    loop {
        let mut order = receiver.recv_timeout(TICK);
        let mut complete = 0;
        if matches!(order, Err(RecvTimeoutError::Timeout)) {
            // Asked before the channel is looked into again: what has left the stages by then is in it, or written.
            complete = control.computed_before(number);
            order = match receiver.try_recv() {
                Ok(order) => Ok(order),
                Err(TryRecvError::Empty) => Err(RecvTimeoutError::Timeout),
                Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            };
        }
        match order {
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
                if let Err(error) = sink.tick(complete) {
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
    // No sink publishes before all have written.
    if !control.all_written() {
        return;
    }
    if let Err(error) = sink.finish() {
        control.fail(Error::Sink { name: sink.name(), error });
    }
}
