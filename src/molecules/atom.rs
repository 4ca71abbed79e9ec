//! One atom's energy, and its gradient to the vectors of the atom's neighbours.
//!
//! With `R_lk(r) = sum_p W_plk f_p(r)`, where `f` are the radial functions of the pair's class:
//! `A_lmk = sum_j R_lk(r_j) Y_lm(d_j)`, invariants `B` of `A` (see `coupling.rs`), `u = w B + w0`, energy
//! `u_0 + sum_h v_h silu(u_h)`. The reverse pass gives `g = dE/dA`, and for each neighbour
//! `dE/dd = sum_lm (sum_k g R) grad Y_lm + (sum_p f'_p sum_lmk W g Y) d / r`.

use super::coupling::{Coupling, Term};
use super::harmonics::{COUNT, DEGREE, gradients, harmonics};
use super::radial::radial;
use super::read::{PairClass, Readout, Sizes};
use super::topology::length2;
use crate::layers::widened;

/// Degrees of the harmonics.
const DEGREES: usize = 4;
/// Partial sums of a dot product, so that it can run in vector registers in the same order everywhere.
const LANES: usize = 8;

/// What is kept of a neighbour between the two passes.
struct Around {
    unit: [f64; 3],
    r: f64,
    y: [f64; COUNT],
    /// `f'_p`, `[P]`.
    slope: Vec<f64>,
    /// `R_lk`, `[4 * K]`.
    mixed: Vec<f64>,
}

/// The buffers of one atom, used again for the next.
pub(super) struct Atom<'a> {
    coupling: &'a Coupling,
    sizes: Sizes,
    around: Vec<Around>,
    raw: Vec<f64>,
    raw_slope: Vec<f64>,
    u: Vec<f64>,
    u_bar: Vec<f64>,
    b: Vec<f64>,
    side: Vec<f64>,
    /// Results: the energy, and `dE/dd` of each neighbour.
    energy: f64,
    pulls: Vec<[f64; 3]>,
}

impl<'a> Atom<'a> {
    pub(super) fn new(coupling: &'a Coupling, sizes: Sizes) -> Self {
        let (k, zeros) = (sizes.channels, |n: usize| vec![0.0; n]);
        Atom {
            coupling,
            sizes,
            around: Vec::new(),
            raw: zeros(sizes.radial),
            raw_slope: zeros(sizes.radial),
            u: zeros(coupling.rows * k),
            u_bar: zeros(coupling.rows * k),
            b: zeros(coupling.invariants * k),
            side: zeros(DEGREES * k),
            energy: 0.0,
            pulls: Vec::new(),
        }
    }

    /// The atom's energy, eV. `neighbours` are vectors, angstrom, with their classes; `gradient` is called with each one's number
    /// and `dE/dd`, eV / angstrom.
    pub(super) fn energy(
        &mut self,
        neighbours: &[([f64; 3], &PairClass)],
        readout: &Readout,
        mut gradient: impl FnMut(usize, [f64; 3]),
    ) -> f64 {
        passes(self, neighbours, readout);
        self.pulls.iter().enumerate().for_each(|(n, pull)| gradient(n, *pull));
        self.energy
    }

    /// Fills `A`, the first rows of `u`.
    #[inline(always)]
    fn density(&mut self, neighbours: &[([f64; 3], &PairClass)]) {
        let (k, kept) = (self.sizes.channels, self.sizes.kept);
        self.u.fill(0.0);
        while self.around.len() < neighbours.len() {
            let (slope, mixed) = (vec![0.0; kept], vec![0.0; DEGREES * k]);
            self.around.push(Around { unit: [0.0; 3], r: 0.0, y: [0.0; COUNT], slope, mixed });
        }
        for ((d, class), around) in neighbours.iter().zip(&mut self.around) {
            around.r = libm::sqrt(length2(*d));
            around.unit = d.map(|v| v / around.r);
            around.y = harmonics(around.unit);
            radial(around.r, self.sizes.cutoff, &mut self.raw, &mut self.raw_slope);
            around.mixed.fill(0.0);
            for (p, slope) in around.slope.iter_mut().enumerate() {
                let of = &class.functions[p * self.raw.len()..][..self.raw.len()];
                *slope = dot(of, &self.raw_slope);
                add(&mut around.mixed, dot(of, &self.raw), &class.mix[p * DEGREES * k..][..DEGREES * k]);
            }
            for (row, (y, l)) in self.u.chunks_exact_mut(k).zip(around.y.into_iter().zip(DEGREE)) {
                add(row, y, &around.mixed[l * k..][..k]);
            }
        }
    }

