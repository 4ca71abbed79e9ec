//! A state over all items of a flow, in the order of epochs.

use std::marker::PhantomData;

use super::flow::Flow;
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch, Portable};

/// The shard that keeps the state.
const OWNER: usize = 0;

impl<'p, T: Portable> Flow<'p, T> {
    /// Keeps a state, on one worker: `step` gets it and each item, in the order of epochs, and gives what goes on, if anything.
    ///
    /// ```
    /// # use thalweg::Flow;
    /// # fn plan(numbers: Flow<'_, u64>) -> Flow<'_, u64> {
    /// // The largest number so far, whenever there is a larger one.
    /// numbers.fold("largest", 0, |largest, n| Ok((n > *largest).then(|| { *largest = n; n })))
    /// # }
    /// ```
    pub fn fold<S, O, F>(self, name: &'static str, state: S, step: F) -> Flow<'p, O>
    where
        S: Clone + Send + Sync + 'static,
        O: Portable,
        F: Fn(&mut S, T) -> Result<Option<O>, BoxError> + Send + Sync + Clone + 'static,
    {
        self.stage(move |_| Fold { name, state: state.clone(), step: step.clone(), types: PhantomData })
    }
}

struct Fold<S, T, O, F> {
    name: &'static str,
    state: S,
    step: F,
    types: PhantomData<fn(T) -> O>,
}

impl<S, T, O, F> Stage for Fold<S, T, O, F>
where
    S: 'static,
    T: Portable,
    O: Portable,
    F: Fn(&mut S, T) -> Result<Option<O>, BoxError> + 'static,
{
    type Input = T;
    type Exchange = T;
    type Output = O;

    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> usize {
        2
    }

    fn step(&mut self, _: Epoch, _: usize, inbox: Inbox<T, T>, out: &mut Outbox<T, O>) -> Result<(), BoxError> {
        match inbox {
            Inbox::Input(items) => items.into_iter().for_each(|item| out.send(OWNER, item)),
            Inbox::Exchange(mail) => {
                for (_, item) in mail {
                    if let Some(output) = (self.step)(&mut self.state, item)? {
                        out.give(output);
                    }
                }
            }
        }
        Ok(())
    }
}
