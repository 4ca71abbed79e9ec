//! Random numbers that depend on a key alone: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) from the crate `rand_xoshiro`.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// What SplitMix64 adds to its state before it mixes it.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's mixing of 64 bits, as a hash.
pub(super) fn mix(z: u64) -> u64 {
    SplitMix64::seed_from_u64(z.wrapping_sub(STEP)).next_u64()
}

/// A generator of its own for each key.
pub(super) struct Dice(SplitMix64);

impl Dice {
    /// The generator of a simulation's seed, of what it decides, and for which of them.
    pub(super) fn new(seed: u64, what: u64, which: i64) -> Dice {
        let key = mix(seed ^ mix(what.wrapping_add(mix(which as u64).rotate_left(17))));
        Dice(SplitMix64::seed_from_u64(key))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in 0 ≤ u < 1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    pub(super) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// Mean 0, deviation 1, nearly normal: the sum of four uniforms.
    pub(super) fn bell(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        (sum as f32 / 65536.0 - 2.0) * 1.732_050_8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first outputs of the reference implementation for the seed 1234567.
        let mut dice = Dice(SplitMix64::seed_from_u64(1_234_567));
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([0; 3].map(|_| dice.bits()), published);
        assert_eq!(mix(1_234_567 + STEP), published[0]);
        // A key's first numbers, by hand (Python): a simulation is the same in every version.
        let mut dice = Dice::new(7, 4, -3);
        assert_eq!([0; 2].map(|_| dice.bits()), [12_539_144_675_655_762_252, 4_769_255_599_169_769_835]);
    }
}
