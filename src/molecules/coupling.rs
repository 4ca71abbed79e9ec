//! The products that make invariants of a density's harmonics, channel by channel.
//!
//! Two lists of terms `out += c * a * b`. The first makes rows of `U` out of `U`: rows 0..16 are the harmonics `A_lm`, row 16 is
//! `A_00^2`, rows 17..20 are `p_l = sum_m A_lm^2 / sqrt(2l + 1)`, then come the coupled tensors `T^L(l1, l2)`, last a row of ones.
//! The second makes the invariants `B` out of `U`. Tensors are coupled by Gaunt coefficients (the integral of three harmonics
//! over the sphere / 4 pi), which are those of Clebsch and Gordan up to a factor for each (l1, l2, L).

use super::harmonics::{COUNT, harmonics};

/// One product: `out += c * a * b`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// Row that is added to.
    pub out: usize,
    /// Row of the first factor.
    pub a: usize,
    /// Row of the second factor.
    pub b: usize,
    /// The coefficient.
    pub c: f64,
}

/// Tensors (L, l1, l2), l1 <= l2.
const COUPLED: [[usize; 3]; 6] = [[1, 1, 2], [1, 2, 3], [2, 1, 1], [2, 2, 2], [2, 1, 3], [2, 3, 3]];
/// Tensors (index) times harmonics of the same degree.
const ORDER_3: [usize; 4] = [0, 1, 3, 5];
/// Their squares are functions of `p_1` and `p_2` alone.
const REDUCIBLE: [usize; 2] = [2, 3];

/// Both lists, with the numbers of rows of `U` and of invariants.
#[derive(Clone, Debug)]
pub(super) struct Coupling {
    /// Makes `U`.
    pub first: Vec<Term>,
    /// Makes `B`.
    pub second: Vec<Term>,
    /// Rows of `U`; the last is all ones.
    pub rows: usize,
    /// Invariants a channel.
    pub invariants: usize,
}

impl Coupling {
    /// The products of this architecture.
    pub(super) fn new() -> Coupling {
        let gaunt = gaunt();
        let mut first = vec![Term { out: 16, a: 0, b: 0, c: 1.0 }];
        for l in 1..4 {
            first.extend(degree(l).map(|m| Term { out: 16 + l, a: m, b: m, c: 1.0 / libm::sqrt((2 * l + 1) as f64) }));
        }
        let (mut row, mut at) = (20, [0; COUPLED.len()]);
        for (begin, [l, l1, l2]) in at.iter_mut().zip(COUPLED) {
            *begin = row;
            for out in degree(l) {
                for a in degree(l1) {
                    for b in degree(l2).filter(|&b| l1 != l2 || b >= a) {
                        let g = gaunt[a][b][out];
                        if g != 0.0 {
                            first.push(Term { out: row, a, b, c: if a == b { g } else { 2.0 * g } });
                        }
                    }
                }
                row += 1;
            }
        }
        let (second, invariants) = second(&at, row);
        Coupling { first, second, rows: row + 1, invariants }
    }
}

/// The terms of the invariants, and how many there are.
fn second(at: &[usize; COUPLED.len()], one: usize) -> (Vec<Term>, usize) {
    let term = |out, a, b| Term { out, a, b, c: 1.0 };
    let mut terms = vec![term(0, 0, one)];
    terms.extend((0..4).map(|l| term(1 + l, 16 + l, one)));
    terms.extend((0..4).map(|l| term(5 + l, 0, 16 + l)));
    let mut count = 9;
    for t in ORDER_3 {
        let l = COUPLED[t][0];
        terms.extend((0..2 * l + 1).map(|m| term(count, at[t] + m, l * l + m)));
        count += 1;
    }
    for l in 1..4 {
        for k in l..4 {
            terms.push(term(count, 16 + l, 16 + k));
            count += 1;
        }
    }
    for s in 0..COUPLED.len() {
        for t in s..COUPLED.len() {
            let l = COUPLED[s][0];
            if COUPLED[t][0] == l && !(s == t && REDUCIBLE.contains(&s)) {
                terms.extend((0..2 * l + 1).map(|m| term(count, at[s] + m, at[t] + m)));
                count += 1;
            }
        }
    }
    (terms, count)
}

