//! AVX-512: compression stores and 64-bit minima are instructions, and a register holds eight keys.
//!
//! Distances stay eight lanes wide, the width of a unit; the selection uses whole registers.

use super::avx2::Avx2;
use super::isa::{Isa, Job, Keys};
use super::layout::LANES;
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F and VL, and what came before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512(Avx2);

impl Avx512 {
    /// The token, if the processor has the instructions.
    pub(super) fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        Avx2::new().filter(|_| found).map(Avx512)
    }
}

/// Sorts block after block against the grain of the best so far: the minimum of the two is the lower half as a bitonic sequence.
macro_rules! fold {
    ($block:literal, $sort:ident, $registers:literal, $d2:expr, $id:expr, $out:expr) => {{
        let (d2, id) = (&$d2[..], &$id[..$d2.len()]);
        assert!(d2.len() >= $block);
        let mut top = $sort::<false>(d2.as_ptr(), id.as_ptr());
        for (d2, id) in d2[$block..].chunks_exact($block).zip(id[$block..].chunks_exact($block)) {
            let block = $sort::<true>(d2.as_ptr(), id.as_ptr());
            for i in 0..$registers {
                top[i] = _mm512_min_epu64(top[i], block[i]);
            }
            bitonic::<$registers, false>(&mut top);
        }
        for (i, v) in top.into_iter().enumerate() {
            _mm512_storeu_si512($out[8 * i..8 * i + 8].as_mut_ptr().cast(), v);
        }
    }};
}

impl Isa for Avx512 {
    type F = __m256;

    fn run<J: Job>(self, job: J) -> J::Out {
        #[target_feature(enable = "avx512f,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
        fn enabled<J: Job>(isa: Avx512, job: J) -> J::Out {
            job.run(isa)
        }
        // SAFETY: the token.
        unsafe { enabled(self, job) }
    }
    #[inline(always)]
    fn splat(self, v: f32) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_set1_ps(v) }
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> __m256 {
        // SAFETY: the token; the array has eight lanes.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn array(self, v: __m256) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: the token; the array has eight lanes.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), v) }
        out
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn le(self, a: __m256, b: __m256) -> u32 {
        // SAFETY: the token.
        unsafe { u32::from(_mm256_cmp_ps_mask::<_CMP_LE_OQ>(a, b)) }
    }
    #[inline(always)]
    fn equal(self, a: &[u32; LANES], b: u32) -> u32 {
        // SAFETY: the token; the array has eight lanes.
        unsafe {
            u32::from(_mm256_cmpeq_epi32_mask(_mm256_loadu_si256(a.as_ptr().cast()), _mm256_set1_epi32(b as i32)))
        }
    }
    #[inline(always)]
    fn pack(self, v: __m256, mask: u32, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: the token; eight lanes fit. (To compress into a register and store that is quicker than to compress into memory.)
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_maskz_compress_ps(mask as u8, v)) }
    }
    #[inline(always)]
    fn pack_ids(self, v: &[u32; LANES], mask: u32, to: &mut [u32]) {
        let to = &mut to[..LANES];
        // SAFETY: the token; eight lanes fit.
        unsafe {
            let v = _mm256_loadu_si256(v.as_ptr().cast());
            _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_maskz_compress_epi32(mask as u8, v));
        }
    }
    #[inline(always)]
    fn extract(self, v: u64, mask: u64) -> u64 {
        self.0.extract(v, mask)
    }
    #[inline(always)]
    fn columns(self, from: [&[u64; 2]; 3], to: [&mut [u16; 8]; 2]) {
        self.0.columns(from, to);
    }
    #[inline(always)]
    fn prefetch<T>(self, value: &T) {
        self.0.prefetch(value);
    }
    #[inline(always)]
    fn select<const R: usize>(self, d2: &[f32], id: &[u32], out: &mut Keys) {
        // SAFETY: the token; the slices hold whole blocks, and eight keys fit where they are stored.
        unsafe {
            match R {
                8 => fold!(16, sort16_low8, 1, d2, id, out),
                16 => fold!(16, sort16, 2, d2, id, out),
                32 => fold!(32, sort32, 4, d2, id, out),
                _ => fold!(64, sort64, 8, d2, id, out),
            }
        }
    }
}

/// Compare and exchange: the smaller keys to `a`, or to `b` if descending.
#[inline(always)]
unsafe fn exchange<const DESC: bool>(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
    // SAFETY: only `Avx512` calls.
    unsafe {
        let (low, high) = (_mm512_min_epu64(a, b), _mm512_max_epu64(a, b));
        if DESC { (high, low) } else { (low, high) }
    }
}

/// Compares each lane with its partner in `other`; the lanes of the mask keep the larger key.
#[inline(always)]
unsafe fn stage<const LARGER: u8>(v: __m512i, other: __m512i) -> __m512i {
    // SAFETY: only `Avx512` calls.
    unsafe { _mm512_mask_max_epu64(_mm512_min_epu64(v, other), LARGER, v, other) }
}

