//! The dense kernel: `out += x · wᵀ` on one thread, through the crate `gemm`.
//!
//! The law asks that a row of the product does not depend on the other rows. `gemm` sends very small batches down
//! another path, so batches are padded to a multiple of [`BLOCK`] rows; within its block path every entry is one sum over
//! the input channels in ascending order. The test below holds every batch of 1 to 512 rows against single rows.

use gemm::{Parallelism, gemm};

/// Rows are padded to a multiple of this.
const BLOCK: usize = 16;

/// Adds `x · wᵀ` to `out`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `out` `[rows, outputs]`, all row-major.
pub(super) fn multiply_add(rows: usize, inputs: usize, outputs: usize, x: &[f32], w: &[f32], out: &mut [f32]) {
    debug_assert!(x.len() == rows * inputs && w.len() == outputs * inputs && out.len() == rows * outputs);
    let whole = rows / BLOCK * BLOCK;
    let rest = rows - whole;
    if whole > 0 {
        multiply_blocks(whole, inputs, outputs, &x[..whole * inputs], w, &mut out[..whole * outputs]);
    }
    if rest > 0 {
        let mut padded = vec![0.0; BLOCK * inputs];
        padded[..rest * inputs].copy_from_slice(&x[whole * inputs..]);
        let mut result = vec![0.0; BLOCK * outputs];
        result[..rest * outputs].copy_from_slice(&out[whole * outputs..]);
        multiply_blocks(BLOCK, inputs, outputs, &padded, w, &mut result);
        out[whole * outputs..].copy_from_slice(&result[..rest * outputs]);
    }
}

fn multiply_blocks(rows: usize, inputs: usize, outputs: usize, x: &[f32], w: &[f32], out: &mut [f32]) {
    assert!(x.len() == rows * inputs && w.len() == outputs * inputs && out.len() == rows * outputs);
    if inputs == 0 || outputs == 0 {
        return;
    }
    // SAFETY: the three slices have exactly the sizes that the dimensions and strides below span, as just asserted, and
    // `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm(
            rows,
            outputs,
            inputs,
            out.as_mut_ptr(),
            1,
            outputs as isize,
            true,
            x.as_ptr(),
            1,
            inputs as isize,
            w.as_ptr(),
            inputs as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32).map(|i| ((i.wrapping_mul(2654435761) ^ seed) >> 8) as f32 / 1e7 - 0.8).collect()
    }

    #[test]
    fn a_row_of_the_product_does_not_depend_on_the_batch() {
        for (inputs, outputs) in [(3, 8), (16, 32), (32, 32), (44, 64), (128, 128), (172, 192), (300, 19), (1, 1)] {
            let (x, w) = (values(513 * inputs, 1), values(outputs * inputs, 2));
            let mut all = vec![0.5; 513 * outputs];
            multiply_add(513, inputs, outputs, &x, &w, &mut all);
            for rows in 1..=512 {
                for first in [0, 513 - rows] {
                    let mut some = vec![0.5; rows * outputs];
                    multiply_add(rows, inputs, outputs, &x[first * inputs..][..rows * inputs], &w, &mut some);
                    let same = some.iter().zip(&all[first * outputs..]).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{rows} rows from {first}, {inputs} to {outputs} channels");
                }
            }
        }
    }

    #[test]
    fn the_product_is_the_plain_sum_over_channels() {
        for (rows, inputs, outputs) in [(1, 5, 3), (7, 64, 33), (40, 130, 20)] {
            let (x, w) = (values(rows * inputs, 3), values(outputs * inputs, 4));
            let mut out = vec![0.25; rows * outputs];
            multiply_add(rows, inputs, outputs, &x, &w, &mut out);
            for r in 0..rows {
                for o in 0..outputs {
                    let exact: f64 =
                        (0..inputs).map(|i| f64::from(x[r * inputs + i]) * f64::from(w[o * inputs + i])).sum();
                    assert!((f64::from(out[r * outputs + o]) - exact - 0.25).abs() < 1e-4);
                }
            }
        }
    }
}
