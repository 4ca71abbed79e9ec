//! Bitonic selection of the smallest keys with registers of four (AVX2, or two NEON registers side by side).
//!
//! Neither instruction set has the minimum of 64-bit integers at full speed, but a key (bits of d2, then id) read as an `f64` is positive
//! and finite, because the exponent of `f32` infinity, 255, fills only the upper bits of a wider exponent field. Positive doubles compare
//! as their bits do, so the minimum of doubles is that of the keys, in one instruction.
//!
//! Half of every merge is sorted the other way round, so that nothing is ever reversed.

use super::isa::{Keys, SENTINEL, block};

/// Registers of four keys. Keys are ordered within a register by lane, then by register.
pub(super) trait Quads: Copy {
    /// Four keys.
    type K: Copy;
    /// The smaller of each lane.
    fn min_keys(self, a: Self::K, b: Self::K) -> Self::K;
    /// The larger of each lane.
    fn max_keys(self, a: Self::K, b: Self::K) -> Self::K;
    /// `[a0, b0, a2, b2]`.
    fn even(self, a: Self::K, b: Self::K) -> Self::K;
    /// `[a1, b1, a3, b3]`.
    fn odd(self, a: Self::K, b: Self::K) -> Self::K;
    /// `[a0, a1, b0, b1]`.
    fn low(self, a: Self::K, b: Self::K) -> Self::K;
    /// `[a2, a3, b2, b3]`.
    fn high(self, a: Self::K, b: Self::K) -> Self::K;
    /// Four times the same.
    fn splat_key(self, key: u64) -> Self::K;
    /// Eight points as keys, in some order.
    fn keys(self, d2: &[f32; 8], id: &[u32; 8]) -> [Self::K; 2];
    /// The lanes as an array.
    fn key_array(self, v: Self::K) -> [u64; 4];
}

/// See [`super::isa::Isa::select`]: sorts block after block against the grain of the best so far, so that the minimum of the two is the
/// lower half of all their keys, as a bitonic sequence.
#[inline(always)]
pub(super) fn select<Q: Quads, const R: usize>(q: Q, d2: &[f32], id: &[u32], out: &mut Keys) {
    match R {
        8 => fold::<Q, 2>(q, d2, id, out),
        16 => fold::<Q, 4>(q, d2, id, out),
        32 => fold::<Q, 8>(q, d2, id, out),
        _ => fold::<Q, 16>(q, d2, id, out),
    }
}

#[inline(always)]
fn fold<Q: Quads, const N: usize>(q: Q, d2: &[f32], id: &[u32], out: &mut Keys) {
    let block = block(4 * N);
    let mut top = sort::<Q, N, false>(q, &d2[..block], &id[..block]);
    for (d2, id) in d2[block..].chunks_exact(block).zip(id[block..].chunks_exact(block)) {
        let next = sort::<Q, N, true>(q, d2, id);
        for i in 0..N {
            top[i] = q.min_keys(top[i], next[i]);
        }
        bitonic::<Q, N, false>(q, &mut top);
    }
    for i in 0..N {
        out[4 * i..4 * i + 4].copy_from_slice(&q.key_array(top[i]));
    }
}