    /// Fills the rest of `u`, and `b`.
    #[inline(always)]
    fn invariants(&mut self) {
        let k = self.sizes.channels;
        let (a, rest) = self.u.split_at_mut(COUNT * k);
        for &Term { out, a: i, b: j, c } in &self.coupling.first {
            add_product(&mut rest[(out - COUNT) * k..][..k], c, &a[i * k..][..k], &a[j * k..][..k]);
        }
        let one = rest.len() - k;
        rest[one..].fill(1.0);
        self.b.fill(0.0);
        for &Term { out, a, b, c } in &self.coupling.second {
            add_product(&mut self.b[out * k..][..k], c, &self.u[a * k..][..k], &self.u[b * k..][..k]);
        }
    }

    /// The energy; `b` becomes `dE/dB`.
    #[inline(always)]
    fn read_out(&mut self, readout: &Readout) -> f64 {
        let width = self.b.len();
        let row = |h: usize| &readout.weight[h * width..][..width];
        let mut energy = dot(row(0), &self.b) + readout.offset[0];
        let slopes: Vec<f64> = (1..readout.offset.len())
            .map(|h| {
                let u = dot(row(h), &self.b) + readout.offset[h];
                let gate = 1.0 / (1.0 + libm::exp(-u));
                energy += readout.out[h - 1] * u * gate;
                readout.out[h - 1] * gate * (1.0 + u * (1.0 - gate))
            })
            .collect();
        self.b.copy_from_slice(row(0));
        for (h, slope) in slopes.into_iter().enumerate() {
            add(&mut self.b, slope, row(h + 1));
        }
        energy
    }

    /// Fills `dE/dA`, the first rows of `u_bar`.
    #[inline(always)]
    fn backward(&mut self) {
        let k = self.sizes.channels;
        self.u_bar.fill(0.0);
        for &Term { out, a, b, c } in &self.coupling.second {
            let bar = &self.b[out * k..][..k];
            add_product(&mut self.u_bar[a * k..][..k], c, bar, &self.u[b * k..][..k]);
            add_product(&mut self.u_bar[b * k..][..k], c, bar, &self.u[a * k..][..k]);
        }
        let (a_bar, rest) = self.u_bar.split_at_mut(COUNT * k);
        for &Term { out, a, b, c } in &self.coupling.first {
            let bar = &rest[(out - COUNT) * k..][..k];
            add_product(&mut a_bar[a * k..][..k], c, bar, &self.u[b * k..][..k]);
            add_product(&mut a_bar[b * k..][..k], c, bar, &self.u[a * k..][..k]);
        }
    }

    /// `dE/dd` of neighbour `n`.
    #[inline(always)]
    fn pull(&mut self, n: usize, class: &PairClass) -> [f64; 3] {
        let (k, around) = (self.sizes.channels, &self.around[n]);
        self.side.fill(0.0);
        let mut turned = [0.0; 3];
        let slopes = gradients(around.unit, around.r);
        for (m, g) in self.u_bar.chunks_exact(k).take(COUNT).enumerate() {
            let l = DEGREE[m];
            add(&mut self.side[l * k..][..k], around.y[m], g);
            let t = dot(g, &around.mixed[l * k..][..k]);
            turned.iter_mut().zip(slopes[m]).for_each(|(sum, slope)| *sum += t * slope);
        }
        let along: f64 = (around.slope.iter().zip(class.mix.chunks_exact(DEGREES * k)))
            .map(|(slope, mix)| slope * dot(mix, &self.side))
            .sum();
        [0, 1, 2].map(|axis| turned[axis] + along * around.unit[axis])
    }
}

widened! {
    /// Both passes; fills `energy` and `pulls`.
    fn passes(atom: &mut Atom<'_>, neighbours: &[([f64; 3], &PairClass)], readout: &Readout) {
        atom.density(neighbours);
        atom.invariants();
        atom.energy = atom.read_out(readout);
        atom.backward();
        atom.pulls.clear();
        for (n, (_, class)) in neighbours.iter().enumerate() {
            let pull = atom.pull(n, class);
            atom.pulls.push(pull);
        }
    }
}

#[inline(always)]
fn add(out: &mut [f64], c: f64, x: &[f64]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += c * x);
}

#[inline(always)]
fn add_product(out: &mut [f64], c: f64, x: &[f64], y: &[f64]) {
    out.iter_mut().zip(x.iter().zip(y)).for_each(|(out, (x, y))| *out += c * x * y);
}

#[inline(always)]
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (x, y) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x.zip(y) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + rest
}
