//! The dense kernel: `out += x · wᵀ` on one thread, through the crate `gemm`.
//!
//! The law asks that a row of the product does not depend on the other rows. `gemm` chooses its path by the shape of the
//! whole product, so every call here has the same number of rows, [`BLOCK`], padded where the batch ends; a multiple of
//! every register tile's width, so that no row falls into a tile's odd end. The test below holds every batch of 1 to 512
//! rows against one long batch.

use gemm::{Parallelism, gemm};

/// Rows of every call.
const BLOCK: usize = 192;

/// Adds `x · wᵀ` to `out`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `out` `[rows, outputs]`, all row-major.
pub(super) fn multiply_add(rows: usize, inputs: usize, outputs: usize, x: &[f32], w: &[f32], out: &mut [f32]) {
    debug_assert!(x.len() == rows * inputs && w.len() == outputs * inputs && out.len() == rows * outputs);
    if inputs == 0 || outputs == 0 {
        return;
    }
    let whole = rows / BLOCK * BLOCK;
    let (x_blocks, x_rest) = x.split_at(whole * inputs);
    let (out_blocks, out_rest) = out.split_at_mut(whole * outputs);
    for (x, out) in x_blocks.chunks_exact(BLOCK * inputs).zip(out_blocks.chunks_exact_mut(BLOCK * outputs)) {
        multiply_block(inputs, outputs, x, w, out);
    }
    if rows > whole {
        let (mut x, mut out) = (vec![0.0; BLOCK * inputs], vec![0.0; BLOCK * outputs]);
        x[..x_rest.len()].copy_from_slice(x_rest);
        out[..out_rest.len()].copy_from_slice(out_rest);
        multiply_block(inputs, outputs, &x, w, &mut out);
        out_rest.copy_from_slice(&out[..out_rest.len()]);
    }
}

fn multiply_block(inputs: usize, outputs: usize, x: &[f32], w: &[f32], out: &mut [f32]) {
    assert!(x.len() == BLOCK * inputs && w.len() == outputs * inputs && out.len() == BLOCK * outputs);
    // SAFETY: the three slices have exactly the sizes that the dimensions and strides below span, as just asserted, and
    // `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm(
            BLOCK,
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
