//! Where sources meet the workers: a thread reads ahead only as far as there is room, gives each item an epoch, and deals epochs out in turn.
//!
//! Epoch `e` goes to worker `e mod workers` through a bounded channel a source; to a worker of another process over the link with it. Each
//! worker's operator holds a capability for the next epoch that can be its own, so the frontier moves as items come, and closes when the
//! thread drops its senders.
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
use crate::asof::stamp;
use crate::cluster::{Order, Post};
use crate::plan::{AnySource, CopyItem, Item};
use crate::report::Stats;
use crate::source::Position;
use crate::{BoxError, Epoch, Error, Next};

/// How long sources that have nothing are left alone.
const IDLE: Duration = Duration::from_millis(2);

/// What the thread tells an operator: an item of an epoch, or that the epoch has none.
pub(crate) type Arrival = (Epoch, Option<Item>);

/// The activators of the source operators, one a worker of this process and source, filled as the workers build their dataflow.
pub(crate) type Wakers = Arc<Mutex<Vec<Vec<SyncActivator>>>>;

/// The operator of one source on one worker.
pub(crate) fn ingest<'scope>(
    scope: Scope<'scope, Epoch>,
    name: &str,
    receiver: Receiver<Arrival>,
    wakers: &Wakers,
) -> MailStream<'scope> {
    let (shard, shards) = (scope.index(), scope.peers());
    let wakers = Arc::clone(wakers);
    source::<_, MailBuilder, _, _>(scope, name, move |capability, info| {
        let waker = scope.worker().sync_activator_for(info.address.to_vec());
        let mut wakers = lock(&wakers);
        // Every process has the same number of workers, so those of this one are the shards of that remainder.
        let workers = wakers.len();
        wakers[shard % workers].push(waker);
        drop(wakers);
        let mut capability = Some(capability);
        if let Some(capability) = capability.as_mut() {
            capability.downgrade(&(shard as Epoch));
        }
        move |output| {
            while let Some(held) = capability.as_mut() {
                match receiver.try_recv() {
                    Ok((epoch, arrival)) => {
                        if let Some(item) = arrival {
                            held.downgrade(&epoch);
                            let mut mail = Mail::new(shard, shard, item);
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

/// Wakes the sources of a worker of this process.
pub(super) fn wake(wakers: &Wakers, worker: usize) {
    for waker in &lock(wakers)[worker] {
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
    /// The first time that went back, and the one before it.
    back: Option<(i64, i64)>,
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
        Reader { source, copy, head: None, ended: false, last: None, items: 0, timed: None, back: None }
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
                if let Some(last) = self.last.filter(|last| time < *last) {
                    self.back.get_or_insert((time, last));
                }
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

    /// What to tell of times that went back.
    fn told(&self) -> Option<String> {
        let (time, last) = self.back.filter(|_| self.timed == Some(true))?;
        let (name, time, last) = (self.source.name(), stamp(time), stamp(last));
        Some(format!(
            "{name}: found an item at {time} after one at {last}, expected times that ascend: it counts as of {last}"
        ))
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

/// The way from the sources to a worker.
pub(crate) enum Way {
    /// One of this process, by its number in it: a channel a source.
    Here(usize, Vec<Sender<Arrival>>),
    /// One of another process, by its number there.
    There(usize, Arc<Post>),
}

impl Way {
    /// Hands a worker its item of a source in an epoch, or says that it has none. False where the worker has gone.
    fn deal(&self, source: usize, epoch: Epoch, item: Option<Item>) -> Result<bool, BoxError> {
        match self {
            Way::Here(_, senders) => Ok(senders[source].send((epoch, item)).is_ok()),
            Way::There(worker, post) => {
                let item = item.map(|item| item.bytes()).transpose()?;
                Ok(post.say(&Order::Deal { worker: *worker, source, epoch, item }).is_ok())
            }
        }
    }

    /// Tells the worker's process where an epoch's items stand, for messages.
    fn place(&self, epoch: Epoch, control: &Control) {
        if let Way::There(_, post) = self {
            let place = control.place(epoch);
            if !place.is_empty() {
                // A link that is gone shows where the item is dealt.
                let _ = post.say(&Order::Place { epoch, place });
            }
        }
    }
}

/// The body of the sources' thread: reads while there is room, until the end, an error, or the wish to drain. There is a way to each worker.
pub(crate) fn pump(mut readers: Vec<Reader>, ways: Vec<Way>, wakers: &Wakers, control: &Control, stats: &Stats) {
    let workers = ways.len() as Epoch;
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
        let way = &ways[(epoch % workers) as usize];
        let heads: Vec<_> = readers.iter_mut().map(|reader| reader.head.take_if(|head| head.time == time)).collect();
        heads.iter().flatten().filter_map(|head| head.position.as_ref()).for_each(|place| control.stands(epoch, place));
        way.place(epoch, control);
        for (source, head) in heads.into_iter().enumerate() {
            if let Some(head) = &head {
                stats.arrived(epoch, head.at);
            }
            match way.deal(source, epoch, head.map(|head| head.item)) {
                Ok(true) => {}
                Ok(false) => break 'run,
                Err(error) => {
                    control.fail(Error::Source { name: readers[source].source.name(), error });
                    break 'run;
                }
            }
        }
        if let Way::Here(worker, _) = way {
            wake(wakers, *worker);
        }
        epoch += 1;
    }
    if readers.len() > 1 {
        readers.iter().filter_map(Reader::told).for_each(|words| stats.warn(words));
    }
    control.ended(epoch);
    let mut told: Vec<&Arc<Post>> = Vec::new();
    for way in &ways {
        if let Way::There(_, post) = way
            && !told.iter().any(|known| Arc::ptr_eq(known, post))
        {
            told.push(post);
            // A link that is gone is seen by the one who listens at it.
            let _ = post.say(&Order::Ended { epochs: epoch });
        }
    }
    let here: Vec<usize> =
        ways.iter().filter_map(|way| if let Way::Here(worker, _) = way { Some(*worker) } else { None }).collect();
    drop(ways);
    here.into_iter().for_each(|worker| wake(wakers, worker));
}
