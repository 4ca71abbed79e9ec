//! The threads of a run at the links between its processes: what they say to each other, and what they make of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::{CommsGuard, initialize_networking_from_sockets};
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::worker::Worker;

use super::Control;
use super::ingest::{Arrival, Wakers, wake};
use crate::Error;
use crate::cluster::{Cluster, Ear, Met, News, Order, Post};
use crate::plan::Item;
use crate::report::Stats;

/// How often a process tells the leader what it counted.
const COUNTS: Duration = Duration::from_millis(500);
/// How often a process looks whether its workers are done.
const LOOK: Duration = Duration::from_millis(20);

/// This process among the others.
pub(super) struct Group {
    pub process: usize,
    pub processes: usize,
    data: Vec<Option<std::net::TcpStream>>,
    /// The links of this process, with the number of the one at the other end.
    posts: Vec<(usize, Arc<Post>)>,
    /// Those at which nobody listens yet.
    ears: Vec<Ear>,
    /// Set when this process has done its part, and the leader may go.
    pub done: Arc<AtomicBool>,
}

impl Group {
    pub fn new(cluster: &Cluster, met: Met) -> Result<Group, Error> {
        let (mut posts, mut ears) = (Vec::new(), Vec::new());
        for (number, stream) in met.links.into_iter().enumerate() {
            if let Some(stream) = stream {
                let (post, ear) = Post::new(stream)?;
                posts.push((number, Arc::new(post)));
                ears.push(ear);
            }
        }
        let (process, processes) = (cluster.process, cluster.processes());
        Ok(Group { process, processes, data: met.data, posts, ears, done: Arc::default() })
    }

    /// The others that this process has a link with, to be listened to: all of them for the leader, the leader for the others.
    pub fn others(&mut self) -> Vec<(usize, Arc<Post>, Ear)> {
        let posts = self.posts.iter().map(|(number, post)| (*number, Arc::clone(post)));
        posts.zip(std::mem::take(&mut self.ears)).map(|((number, post), ear)| (number, post, ear)).collect()
    }

    /// Starts `workers` workers that are connected with those of the other processes.
    pub fn execute(
        &mut self,
        workers: usize,
        body: impl Fn(&mut Worker) + Send + Sync + 'static,
    ) -> Result<(WorkerGuards<()>, CommsGuard), String> {
        let hooks = Hooks::default();
        let within = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), hooks.spill.clone());
        let sockets = std::mem::take(&mut self.data);
        let (builders, guard) = initialize_networking_from_sockets(within, sockets, self.process, workers, hooks)
            .map_err(|error| error.to_string())?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        let guards = timely::execute::execute_from(builders, Box::new(()), WorkerConfig::default(), body)?;
        Ok((guards, guard))
    }

    /// Waits for the workers of a process that does not lead, and tells the leader meanwhile what they count.
    pub fn attend(&self, guards: &WorkerGuards<()>, stats: &Stats) {
        let Some((_, post)) = self.posts.first() else { return };
        let mut since = Duration::ZERO;
        while !guards.guards().iter().all(std::thread::JoinHandle::is_finished) {
            std::thread::sleep(LOOK);
            since += LOOK;
            if since >= COUNTS {
                since = Duration::ZERO;
                // A leader that is gone is seen by the one who listens.
                let _ = post.say(&News::Counted(stats.snapshot()));
            }
        }
    }

    /// Tells the leader how this process has ended.
    pub fn part(&self, news: &News) {
        self.done.store(true, Ordering::Release);
        if let Some((_, post)) = self.posts.first() {
            let _ = post.say(news);
        }
    }

    /// Ends all links.
    pub fn close(&self) {
        self.posts.iter().for_each(|(_, post)| post.close());
    }
}

/// The leader's thread at the link with a process.
pub(super) fn lead(process: usize, mut ear: Ear, post: &Post, control: &Control, stats: &Stats) {
    loop {
        match ear.hear() {
            Ok(Some(News::Counted(snapshot))) => stats.counted_by(process, snapshot),
            Ok(Some(News::Done(snapshot))) => {
                stats.counted_by(process, snapshot);
                control.one_done();
                return post.close();
            }
            Ok(Some(News::Failed(told))) => return control.fail(told.error(process)),
            Ok(None) => {
                let message = "found its connection closed, expected it to go on".into();
                return control.fail(Error::Lost { process, message });
            }
            Err(error) => return control.fail(Error::Lost { process, message: error.to_string() }),
        }
    }
}

/// Another process's thread at its link with the leader: `senders` has a row a worker, with an entry a source.
pub(super) fn follow(
    mut ear: Ear,
    senders: Vec<Vec<Sender<Arrival>>>,
    wakers: &Wakers,
    control: &Control,
    done: &AtomicBool,
) {
    let mut senders = Some(senders);
    let lost = |message: String| {
        if !done.load(Ordering::Acquire) {
            control.fail(Error::Lost { process: 0, message });
        }
    };
    loop {
        match ear.hear() {
            Ok(Some(Order::Deal { worker, source, epoch, item })) => {
                let sender = senders.as_ref().and_then(|senders| senders.get(worker)?.get(source));
                let Some(sender) = sender else { return lost(format!("found an item for worker {worker}")) };
                // Where the worker has gone the run has failed, which others see.
                let _ = sender.send((epoch, item.map(Item::of_bytes)));
                wake(wakers, worker);
            }
            Ok(Some(Order::Place { epoch, place })) => control.stand_at(epoch, place),
            Ok(Some(Order::Ended { epochs })) => {
                control.ended(epochs);
                let workers = senders.take().map_or(0, |senders| senders.len());
                (0..workers).for_each(|worker| wake(wakers, worker));
            }
            Ok(None) => return lost("found its connection closed, expected it to go on".into()),
            Err(error) => return lost(error.to_string()),
        }
    }
}
