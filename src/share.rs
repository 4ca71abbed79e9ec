//! Work on one item that several threads share: rows in chunks, each taken by whoever is free.
//!
//! A chunk's result must not depend on who does it or when, so the bits are those of one thread. Threads are started for each call, which
//! takes some tens of microseconds: worth it for milliseconds of work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Error;

/// Runs `work` once on each of `threads` threads, this one among them, and gives what each one made.
pub(crate) fn on_each<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    if threads <= 1 {
        return vec![work()];
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        let own = work();
        let join = |other: thread::ScopedJoinHandle<'_, T>| {
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        std::iter::once(own).chain(others.into_iter().map(join)).collect()
    })
}

/// The numbers below `count`, each once, to whoever asks.
pub(crate) struct Turns {
    next: AtomicUsize,
    count: usize,
}

impl Turns {
    pub(crate) fn new(count: usize) -> Turns {
        Turns { next: AtomicUsize::new(0), count }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The next number, if there is one.
    pub(crate) fn take(&self) -> Option<usize> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        (turn < self.count).then_some(turn)
    }
}

/// Fills `out`, rows of `width`, in chunks of `rows` rows: `work(scratch, first, chunk)` writes the rows from `first` on.
///
/// # Errors
/// The first of a chunk that fails; chunks not begun by then are left.
pub(crate) fn over_rows<S>(
    threads: usize,
    out: &mut [f32],
    width: usize,
    rows: usize,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize, &mut [f32]) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    if out.is_empty() || width == 0 || rows == 0 {
        return Ok(());
    }
    let threads = threads.min(out.len().div_ceil(rows * width));
    let chunks = Mutex::new(out.chunks_mut(rows * width).enumerate());
    let take = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failed = Mutex::new(None);
    on_each(threads, || {
        let mut scratch = scratch();
        while let Some((number, chunk)) = take() {
            if let Err(error) = work(&mut scratch, number * rows, chunk) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
                while take().is_some() {}
            }
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once_by_any_number_of_threads() {
        for threads in [1, 2, 7] {
            for rows in [0, 1, 5, 64, 1001] {
                let mut out = vec![0.0; rows * 3];
                let write = |calls: &mut u32, first: usize, chunk: &mut [f32]| {
                    *calls += 1;
                    chunk.iter_mut().enumerate().for_each(|(i, v)| *v += (first * 3 + i) as f32);
                    Ok(())
                };
                over_rows(threads, &mut out, 3, 10, || 0, write).unwrap();
                assert!(out.iter().enumerate().all(|(i, v)| *v == i as f32), "{threads} threads, {rows} rows");
            }
        }
    }

    #[test]
    fn an_error_ends_it() {
        let fail = |_: &mut (), first: usize, _: &mut [f32]| match first {
            40 => Err(Error::Value { what: "row", found: first.to_string(), expected: "another".into() }),
            _ => Ok(()),
        };
        for threads in [1, 3] {
            assert!(over_rows(threads, &mut [0.0; 100], 1, 10, || (), fail).is_err());
        }
    }
}