/// The rows of degree `l`.
fn degree(l: usize) -> std::ops::Range<usize> {
    l * l..(l + 1) * (l + 1)
}

/// `[16, 16, 16]`, by a quadrature that is exact for these: 8 heights of Gauss and Legendre, 16 angles.
fn gaunt() -> [[[f64; COUNT]; COUNT]; COUNT] {
    const HEIGHTS: [[f64; 2]; 4] = [
        [0.183_434_642_495_649_8, 0.362_683_783_378_362],
        [0.525_532_409_916_329, 0.313_706_645_877_887_29],
        [0.796_666_477_413_626_7, 0.222_381_034_453_374_48],
        [0.960_289_856_497_536_2, 0.101_228_536_290_376_26],
    ];
    let mut sum = [[[0.0; COUNT]; COUNT]; COUNT];
    for [z, weight] in HEIGHTS.into_iter().flat_map(|[z, w]| [[z, w], [-z, w]]) {
        for step in 0..16 {
            let angle = f64::from(step) * std::f64::consts::PI / 8.0;
            let s = libm::sqrt(1.0 - z * z);
            let y = harmonics([s * libm::cos(angle), s * libm::sin(angle), z]);
            for a in 0..COUNT {
                for b in 0..COUNT {
                    for c in 0..COUNT {
                        sum[a][b][c] += weight / 32.0 * y[a] * y[b] * y[c];
                    }
                }
            }
        }
    }
    sum.map(|plane| plane.map(|row| row.map(|g| if g.abs() < 1e-12 { 0.0 } else { g })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The invariants of one channel.
    fn invariants(coupling: &Coupling, a: [f64; COUNT]) -> Vec<f64> {
        let mut u = vec![0.0; coupling.rows];
        u[..COUNT].copy_from_slice(&a);
        u[coupling.rows - 1] = 1.0;
        coupling.first.iter().for_each(|t| u[t.out] += t.c * u[t.a] * u[t.b]);
        let mut b = vec![0.0; coupling.invariants];
        coupling.second.iter().for_each(|t| b[t.out] += t.c * u[t.a] * u[t.b]);
        b
    }

    #[test]
    fn invariants_do_not_see_rotations_and_reflections() {
        let coupling = Coupling::new();
        let points: [[f64; 3]; 4] = [[1.0, 0.2, -0.4], [-0.3, 0.9, 0.5], [0.1, -0.7, 1.2], [0.6, 0.6, 0.1]];
        let (s, c) = (0.6, 0.8);
        let density = |turn: &dyn Fn([f64; 3]) -> [f64; 3]| {
            let mut a = [0.0; COUNT];
            for (n, p) in points.iter().enumerate() {
                let r = p.iter().map(|v| v * v).sum::<f64>().sqrt();
                let y = harmonics(turn(p.map(|v| v / r)));
                a.iter_mut().zip(y).for_each(|(a, y)| *a += (0.4 + n as f64) * y);
            }
            invariants(&coupling, a)
        };
        let plain = density(&|p| p);
        assert!(plain.iter().all(|b| b.abs() > 1e-3), "{plain:?}");
        for turned in [
            density(&|[x, y, z]| [c * x - s * y, s * x + c * y, z]),
            density(&|[x, y, z]| [x, c * y - s * z, s * y + c * z]),
            density(&|[x, y, z]| [-x, y, z]),
        ] {
            assert!(plain.iter().zip(&turned).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + a.abs())));
        }
    }

    #[test]
    fn as_many_as_the_training_has() {
        let coupling = Coupling::new();
        assert_eq!((coupling.first.len(), coupling.second.len(), coupling.invariants), (117, 80, 30));
    }
}
