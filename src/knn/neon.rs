//! NEON: a pair of registers for eight lanes of `f32` or four keys; packing by byte shuffles, keys compared as doubles (see
//! [`super::network`]).

use super::isa::{Isa, Job, Keys};
use super::layout::LANES;
use super::network::{self, Quads};
use std::arch::aarch64::*;

/// Proof that the processor has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    /// The token, if the processor has the instructions.
    pub(super) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }
}

/// For every mask of four lanes, the bytes of its set lanes, lowest first.
static PACK: [[u8; 16]; 16] = {
    let mut table = [[0; 16]; 16];
    let mut mask = 0;
    while mask < 16 {
        let (mut lane, mut to) = (0, 0);
        while lane < 4 {
            if mask >> lane & 1 == 1 {
                let mut byte = 0;
                while byte < 4 {
                    table[mask][4 * to + byte] = (4 * lane + byte) as u8;
                    byte += 1;
                }
                to += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
};

/// The bits of four lanes that are all ones or all zeros.
#[inline(always)]
unsafe fn bits(v: uint32x4_t) -> u32 {
    const WEIGHTS: [u32; 4] = [1, 2, 4, 8];
    // SAFETY: only `Neon` calls; the array has four lanes.
    unsafe { vaddvq_u32(vandq_u32(v, vld1q_u32(WEIGHTS.as_ptr()))) }
}

/// Packs eight lanes to the front of eight.
#[inline(always)]
unsafe fn pack(v: [uint32x4_t; 2], mask: u32, to: *mut u32) {
    // SAFETY: only `Neon` calls, with room for eight at `to`; the second four begin after at most four.
    unsafe {
        let pick = |v, mask: u32| {
            let table = vld1q_u8(PACK[mask as usize].as_ptr());
            vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(v), table))
        };
        let (low, high) = (mask & 15, mask >> 4 & 15);
        vst1q_u32(to, pick(v[0], low));
        vst1q_u32(to.add(low.count_ones() as usize), pick(v[1], high));
    }
}

impl Isa for Neon {
    type F = [float32x4_t; 2];

    fn run<J: Job>(self, job: J) -> J::Out {
        #[target_feature(enable = "neon")]
        fn enabled<J: Job>(isa: Neon, job: J) -> J::Out {
            job.run(isa)
        }
        // SAFETY: the token.
        unsafe { enabled(self, job) }
    }
    #[inline(always)]
    fn splat(self, v: f32) -> Self::F {
        // SAFETY: the token.
        unsafe { [vdupq_n_f32(v); 2] }
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        // SAFETY: the token; the array has eight lanes.
        unsafe { [vld1q_f32(from.as_ptr()), vld1q_f32(from.as_ptr().add(4))] }
    }
    #[inline(always)]
    fn array(self, v: Self::F) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: the token; the array has eight lanes.
        unsafe {
            vst1q_f32(out.as_mut_ptr(), v[0]);
            vst1q_f32(out.as_mut_ptr().add(4), v[1]);
        }
        out
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the token.
        unsafe { [vaddq_f32(a[0], b[0]), vaddq_f32(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the token.
        unsafe { [vsubq_f32(a[0], b[0]), vsubq_f32(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the token.
        unsafe { [vmulq_f32(a[0], b[0]), vmulq_f32(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the token.
        unsafe { [vminq_f32(a[0], b[0]), vminq_f32(a[1], b[1])] }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: the token.
        unsafe { [vmaxq_f32(a[0], b[0]), vmaxq_f32(a[1], b[1])] }
    }
    #[inline(always)]
    fn le(self, a: Self::F, b: Self::F) -> u32 {
        // SAFETY: the token.
        unsafe { bits(vcleq_f32(a[0], b[0])) | bits(vcleq_f32(a[1], b[1])) << 4 }
    }
    #[inline(always)]
    fn equal(self, a: &[u32; LANES], b: u32) -> u32 {
        // SAFETY: the token; the array has eight lanes.
        unsafe {
            let b = vdupq_n_u32(b);
            let (low, high) = (vld1q_u32(a.as_ptr()), vld1q_u32(a.as_ptr().add(4)));
            bits(vceqq_u32(low, b)) | bits(vceqq_u32(high, b)) << 4
        }
    }
    #[inline(always)]
    fn pack(self, v: Self::F, mask: u32, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: the token; eight lanes fit.
        unsafe { pack([vreinterpretq_u32_f32(v[0]), vreinterpretq_u32_f32(v[1])], mask, to.as_mut_ptr().cast()) }
    }
    #[inline(always)]
    fn pack_ids(self, v: &[u32; LANES], mask: u32, to: &mut [u32]) {
        let to = &mut to[..LANES];
        // SAFETY: the token; eight lanes fit.
        unsafe { pack([vld1q_u32(v.as_ptr()), vld1q_u32(v.as_ptr().add(4))], mask, to.as_mut_ptr()) }
    }
    #[inline(always)]
    fn select<const R: usize>(self, d2: &[f32], id: &[u32], out: &mut Keys) {
        network::select::<Self, R>(self, d2, id, out);
    }
}

impl Quads for Neon {
    type K = [float64x2_t; 2];

    #[inline(always)]
    fn min_keys(self, a: Self::K, b: Self::K) -> Self::K {
        // SAFETY: the token.
        unsafe { [vminq_f64(a[0], b[0]), vminq_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn max_keys(self, a: Self::K, b: Self::K) -> Self::K {
        // SAFETY: the token.
        unsafe { [vmaxq_f64(a[0], b[0]), vmaxq_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn even(self, a: Self::K, b: Self::K) -> Self::K {
        // SAFETY: the token.
        unsafe { [vzip1q_f64(a[0], b[0]), vzip1q_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn odd(self, a: Self::K, b: Self::K) -> Self::K {
        // SAFETY: the token.
        unsafe { [vzip2q_f64(a[0], b[0]), vzip2q_f64(a[1], b[1])] }
    }
    #[inline(always)]
    fn low(self, a: Self::K, b: Self::K) -> Self::K {
        [a[0], b[0]]
    }
    #[inline(always)]
    fn high(self, a: Self::K, b: Self::K) -> Self::K {
        [a[1], b[1]]
    }
    #[inline(always)]
    fn splat_key(self, key: u64) -> Self::K {
        // SAFETY: the token.
        unsafe { [vdupq_n_f64(f64::from_bits(key)); 2] }
    }
    #[inline(always)]
    fn keys(self, d2: &[f32; 8], id: &[u32; 8]) -> [Self::K; 2] {
        // SAFETY: the token; the arrays have eight lanes.
        unsafe {
            let key = |at: usize| {
                let (d, i) = (vreinterpretq_u32_f32(vld1q_f32(d2.as_ptr().add(at))), vld1q_u32(id.as_ptr().add(at)));
                [vreinterpretq_f64_u32(vzip1q_u32(i, d)), vreinterpretq_f64_u32(vzip2q_u32(i, d))]
            };
            [key(0), key(4)]
        }
    }
    #[inline(always)]
    fn key_array(self, v: Self::K) -> [u64; 4] {
        let mut out = [0; 4];
        // SAFETY: the token; the array has four lanes.
        unsafe {
            vst1q_u64(out.as_mut_ptr(), vreinterpretq_u64_f64(v[0]));
            vst1q_u64(out.as_mut_ptr().add(2), vreinterpretq_u64_f64(v[1]));
        }
        out
    }
}
