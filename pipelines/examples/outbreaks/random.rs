//! A small generator of numbers that a seed reproduces (SplitMix64).

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, which: u64) -> Self {
        let mut random = Random(seed);
        random.0 = random.bits() ^ which.wrapping_mul(0xd134_2543_de82_ef95);
        random.bits();
        random
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
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
