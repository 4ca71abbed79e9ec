//! What the search asks of an instruction set: eight lanes of `f32`, and the selection of the smallest 64-bit keys.
//!
//! An implementation is a token that exists only where the processor has the instructions, so that its methods are safe. All give
//! the same bits: subtraction, multiplication and addition round as IEEE 754 says, nothing is fused, and keys are unique except for
//! [`SENTINEL`], so that the order in which a sorting network compares them cannot show.

use super::layout::LANES;

/// Work that is compiled once for each instruction set.
pub(super) trait Job {
    /// What the work returns.
    type Out;
    /// Does the work. Implementations are `#[inline(always)]`: they take on the target features of [`Isa::run`].
    fn run<I: Isa>(self, isa: I) -> Self::Out;
}

/// An instruction set. The module's page says how the search uses it.
pub(super) trait Isa: Copy {
    /// Eight `f32` lanes.
    type F: Copy;

    /// Runs the job with the instruction set enabled.
    fn run<J: Job>(self, job: J) -> J::Out;

    /// All lanes the same.
    fn splat(self, v: f32) -> Self::F;
    /// The lanes in memory.
    fn load(self, from: &[f32; LANES]) -> Self::F;
    /// The lanes as an array.
    fn array(self, v: Self::F) -> [f32; LANES];
    /// `a + b`.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller of each lane, where none is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The larger of each lane; NaN where `b` is.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// Bit `i` is set where `a[i] <= b[i]`, never where one is NaN.
    fn le(self, a: Self::F, b: Self::F) -> u32;
    /// Bit `i` is set where `a[i] == b`.
    fn equal(self, a: &[u32; LANES], b: u32) -> u32;
    /// Writes the lanes whose bit is set next to each other to the front of `to`; the rest of the first eight is overwritten.
    ///
    /// # Panics
    /// If `to` is shorter than eight.
    fn pack(self, v: Self::F, mask: u32, to: &mut [f32]);
    /// [`Isa::pack`] of integers.
    fn pack_ids(self, v: &[u32; LANES], mask: u32, to: &mut [u32]);
    /// The bits of `v` where `mask` has one, next to each other from bit 0 on.
    #[inline(always)]
    fn extract(self, v: u64, mut mask: u64) -> u64 {
        let (mut out, mut at) = (0, 0);
        while mask != 0 {
            out |= (v >> mask.trailing_zeros() & 1) << at;
            mask &= mask - 1;
            at += 1;
        }
        out
    }
    /// Eight columns of each of two rows of voxels, one a byte: bits 5 to 7 of `low` become bits 0 to 2, those of `at` bits 3 to 10, and
    /// those of `high` bits 11 to 15, as far as they go.
    #[inline(always)]
    fn columns(self, [low, at, high]: [&[u64; 2]; 3], to: [&mut [u16; 8]; 2]) {
        for (row, to) in to.into_iter().enumerate() {
            let (low, at, high) = (low[row].to_le_bytes(), at[row].to_le_bytes(), high[row].to_le_bytes());
            for (i, to) in to.iter_mut().enumerate() {
                *to = u16::from(low[i]) >> 5 | u16::from(at[i]) << 3 | u16::from(high[i]) << 11;
            }
        }
    }
    /// Asks for the line of the cache that a value starts in, which will be wanted soon.
    #[inline(always)]
    fn prefetch<T>(self, _value: &T) {}
    /// The `R` smallest keys of some points, ascending. `R` is 8, 16, 32 or 64; there are a multiple of [`block`] points, at least one
    /// block, and as many ids.
    fn select<const R: usize>(self, d2: &[f32], id: &[u32], out: &mut Keys);
}

/// Points that [`Isa::select`] sorts at once.
pub(super) const fn block(r: usize) -> usize {
    if r < 16 { 16 } else { r }
}

/// Room for the keys of the longest list.
pub(super) type Keys = [u64; super::MAX_K];

/// The key of no neighbour: at infinity, after every id.
pub(super) const SENTINEL: u64 = key(f32::INFINITY, u32::MAX);

/// The sort key of a neighbour: squared distance, then id. The bits of a float that is not negative sort as the float does.
#[inline(always)]
pub(super) const fn key(d2: f32, id: u32) -> u64 {
    (d2.to_bits() as u64) << 32 | id as u64
}

/// The squared distance of a key.
#[inline(always)]
pub(super) fn key_d2(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

/// The id of a key.
#[inline(always)]
pub(super) fn key_id(key: u64) -> u32 {
    key as u32
}

/// Points within a query's limit, in the order they were met, as columns of equal length.
pub(super) struct Found {
    pub(super) d2: Vec<f32>,
    pub(super) id: Vec<u32>,
    /// What the map calls the points; unused by an index.
    pub(super) tag: Vec<u32>,
}

impl Found {
    pub(super) const EMPTY: Found = Found { d2: Vec::new(), id: Vec::new(), tag: Vec::new() };

    /// Makes room up to `end`, with what [`Isa::pack`] and [`Found::pad`] may overwrite behind it.
    #[inline(always)]
    pub(super) fn reserve(&mut self, end: usize) {
        let end = end + super::MAX_K + LANES;
        if self.id.len() < end {
            self.d2.resize(2 * end, f32::INFINITY);
            self.id.resize(2 * end, u32::MAX);
            self.tag.resize(2 * end, u32::MAX);
        }
    }

    /// Fills up `from..to` with sentinels to a multiple of `block`, at least one; returns the new end. It may overwrite some slots behind.
    #[inline(always)]
    pub(super) fn pad(&mut self, from: usize, to: usize, block: usize) -> usize {
        let end = from + (to - from).next_multiple_of(block).max(block);
        for at in (to..end).step_by(LANES) {
            self.d2[at..at + LANES].fill(f32::INFINITY);
            self.id[at..at + LANES].fill(u32::MAX);
        }
        end
    }
}
