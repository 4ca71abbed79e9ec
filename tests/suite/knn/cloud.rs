//! Points of many shapes from a seed, and the brute-force answer.

use thalweg::knn::Points3;

use crate::random::Random;

/// Uniform in 0 ≤ u < 1.
pub fn unit(random: &mut Random) -> f32 {
    (random.bits() >> 40) as f32 / (1u64 << 24) as f32
}

/// Points as columns.
#[derive(Clone, Default)]
pub struct Cloud {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
    pub z: Vec<f32>,
}

impl Cloud {
    pub fn push(&mut self, p: [f32; 3]) {
        self.x.push(p[0]);
        self.y.push(p[1]);
        self.z.push(p[2]);
    }

    pub fn len(&self) -> usize {
        self.x.len()
    }

    pub fn get(&self, i: usize) -> [f32; 3] {
        [self.x[i], self.y[i], self.z[i]]
    }

    pub fn points(&self) -> Points3<'_> {
        Points3::new(&self.x, &self.y, &self.z).unwrap()
    }
}

/// The shapes of [`point`].
pub const SHAPES: &[&str] = &[
    "uniform",
    "rings",
    "clusters",
    "grid",
    "line",
    "one place",
    "two places",
    "outlier",
    "utm",
    "huge",
    "overflow",
    "denormal",
    "zeros",
];

/// One random point of a shape.
pub fn point(shape: &str, rng: &mut Random) -> [f32; 3] {
    let p = [unit(rng), unit(rng), unit(rng)];
    let uniform = |scale: f32| p.map(|v| v * scale);
    match shape {
        "uniform" => uniform(10.0),
        "rings" => {
            let (ring, turn) = (rng.below(16), rng.below(500) as f32 * 0.0125);
            let range = 3.0 + ring as f32 * ring as f32 * 0.4 + unit(rng) * 0.02;
            [range * turn.cos(), range * turn.sin(), -1.7 + unit(rng) * 0.02]
        }
        "clusters" => {
            let centre = rng.below(9) as f32 * 7.0;
            let p = uniform(0.5);
            [centre + p[0] * p[0], p[1] * p[2], centre * 0.5 + p[2]]
        }
        "grid" => [rng.below(12) as f32, rng.below(12) as f32, rng.below(5) as f32],
        "line" => [rng.below(2000) as f32 * 0.25, 3.0, -1.0],
        "one place" => [1.5, -2.5, 0.1],
        "two places" => [rng.below(2) as f32 * 3.0, 0.0, 0.0],
        "outlier" => {
            let far = if rng.below(300) == 0 { 1e6 } else { 0.0 };
            let p = uniform(1.0);
            [p[0] + far, p[1], p[2]]
        }
        "utm" => {
            let p = uniform(40.0);
            [691_000.0 + p[0], 5_334_000.0 + p[1], 500.0 + p[2]]
        }
        "huge" => uniform(1e19),
        "overflow" => {
            let p = uniform(2.0);
            [(p[0] - 1.0) * 3e38, (p[1] - 1.0) * 1e20, p[2] * 1e18]
        }
        "denormal" => uniform(3e-22),
        "zeros" => {
            let p = uniform(10.0);
            if rng.below(3) == 0 { p } else { [0.0, -0.0, 0.0] }
        }
        other => unreachable!("shape {other}"),
    }
}

/// `n` points of a shape.
pub fn cloud(shape: &str, n: usize, rng: &mut Random) -> Cloud {
    let mut cloud = Cloud::default();
    for _ in 0..n {
        cloud.push(point(shape, rng));
    }
    cloud
}

/// Squared distance as the contract has it.
pub fn d2(a: [f32; 3], b: [f32; 3]) -> f32 {
    let (dx, dy, dz) = (a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    dx * dx + dy * dy + dz * dz
}

/// The `k` smallest (squared distance, index) of all points but `own`.
pub fn brute(cloud: &Cloud, q: [f32; 3], own: Option<usize>, k: usize) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> =
        (0..cloud.len()).filter(|&i| Some(i) != own).map(|i| (d2(q, cloud.get(i)).to_bits(), i as u32)).collect();
    if k < all.len() {
        all.select_nth_unstable(k);
    }
    all.truncate(k);
    all.sort_unstable();
    all
}
