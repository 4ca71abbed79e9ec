//! Where a source meets the workers: its thread reads ahead only as far as there is room, and hands whole items out in turn.
//!
//! Epoch `e` goes to worker `e mod workers` through a bounded channel. Each worker's operator holds a capability for the
//! next epoch that can be its own, so the frontier moves as items come, and closes when the thread drops its senders.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::source;
use timely::scheduling::SyncActivator;

use super::Control;
use super::control::lock;
use super::mail::{Mail, MailBuilder, MailStream};
use crate::{BoxError, Epoch, Error, Frame, Next, Source};

/// How long a source that has nothing is left alone.
const IDLE: Duration = Duration::from_millis(2);

/// What a source delivered, and when it was asked for.
pub(crate) struct Arrival<T> {
    pub item: T,
    pub at: Instant,
}

/// The activators of the source operators, one a worker, filled as the workers build their dataflow.
pub(crate) type Wakers = Arc<Mutex<Vec<Option<SyncActivator>>>>;

/// The operator on one worker.
pub(crate) fn ingest<'scope, T: Send + 'static>(
    scope: Scope<'scope, Epoch>,
    receiver: Receiver<(Epoch, Arrival<T>)>,
    wakers: &Wakers,
) -> MailStream<'scope, Arrival<T>> {
    let (shard, shards) = (scope.index(), scope.peers());
    let wakers = Arc::clone(wakers);
    source::<_, MailBuilder<Arrival<T>>, _, _>(scope, "source", move |capability, info| {
        let waker = scope.worker().sync_activator_for(info.address.to_vec());
        lock(&wakers)[shard] = Some(waker);
        let mut capability = Some(capability);
        if let Some(capability) = capability.as_mut() {
            capability.downgrade(&(shard as Epoch));
        }
        move |output| {
            while let Some(held) = capability.as_mut() {
                match receiver.try_recv() {
                    Ok((epoch, arrival)) => {
                        held.downgrade(&epoch);
                        output.session_with_builder(&*held).give_container(&mut Mail {
                            dst: shard,
                            src: shard,
                            batch: Some(arrival),
                        });
                        held.downgrade(&(epoch + shards as Epoch));
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => capability = None,
                }
            }
        }
    })
}

fn wake(wakers: &Wakers, shard: usize) {
    if let Some(waker) = &lock(wakers)[shard] {
        // An activation fails only when the worker has gone, and then nobody is left to wake.
        let _ = waker.activate();
    }
}

/// Holds a frame to what every stage relies on, so that whoever made a torn one is named; items of other types are as their stages want them.
fn sound<T: 'static>(next: Next<T>) -> Result<Next<T>, BoxError> {
    if let Next::Item(item) = &next
        && let Some(frame) = (item as &dyn Any).downcast_ref::<Frame>()
    {
        frame.check()?;
    }
    Ok(next)
}

/// The body of the source's thread: reads while there is room, until the end, an error, or the wish to drain.
pub(crate) fn pump<S: Source>(
    mut source: S,
    senders: Vec<Sender<(Epoch, Arrival<S::Item>)>>,
    wakers: &Wakers,
    control: &Control,
) {
    let shards = senders.len();
    let workers = shards as Epoch;
    let mut epoch: Epoch = 0;
    // As many epochs in the stages as there are workers, and as many again on the way to the sink.
    let mut draining = false;
    while control.wait(|p| epoch < p.computed + workers && epoch < p.written + 2 * workers + 1) {
        if control.draining() && !std::mem::replace(&mut draining, true) && !source.drain() {
            break;
        }
        let at = Instant::now();
        match source.next().and_then(sound) {
            Ok(Next::Item(item)) => {
                let shard = (epoch % workers) as usize;
                if senders[shard].send((epoch, Arrival { item, at })).is_err() {
                    break;
                }
                wake(wakers, shard);
                epoch += 1;
            }
            Ok(Next::Idle) => std::thread::sleep(IDLE),
            Ok(Next::End) => break,
            Err(error) => {
                control.fail(Error::Source { name: source.name(), error });
                break;
            }
        }
    }
    drop(senders);
    (0..shards).for_each(|shard| wake(wakers, shard));
}