#[inline(always)]
unsafe fn swap1(v: __m512i) -> __m512i {
    // SAFETY: only `Avx512` calls.
    unsafe { _mm512_shuffle_epi32::<0b01_00_11_10>(v) }
}

#[inline(always)]
unsafe fn swap2(v: __m512i) -> __m512i {
    // SAFETY: only `Avx512` calls.
    unsafe { _mm512_permutex_epi64::<0b01_00_11_10>(v) }
}

#[inline(always)]
unsafe fn swap4(v: __m512i) -> __m512i {
    // SAFETY: only `Avx512` calls.
    unsafe { _mm512_shuffle_i64x2::<0b01_00_11_10>(v, v) }
}

/// Sorts a register that is bitonic.
#[inline(always)]
unsafe fn bitonic_lanes<const DESC: bool>(v: __m512i) -> __m512i {
    // SAFETY: only `Avx512` calls.
    unsafe {
        if DESC {
            let v = stage::<0b0000_1111>(v, swap4(v));
            let v = stage::<0b0011_0011>(v, swap2(v));
            stage::<0b0101_0101>(v, swap1(v))
        } else {
            let v = stage::<0b1111_0000>(v, swap4(v));
            let v = stage::<0b1100_1100>(v, swap2(v));
            stage::<0b1010_1010>(v, swap1(v))
        }
    }
}

/// Sorts a register.
#[inline(always)]
unsafe fn sort8<const DESC: bool>(v: __m512i) -> __m512i {
    // SAFETY: only `Avx512` calls.
    unsafe {
        let v = stage::<0b0110_0110>(v, swap1(v));
        let v = stage::<0b0011_1100>(v, swap2(v));
        let v = stage::<0b0101_1010>(v, swap1(v));
        bitonic_lanes::<DESC>(v)
    }
}

/// Sorts a bitonic sequence of `8 N` keys.
#[inline(always)]
unsafe fn bitonic<const N: usize, const DESC: bool>(v: &mut [__m512i; N]) {
    // SAFETY: only `Avx512` calls.
    unsafe {
        let mut stride = N / 2;
        while stride > 0 {
            for i in 0..N {
                if i & stride == 0 {
                    (v[i], v[i + stride]) = exchange::<DESC>(v[i], v[i + stride]);
                }
            }
            stride /= 2;
        }
        for v in v {
            *v = bitonic_lanes::<DESC>(*v);
        }
    }
}

/// Sixteen points as an ascending register of keys and a descending one.
#[inline(always)]
unsafe fn two_runs(d2: *const f32, id: *const u32) -> (__m512i, __m512i) {
    // SAFETY: only `Avx512` calls, with sixteen points behind the pointers.
    unsafe {
        let (d, i) = (_mm512_castps_si512(_mm512_loadu_ps(d2)), _mm512_loadu_si512(id.cast()));
        (sort8::<false>(_mm512_unpacklo_epi32(i, d)), sort8::<true>(_mm512_unpackhi_epi32(i, d)))
    }
}

#[inline(always)]
unsafe fn sort16_low8<const DESC: bool>(d2: *const f32, id: *const u32) -> [__m512i; 1] {
    // SAFETY: as `two_runs`.
    unsafe {
        let (a, b) = two_runs(d2, id);
        [bitonic_lanes::<DESC>(_mm512_min_epu64(a, b))]
    }
}

#[inline(always)]
unsafe fn sort16<const DESC: bool>(d2: *const f32, id: *const u32) -> [__m512i; 2] {
    // SAFETY: as `two_runs`.
    unsafe {
        let (a, b) = two_runs(d2, id);
        let mut v = [a, b];
        bitonic::<2, DESC>(&mut v);
        v
    }
}

#[inline(always)]
unsafe fn sort32<const DESC: bool>(d2: *const f32, id: *const u32) -> [__m512i; 4] {
    // SAFETY: as `two_runs`, with 32 points.
    unsafe {
        let ([a, b], [c, d]) = (sort16::<false>(d2, id), sort16::<true>(d2.add(16), id.add(16)));
        let mut v = [a, b, c, d];
        bitonic::<4, DESC>(&mut v);
        v
    }
}

#[inline(always)]
unsafe fn sort64<const DESC: bool>(d2: *const f32, id: *const u32) -> [__m512i; 8] {
    // SAFETY: as `two_runs`, with 64 points.
    unsafe {
        let ([a, b, c, d], [e, f, g, h]) = (sort32::<false>(d2, id), sort32::<true>(d2.add(32), id.add(32)));
        let mut v = [a, b, c, d, e, f, g, h];
        bitonic::<8, DESC>(&mut v);
        v
    }
}
