//! AVX2: packing by a table of permutations, keys compared as doubles (see [`super::network`]).

use super::isa::{Isa, Job, Keys};
use super::layout::LANES;
use super::network::{self, Quads};
use std::arch::x86_64::*;

/// Proof that the processor has AVX2, and the bit instructions that came before it or with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The token, if the processor has the instructions.
    pub(super) fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Avx2(()))
    }
}

/// For every mask, the indices of its set bits, one byte each, lowest first.
static PACK: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut bit, mut to) = (0, 0);
        while bit < 8 {
            if mask >> bit & 1 == 1 {
                table[mask] |= (bit as u64) << (8 * to);
                to += 1;
            }
            bit += 1;
        }
        mask += 1;
    }
    table
};

#[inline(always)]
unsafe fn indices(mask: u32) -> __m256i {
    // SAFETY: a mask has eight bits.
    unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(PACK.as_ptr().add(mask as usize).cast())) }
}

impl Isa for Avx2 {
    type F = __m256;

    fn run<J: Job>(self, job: J) -> J::Out {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn enabled<J: Job>(isa: Avx2, job: J) -> J::Out {
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
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(a, b)) as u32 }
    }
    #[inline(always)]
    fn equal(self, a: &[u32; LANES], b: u32) -> u32 {
        // SAFETY: the token; the array has eight lanes.
        unsafe {
            let equal = _mm256_cmpeq_epi32(_mm256_loadu_si256(a.as_ptr().cast()), _mm256_set1_epi32(b as i32));
            _mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32
        }
    }
    #[inline(always)]
    fn pack(self, v: __m256, mask: u32, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: the token; eight lanes fit.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_permutevar8x32_ps(v, indices(mask))) }
    }
    #[inline(always)]
    fn pack_ids(self, v: &[u32; LANES], mask: u32, to: &mut [u32]) {
        let to = &mut to[..LANES];
        // SAFETY: the token; eight lanes fit.
        unsafe {
            let v = _mm256_loadu_si256(v.as_ptr().cast());
            _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(v, indices(mask)));
        }
    }
    #[inline(always)]
    fn extract(self, v: u64, mask: u64) -> u64 {
        // SAFETY: the token.
        unsafe { _pext_u64(v, mask) }
    }
    #[inline(always)]
    fn columns(self, from: [&[u64; 2]; 3], to: [&mut [u16; 8]; 2]) {
        // SAFETY: the token; two rows of eight columns each are read, and fit.
        unsafe {
            let [low, at, high] = from.map(|v| _mm256_cvtepu8_epi16(_mm_loadu_si128(v.as_ptr().cast())));
            let v = _mm256_or_si256(_mm256_srli_epi16::<5>(low), _mm256_slli_epi16::<3>(at));
            let v = _mm256_or_si256(v, _mm256_slli_epi16::<11>(high));
            let [first, second] = to;
            _mm_storeu_si128(first.as_mut_ptr().cast(), _mm256_castsi256_si128(v));
            _mm_storeu_si128(second.as_mut_ptr().cast(), _mm256_extracti128_si256::<1>(v));
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, value: &T) {
        // SAFETY: the token; a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[inline(always)]
    fn select<const R: usize>(self, d2: &[f32], id: &[u32], out: &mut Keys) {
        network::select::<Self, R>(self, d2, id, out);
    }
}

impl Quads for Avx2 {
    type K = __m256d;

    #[inline(always)]
    fn min_keys(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_min_pd(a, b) }
    }
    #[inline(always)]
    fn max_keys(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_max_pd(a, b) }
    }
    #[inline(always)]
    fn even(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_unpacklo_pd(a, b) }
    }
    #[inline(always)]
    fn odd(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_unpackhi_pd(a, b) }
    }
    #[inline(always)]
    fn low(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_permute2f128_pd::<0x20>(a, b) }
    }
    #[inline(always)]
    fn high(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_permute2f128_pd::<0x31>(a, b) }
    }
    #[inline(always)]
    fn splat_key(self, key: u64) -> __m256d {
        // SAFETY: the token.
        unsafe { _mm256_set1_pd(f64::from_bits(key)) }
    }
    #[inline(always)]
    fn keys(self, d2: &[f32; 8], id: &[u32; 8]) -> [__m256d; 2] {
        // SAFETY: the token; the arrays have eight lanes.
        unsafe {
            let d = _mm256_castps_si256(_mm256_loadu_ps(d2.as_ptr()));
            let i = _mm256_loadu_si256(id.as_ptr().cast());
            [_mm256_castsi256_pd(_mm256_unpacklo_epi32(i, d)), _mm256_castsi256_pd(_mm256_unpackhi_epi32(i, d))]
        }
    }
    #[inline(always)]
    fn key_array(self, v: __m256d) -> [u64; 4] {
        let mut out = [0; 4];
        // SAFETY: the token; the array has four lanes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_castpd_si256(v)) }
        out
    }
}