/// The smallest `4 N` keys of a block, sorted: of 16 points for 8 keys, else of as many points as keys.
#[inline(always)]
fn sort<Q: Quads, const N: usize, const DESC: bool>(q: Q, d2: &[f32], id: &[u32]) -> [Q::K; N] {
    let mut v = [q.splat_key(SENTINEL); N];
    if N == 2 {
        let [a, b, c, d] = two_runs(q, d2, id);
        (v[0], v[1]) = (q.min_keys(a, c), q.min_keys(b, d));
        bitonic::<Q, N, DESC>(q, &mut v);
        return v;
    }
    let runs = N / 4;
    for run in 0..runs {
        let mut part = two_runs(q, &d2[16 * run..], &id[16 * run..]);
        // Runs of 16 alternate, so that two neighbours are bitonic; so do runs of 32.
        if (runs == 1 && DESC) || run % 2 == 1 {
            bitonic::<Q, 4, true>(q, &mut part);
        } else {
            bitonic::<Q, 4, false>(q, &mut part);
        }
        v[4 * run..4 * run + 4].copy_from_slice(&part);
    }
    if runs == 4 {
        for half in 0..2 {
            let mut part = [v[0]; 8];
            part.copy_from_slice(&v[8 * half..8 * half + 8]);
            if half == 1 {
                bitonic::<Q, 8, true>(q, &mut part);
            } else {
                bitonic::<Q, 8, false>(q, &mut part);
            }
            v[8 * half..8 * half + 8].copy_from_slice(&part);
        }
    }
    if runs > 1 {
        bitonic::<Q, N, DESC>(q, &mut v);
    }
    v
}

/// Sixteen points as an ascending run of eight keys and a descending one.
#[inline(always)]
fn two_runs<Q: Quads>(q: Q, d2: &[f32], id: &[u32]) -> [Q::K; 4] {
    let whole = "a block is whole units";
    let [a, b] = q.keys(d2[..8].try_into().expect(whole), id[..8].try_into().expect(whole));
    let [c, d] = q.keys(d2[8..16].try_into().expect(whole), id[8..16].try_into().expect(whole));
    let (a, b) = exchange::<Q, false>(q, a, b);
    let (c, d) = exchange::<Q, false>(q, c, d);
    let (a, c) = exchange::<Q, false>(q, a, c);
    let (b, d) = exchange::<Q, false>(q, b, d);
    let (b, c) = exchange::<Q, false>(q, b, c);
    // The four columns are sorted. Transposed, columns 0 and 2 become ascending rows, 1 and 3 descending ones.
    let (first, second) = (q.even(a, b), q.even(c, d));
    let (third, fourth) = (q.odd(d, c), q.odd(b, a));
    let (a, b) = exchange::<Q, false>(q, q.low(first, second), q.low(third, fourth));
    let (c, d) = exchange::<Q, true>(q, q.high(first, second), q.high(third, fourth));
    let (a, b) = bitonic_lanes::<Q, false>(q, a, b);
    let (c, d) = bitonic_lanes::<Q, true>(q, c, d);
    [a, b, c, d]
}

/// Compare and exchange: the smaller keys to `a`, or to `b` if descending.
#[inline(always)]
fn exchange<Q: Quads, const DESC: bool>(q: Q, a: Q::K, b: Q::K) -> (Q::K, Q::K) {
    let (low, high) = (q.min_keys(a, b), q.max_keys(a, b));
    if DESC { (high, low) } else { (low, high) }
}

/// Sorts two registers that are bitonic each.
#[inline(always)]
fn bitonic_lanes<Q: Quads, const DESC: bool>(q: Q, a: Q::K, b: Q::K) -> (Q::K, Q::K) {
    let (a, b) = exchange::<Q, DESC>(q, q.low(a, b), q.high(a, b));
    let (a, b) = exchange::<Q, DESC>(q, q.even(a, b), q.odd(a, b));
    let (a, b) = (q.even(a, b), q.odd(a, b));
    (q.low(a, b), q.high(a, b))
}

/// Sorts a bitonic sequence of `4 N` keys.
#[inline(always)]
fn bitonic<Q: Quads, const N: usize, const DESC: bool>(q: Q, v: &mut [Q::K; N]) {
    let mut stride = N / 2;
    while stride > 0 {
        for i in 0..N {
            if i & stride == 0 {
                (v[i], v[i + stride]) = exchange::<Q, DESC>(q, v[i], v[i + stride]);
            }
        }
        stride /= 2;
    }
    for i in (0..N).step_by(2) {
        (v[i], v[i + 1]) = bitonic_lanes::<Q, DESC>(q, v[i], v[i + 1]);
    }
}
