//! Models of the spread of infection against enumeration, against `sib`, and under contradictions.

mod data;
mod enumeration;
mod exact;
mod extremes;
mod published;
mod sib;
mod tgnn;
mod town;
mod trees;

use std::num::Wrapping;

/// A small generator of numbers, for scripts that a seed reproduces (SplitMix64).
pub struct Random(Wrapping<u64>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(Wrapping(seed))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 += 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0;
        z = (z ^ (z >> 30)) * Wrapping(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)) * Wrapping(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).0
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}
