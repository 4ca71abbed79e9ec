//! An array that grows by a chunk at a time: what it holds is never copied, so that growing costs the same however much there is.

use std::ops::{Index, IndexMut};

/// Chunks of `N`.
pub(super) struct Chunks<T, const N: usize> {
    chunks: Vec<Box<[T; N]>>,
    len: usize,
    blank: T,
}

impl<T: Clone, const N: usize> Chunks<T, N> {
    /// Nothing; what is still to come of a chunk is `blank`.
    pub(super) fn new(blank: T) -> Self {
        Chunks { chunks: Vec::new(), len: 0, blank }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends one, and returns its number.
    pub(super) fn push(&mut self, value: T) -> u32 {
        if self.len == self.chunks.len() * N {
            let chunk = vec![self.blank.clone(); N].into_boxed_slice();
            self.chunks.extend(Box::<[T; N]>::try_from(chunk));
        }
        let at = self.len as u32;
        self.len += 1;
        self[at] = value;
        at
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut())
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.chunks.len() * N * size_of::<T>()
    }
}

impl<T, const N: usize> Index<u32> for Chunks<T, N> {
    type Output = T;

    #[inline(always)]
    fn index(&self, at: u32) -> &T {
        &self.chunks[at as usize / N][at as usize % N]
    }
}

impl<T, const N: usize> IndexMut<u32> for Chunks<T, N> {
    #[inline(always)]
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize / N][at as usize % N]
    }
}
