//! Where sources meet the workers: a thread reads ahead only as far as there is room, gives each item an epoch, and deals epochs out in turn.
//!
//! Epoch `e` goes to worker `e mod workers` through a bounded channel a source. Each worker's operator holds a capability for the
//! next epoch that can be its own, so the frontier moves as items come, and closes when the thread drops its senders.
//!
//! Epochs of several sources follow event time. The next epoch holds, of the first items of all sources, those of the least time; so the
//! thread waits until every source has shown its next item, has ended, or has said that it has come beyond that time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::source;
use timely::scheduling::SyncActivator;

use super::Control;
use super::control::lock;
use super::mail::{Mail, MailBuilder, MailStream};
use crate::plan::{AnySource, CopyItem, Item};
use crate::report::Stats;
use crate::source::Position;
use crate::{Epoch, Error, Next};

/// How long sources that have nothing are left alone.
const IDLE: Duration = Duration::from_millis(2);

/// What the thread tells an operator: an item of an epoch with the moment when it was asked for, or that the epoch has none.
pub(crate) type Arrival = (Epoch, Option<(Item, Instant)>);

/// The activators of the source operators, one a worker and source, filled as the workers build their dataflow.
pub(crate) type Wakers = Arc<Mutex<Vec<Vec<SyncActivator>>>>;

/// The operator of one source on one worker.
pub(crate) fn ingest<'scope>(
    scope: Scope<'scope, Epoch>,
    name: &str,
    receiver: Receiver<Arrival>,
    wakers: &Wakers,
    stats: &Arc<Stats>,
) -> MailStream<'scope> {
    let (shard, shards) = (scope.index(), scope.peers());
    let (wakers, stats) = (Arc::clone(wakers), Arc::clone(stats));
    source::<_, MailBuilder, _, _>(scope, name, move |capability, info| {
        let waker = scope.worker().sync_activator_for(info.address.to_vec());
        lock(&wakers)[shard].push(waker);
        let mut capability = Some(capability);
        if let Some(capability) = capability.as_mut() {
            capability.downgrade(&(shard as Epoch));
        }
        move |output| {
            while let Some(held) = capability.as_mut() {
                match receiver.try_recv() {
                    Ok((epoch, arrival)) => {
                        if let Some((item, at)) = arrival {
                            stats.arrived(epoch, at);
                            held.downgrade(&epoch);
                            let mut mail = Mail { dst: shard, src: shard, port: 0, batch: Some(item) };
                            output.session_with_builder(&*held).give_container(&mut mail);
                        }
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
    for waker in &lock(wakers)[shard] {
        // An activation fails only when the worker has gone, and then nobody is left to wake.
        let _ = waker.activate();
    }
}

/// A source with its next item.
pub(crate) struct Reader {
    source: Box<dyn AnySource>,
    copy: Option<CopyItem>,
    head: Option<Head>,
    ended: bool,
    /// The time of the last item.
    last: Option<i64>,
    /// Items handed out, and whether they have times.
    items: i64,
    timed: Option<bool>,
}

struct Head {
    item: Item,
    at: Instant,
    /// Its event time (ns), or its position where the source gives no times.
    time: i64,
    /// Where it stands, for messages.
    position: Option<Position>,
}

impl Reader {
    pub fn new(source: Box<dyn AnySource>, copy: Option<CopyItem>) -> Reader {
        Reader { source, copy, head: None, ended: false, last: None, items: 0, timed: None }
    }

    /// Looks for the next item where none is at hand. False if there is nothing at present.
    fn look(&mut self) -> Result<bool, Error> {
        if self.head.is_some() || self.ended {
            return Ok(true);
        }
        let at = Instant::now();
        match self.source.next(self.copy) {
            Ok(Next::Item((item, time))) => {
                self.timed.get_or_insert(time.is_some());
                let time = time.unwrap_or(if self.timed == Some(true) { i64::MIN } else { self.items });
                let time = self.last.map_or(time, |last| last.max(time));
                (self.last, self.items) = (Some(time), self.items + 1);
                self.head = Some(Head { item, at, time, position: self.source.position() });
                Ok(true)
            }
            Ok(Next::Idle) => Ok(false),
            Ok(Next::End) => {
                self.ended = true;
                Ok(true)
            }
            Err(error) => Err(Error::Source { name: self.source.name(), error }),
        }
    }

    /// True if an item of this time can be handed out as far as this source is concerned.
    fn beyond(&self, time: i64) -> bool {
        self.head.is_some() || self.ended || self.source.reached().is_some_and(|reached| reached > time)
    }
}

/// The time of the next epoch; `None` if it cannot be known at present.
fn next_time(readers: &mut [Reader]) -> Result<Option<i64>, Error> {
    for reader in readers.iter_mut() {
        reader.look()?;
    }
    let timed: Vec<&Reader> = readers.iter().filter(|reader| reader.timed.is_some()).collect();
    if let [first, rest @ ..] = timed.as_slice()
        && let Some(other) = rest.iter().find(|reader| reader.timed != first.timed)
    {
        let (with, without) = if first.timed == Some(true) { (first, other) } else { (other, first) };
        let (with, without) = (with.source.name(), without.source.name());
        let error = format!("found items without event times, expected times as {with} has them").into();
        return Err(Error::Source { name: without, error });
    }
    let Some(time) = readers.iter().filter_map(|reader| reader.head.as_ref()).map(|head| head.time).min() else {
        return Ok(None);
    };
    Ok(readers.iter().all(|reader| reader.beyond(time)).then_some(time))
}

/// The body of the sources' thread: reads while there is room, until the end, an error, or the wish to drain. `senders` has a row a worker,
/// with an entry a source.
pub(crate) fn pump(mut readers: Vec<Reader>, senders: Vec<Vec<Sender<Arrival>>>, wakers: &Wakers, control: &Control) {
    let shards = senders.len();
    let workers = shards as Epoch;
    let mut epoch: Epoch = 0;
    let mut draining = false;
    // As many epochs in the stages as there are workers, and as many again on the way to the sink.
    'run: while control.wait(|p| epoch < p.computed + workers && epoch < p.written + 2 * workers + 1) {
        if control.draining() && !std::mem::replace(&mut draining, true) {
            for reader in &mut readers {
                reader.ended |= !reader.source.drain();
            }
        }
        let time = match next_time(&mut readers) {
            Ok(Some(time)) => time,
            Ok(None) if readers.iter().all(|reader| reader.ended && reader.head.is_none()) => break,
            Ok(None) => {
                std::thread::sleep(IDLE);
                continue;
            }
            Err(error) => {
                control.fail(error);
                break;
            }
        };
        let shard = (epoch % workers) as usize;
        for (reader, sender) in readers.iter_mut().zip(&senders[shard]) {
            let head = reader.head.take_if(|head| head.time == time);
            if let Some(position) = head.as_ref().and_then(|head| head.position.as_ref()) {
                control.stands(epoch, position);
            }
            if sender.send((epoch, head.map(|head| (head.item, head.at)))).is_err() {
                break 'run;
            }
        }
        wake(wakers, shard);
        epoch += 1;
    }
    control.ended(epoch);
    drop(senders);
    (0..shards).for_each(|shard| wake(wakers, shard));
}
