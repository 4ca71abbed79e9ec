//! The scalar twin that every other instruction set is tested against.

use super::isa::{Isa, Job, Keys, SENTINEL, key};
use super::layout::LANES;

/// No instruction set in particular.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn mask(f: impl Fn(usize) -> bool) -> u32 {
    (0..LANES).fold(0, |mask, i| mask | u32::from(f(i)) << i)
}

#[inline(always)]
fn pack<T: Copy>(v: &[T; LANES], mask: u32, to: &mut [T]) {
    let mut at = 0;
    for (i, &v) in v.iter().enumerate() {
        to[at] = v;
        at += (mask >> i & 1) as usize;
    }
}

impl Isa for Scalar {
    type F = [f32; LANES];

    #[inline(never)] // a job within a job is a function of its own, as with the other instruction sets: half the code to compile
    fn run<J: Job>(self, job: J) -> J::Out {
        job.run(self)
    }
    #[inline(always)]
    fn splat(self, v: f32) -> Self::F {
        [v; LANES]
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        *from
    }
    #[inline(always)]
    fn array(self, v: Self::F) -> [f32; LANES] {
        v
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn le(self, a: Self::F, b: Self::F) -> u32 {
        mask(|i| a[i] <= b[i])
    }
    #[inline(always)]
    fn equal(self, a: &[u32; LANES], b: u32) -> u32 {
        mask(|i| a[i] == b)
    }
    #[inline(always)]
    fn pack(self, v: Self::F, mask: u32, to: &mut [f32]) {
        pack(&v, mask, to);
    }
    #[inline(always)]
    fn pack_ids(self, v: &[u32; LANES], mask: u32, to: &mut [u32]) {
        pack(v, mask, to);
    }
    #[inline(never)]
    fn select<const R: usize>(self, d2: &[f32], id: &[u32], out: &mut Keys) {
        out[..R].fill(SENTINEL);
        for (&d2, &id) in d2.iter().zip(id) {
            let key = key(d2, id);
            let mut at = R;
            while at > 0 && out[at - 1] > key {
                if at < R {
                    out[at] = out[at - 1];
                }
                at -= 1;
            }
            if at < R {
                out[at] = key;
            }
        }
    }
}
