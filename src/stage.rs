//! The contract of a stage: a plain state machine that knows no dataflow system.
//!
//! An epoch runs through a stage in as many phases as it needs exchanges between shards: one for a local stage, two for
//! query and reply, one more a layer for a network over a sharded graph. In phase 0 a shard gets the epoch's input, in
//! every later phase what shards sent it in the phase before; in the last phase it gives its output. One adapter,
//! `dataflow::phases`, owns capabilities, frontiers and exchanges, so a stage is tested and measured alone.

use crate::{BoxError, Epoch, Portable};

/// What a shard finds at the start of a phase, ordered by the shard that sent it, each sender's messages in sending order.
#[derive(Debug)]
pub enum Inbox<I, X> {
    /// Phase 0: the epoch's input.
    Input(Vec<I>),
    /// A later phase: (sender, message).
    Exchange(Vec<(usize, X)>),
}

/// What a shard sends at the end of a phase.
#[derive(Debug)]
pub struct Outbox<X, O> {
    shard: usize,
    shards: usize,
    pub(crate) letters: Vec<(usize, X)>,
    pub(crate) output: Vec<(usize, O)>,
}

impl<X, O> Outbox<X, O> {
    /// An empty outbox of shard `shard` out of `shards`.
    pub fn new(shard: usize, shards: usize) -> Self {
        Outbox { shard, shards, letters: Vec::new(), output: Vec::new() }
    }

    /// This shard's number.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Sends a message to shard `dst` (taken modulo the number of shards) for the next phase.
    pub fn send(&mut self, dst: usize, message: X) {
        self.letters.push((dst % self.shards, message));
    }

    /// Hands out a piece of the stage's output, to be worked on by this shard.
    pub fn give(&mut self, output: O) {
        self.output.push((self.shard, output));
    }

    /// What was sent and given, taken out: for tests that drive a stage by hand.
    pub fn take(&mut self) -> (Vec<(usize, X)>, Vec<O>) {
        (
            std::mem::take(&mut self.letters),
            std::mem::take(&mut self.output).into_iter().map(|(_, output)| output).collect(),
        )
    }
}

/// A stage's logic on one shard.
///
/// ```
/// use thalweg::stage::{Inbox, Outbox, Stage};
/// use thalweg::{BoxError, Epoch};
///
/// /// Doubles numbers where they are.
/// struct Double;
///
/// impl Stage for Double {
///     type Input = u32;
///     type Exchange = ();
///     type Output = u32;
///     fn name(&self) -> &'static str {
///         "double"
///     }
///     fn step(&mut self, _: Epoch, _: usize, inbox: Inbox<u32, ()>, out: &mut Outbox<(), u32>) -> Result<(), BoxError> {
///         if let Inbox::Input(numbers) = inbox {
///             numbers.into_iter().for_each(|n| out.give(2 * n));
///         }
///         Ok(())
///     }
/// }
///
/// let mut out = Outbox::new(0, 1);
/// Double.step(0, 0, Inbox::Input(vec![1, 2]), &mut out).unwrap();
/// assert_eq!(out.take().1, [2, 4]);
/// ```
pub trait Stage: 'static {
    /// One piece of input.
    type Input: Send + 'static;
    /// What shards send each other between phases; `()` where they do not.
    type Exchange: Portable;
    /// One piece of output.
    type Output: Portable;

    /// The stage's name in messages and latency tables.
    fn name(&self) -> &'static str;

    /// Phases an epoch, at least 1.
    fn phases(&self) -> usize {
        1
    }

    /// Whether phase 0 is to be called for every epoch, with an empty inbox where the epoch has no input on this shard.
    fn every_epoch(&self) -> bool {
        false
    }

    /// Does one phase of one epoch on this shard. Called only where there is something in the inbox, unless
    /// [`Stage::every_epoch`] asks for more: a shard that wants to be called in the next phase sends itself a message.
    /// Epochs come in ascending order, and no phase of an epoch begins before all phases of the epochs before it are
    /// done on this shard.
    ///
    /// # Errors
    /// Input that the stage cannot work on; the run ends with it.
    fn step(
        &mut self,
        epoch: Epoch,
        phase: usize,
        inbox: Inbox<Self::Input, Self::Exchange>,
        out: &mut Outbox<Self::Exchange, Self::Output>,
    ) -> Result<(), BoxError>;

    /// The input has ended: called once on each shard, with the epoch after the last. What is given goes out as that
    /// epoch's output; messages to shards are not sent.
    ///
    /// # Errors
    /// As of [`Stage::step`].
    fn end(&mut self, _: Epoch, _: &mut Outbox<Self::Exchange, Self::Output>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A local stage made of a function from one piece of input to one piece of output.
pub struct Map<F, I, O> {
    name: &'static str,
    f: F,
    types: std::marker::PhantomData<fn(I) -> O>,
}

impl<F: FnMut(I) -> Result<O, BoxError>, I, O> Map<F, I, O> {
    /// A stage called `name` that applies `f`.
    pub fn new(name: &'static str, f: F) -> Self {
        Map { name, f, types: std::marker::PhantomData }
    }
}

impl<F, I, O> Stage for Map<F, I, O>
where
    F: FnMut(I) -> Result<O, BoxError> + 'static,
    I: Send + 'static,
    O: Portable,
{
    type Input = I;
    type Exchange = ();
    type Output = O;

    fn name(&self) -> &'static str {
        self.name
    }

    fn step(&mut self, _: Epoch, _: usize, inbox: Inbox<I, ()>, out: &mut Outbox<(), O>) -> Result<(), BoxError> {
        if let Inbox::Input(items) = inbox {
            for item in items {
                let output = (self.f)(item)?;
                out.give(output);
            }
        }
        Ok(())
    }
}
