//! The radial functions: `phi_n(r) = sin(n pi r / c) / r * u(r / c)`, n = 1..N, with `u(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8`.
//!
//! Bessel functions and envelope of DimeNet (Gasteiger et al., ICLR 2020, equations 7 and 8 with p = 6).

/// `phi_n(r)` and its derivative, `[N]` each, for `0 < r < cutoff` in angstrom.
pub(super) fn radial(r: f64, cutoff: f64, phi: &mut [f64], slope: &mut [f64]) {
    let x = r / cutoff;
    let x5 = x * x * x * x * x;
    let u = 1.0 - x5 * x * (28.0 - x * (48.0 - 21.0 * x));
    let du = -168.0 * x5 * (1.0 - x) * (1.0 - x) / cutoff;
    let wave = std::f64::consts::PI / cutoff;
    let (sin, cos) = (libm::sin(wave * r), libm::cos(wave * r));
    let (mut s, mut c) = (sin, cos);
    let mut n = 1.0;
    for (phi, slope) in phi.iter_mut().zip(slope) {
        *phi = s / r * u;
        *slope = (n * wave * c - s / r) / r * u + s / r * du;
        (s, c) = (s * cos + c * sin, c * cos - s * sin);
        n += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_slopes() {
        let at = |r| {
            let (mut phi, mut slope) = ([0.0; 10], [0.0; 10]);
            radial(r, 5.0, &mut phi, &mut slope);
            (phi, slope)
        };
        for r in [0.9, 1.5, 3.0, 4.99] {
            let ((phi, slope), h) = (at(r), 1e-5);
            let (above, below) = (at(r + h).0, at(r - h).0);
            let x: f64 = r / 5.0;
            let u = 1.0 - 28.0 * x.powi(6) + 48.0 * x.powi(7) - 21.0 * x.powi(8);
            for n in 0..10 {
                let expected = ((n + 1) as f64 * std::f64::consts::PI * x).sin() / r * u;
                assert!((phi[n] - expected).abs() < 1e-12, "n {n} r {r}");
                assert!((slope[n] - (above[n] - below[n]) / (2.0 * h)).abs() < 1e-7, "n {n} r {r}");
            }
        }
    }
}
