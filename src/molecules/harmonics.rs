//! Real spherical harmonics up to l = 3 of a direction, with their gradients.
//!
//! `Y_lm(d / |d|)`, m = -l..l, normalised so that the sum over m of `Y_lm^2` is 2l + 1. Written as polynomials `p(u)` of the unit
//! vector `u`; the gradient to the vector is `(I - u u^T) p'(u) / |d|`.

/// Harmonics up to l = 3.
pub(super) const COUNT: usize = 16;
/// The degree of each harmonic.
pub(super) const DEGREE: [usize; COUNT] = [0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3];

/// Values `[16]` at the unit vector `u`.
pub(super) fn harmonics([x, y, z]: [f64; 3]) -> [f64; COUNT] {
    let s = libm::sqrt;
    let (xx, yy, zz) = (x * x, y * y, z * z);
    [
        1.0,
        s(3.0) * y,
        s(3.0) * z,
        s(3.0) * x,
        s(15.0) * x * y,
        s(15.0) * y * z,
        s(5.0) / 2.0 * (3.0 * zz - 1.0),
        s(15.0) * x * z,
        s(15.0) / 2.0 * (xx - yy),
        s(35.0 / 8.0) * y * (3.0 * xx - yy),
        s(105.0) * x * y * z,
        s(21.0 / 8.0) * y * (5.0 * zz - 1.0),
        s(7.0) / 2.0 * z * (5.0 * zz - 3.0),
        s(21.0 / 8.0) * x * (5.0 * zz - 1.0),
        s(105.0) / 2.0 * z * (xx - yy),
        s(35.0 / 8.0) * x * (xx - 3.0 * yy),
    ]
}

/// Gradients `[16]` of the harmonics to the vector `r * u`, 1 / angstrom.
pub(super) fn gradients([x, y, z]: [f64; 3], r: f64) -> [[f64; 3]; COUNT] {
    let s = libm::sqrt;
    let (xx, yy, zz) = (x * x, y * y, z * z);
    let (a, b, c, d, e) = (s(15.0), s(35.0 / 8.0), s(105.0), s(21.0 / 8.0), s(7.0) / 2.0);
    let raw = [
        [0.0; 3],
        [0.0, s(3.0), 0.0],
        [0.0, 0.0, s(3.0)],
        [s(3.0), 0.0, 0.0],
        [a * y, a * x, 0.0],
        [0.0, a * z, a * y],
        [0.0, 0.0, s(5.0) * 3.0 * z],
        [a * z, 0.0, a * x],
        [a * x, -a * y, 0.0],
        [b * 6.0 * x * y, b * 3.0 * (xx - yy), 0.0],
        [c * y * z, c * x * z, c * x * y],
        [0.0, d * (5.0 * zz - 1.0), d * 10.0 * y * z],
        [0.0, 0.0, e * (15.0 * zz - 3.0)],
        [d * (5.0 * zz - 1.0), 0.0, d * 10.0 * x * z],
        [c * x * z, -c * y * z, c / 2.0 * (xx - yy)],
        [b * 3.0 * (xx - yy), -b * 6.0 * x * y, 0.0],
    ];
    raw.map(|[gx, gy, gz]| {
        let along = gx * x + gy * y + gz * z;
        [(gx - along * x) / r, (gy - along * y) / r, (gz - along * z) / r]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(d: [f64; 3]) -> [f64; COUNT] {
        let r = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
        harmonics(d.map(|v| v / r))
    }

    #[test]
    fn squares_sum_to_2l_plus_1_and_gradients_are_those() {
        let d: [f64; 3] = [0.3, -1.1, 0.7];
        let r = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
        let (y, dy, h) = (at(d), gradients(d.map(|v| v / r), r), 1e-6);
        for l in 0..4 {
            let sum: f64 = (l * l..(l + 1) * (l + 1)).map(|m| y[m] * y[m]).sum();
            assert!((sum - (2 * l + 1) as f64).abs() < 1e-12);
        }
        for axis in 0..3 {
            let (mut above, mut below) = (d, d);
            above[axis] += h;
            below[axis] -= h;
            let (above, below) = (at(above), at(below));
            for m in 0..COUNT {
                assert!((dy[m][axis] - (above[m] - below[m]) / (2.0 * h)).abs() < 1e-8, "m {m} axis {axis}");
            }
        }
    }
}
