//! Random numbers that a seed reproduces: SplitMix64 from the crate `rand_xoshiro`.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

pub struct Random(SplitMix64);

impl Random {
    pub fn new(seed: u64, which: u64) -> Self {
        let first = SplitMix64::seed_from_u64(seed).next_u64();
        let mut random = Random(SplitMix64::seed_from_u64(first ^ which.wrapping_mul(0xd134_2543_de82_ef95)));
        random.bits();
        random
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Log-uniform.
    pub fn about(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// An exponential time (ns) of a rate per second; far beyond every as-of time at rate 0.
    pub fn wait(&mut self, rate: f64) -> i64 {
        (-(1.0 - self.unit()).ln() / rate * 1e9).min(1e18) as i64
    }
}
