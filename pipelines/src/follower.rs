//! What a process that does not lead reads and writes: nothing. Its workers get what the leader deals out.

use std::marker::PhantomData;

use thalweg::{BoxError, Epoch, Next, Portable, Sink, Source};

/// A source without items, and a sink that is never written to.
pub struct Nothing<T>(PhantomData<fn() -> T>);

impl<T> Default for Nothing<T> {
    fn default() -> Self {
        Nothing(PhantomData)
    }
}

impl<T: Portable> Source for Nothing<T> {
    type Item = T;

    fn name(&self) -> String {
        "nothing".into()
    }

    fn next(&mut self) -> Result<Next<T>, BoxError> {
        Ok(Next::End)
    }
}

impl<T> Sink<T> for Nothing<T> {
    fn name(&self) -> String {
        "nothing".into()
    }

    fn write(&mut self, _: Epoch, _: T) -> Result<(), BoxError> {
        Err("found an item in a process that does not lead, expected none".into())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
