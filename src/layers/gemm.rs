//! The dense kernel: `out += x · wᵀ` on one thread, through the crate `gemm`.
//!
//! The law asks that a row of the product does not depend on the other rows. `gemm` chooses its path by the shape of the
//! whole product, so every call here has the same number of rows, [`BLOCK`], padded where the batch ends; a multiple of
//! every register tile's width, so that no row falls into a tile's odd end. A few rows are multiplied here one by one, where the
//! processor fuses: an entry is a chain of fused multiply-adds in the order of the channels, as in `gemm`. The test below holds every
//! batch of 1 to 512 rows against one long batch.

use gemm::{Parallelism, gemm};

use super::{Matrix, dense_path};
use crate::Error;

/// Rows of every call.
const BLOCK: usize = 192;
/// Up to so many rows are multiplied one by one: a call of [`BLOCK`] rows would take longer.
const FEW: usize = 12;
/// Channels of every call: `gemm` sums up so many before it adds the sum to what stands in its output, and would cut more as the caches are.
const DEPTH: usize = 512;

/// Adds `x · wᵀ` to `out`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `out` `[rows, outputs]`; an error where they are not.
pub(super) fn multiply_add(x: &Matrix, w: &Matrix, out: &mut Matrix) -> Result<(), Error> {
    check(x, w, out)?;
    multiply_rows(x.data(), w, out.data_mut(), true);
    Ok(())
}

/// Writes `x · wᵀ` over `out`; shapes as for [`multiply_add`].
pub(super) fn multiply(x: &Matrix, w: &Matrix, out: &mut Matrix) -> Result<(), Error> {
    check(x, w, out)?;
    if w.cols() == 0 {
        out.data_mut().fill(0.0);
    }
    multiply_rows(x.data(), w, out.data_mut(), false);
    Ok(())
}

/// Adds `x · wᵀ` to `out`, rows given flat: as many of `inputs` channels as there are of `outputs` channels.
pub(super) fn multiply_add_block(x: &[f32], w: &Matrix, out: &mut [f32]) -> Result<(), Error> {
    let whole = [x.len() * w.rows(), x.len() % w.cols().max(1)];
    Error::unless_same("a block of a linear layer", [out.len() * w.cols(), 0], whole)?;
    multiply_rows(x, w, out, true);
    Ok(())
}

fn check(x: &Matrix, w: &Matrix, out: &Matrix) -> Result<(), Error> {
    Error::unless_same("the input of a linear layer", x.shape(), [x.rows(), w.cols()])?;
    Error::unless_same("the output of a linear layer", out.shape(), [x.rows(), w.rows()])
}

fn multiply_rows(x: &[f32], w: &Matrix, out: &mut [f32], add: bool) {
    let (inputs, outputs, w) = (w.cols(), w.rows(), w.data());
    if inputs == 0 || outputs == 0 {
        return;
    }
    let whole = x.len() / inputs / BLOCK * BLOCK;
    let (x_blocks, x_rest) = x.split_at(whole * inputs);
    let (out_blocks, out_rest) = out.split_at_mut(whole * outputs);
    for (x, out) in x_blocks.chunks_exact(BLOCK * inputs).zip(out_blocks.chunks_exact_mut(BLOCK * outputs)) {
        multiply_block(inputs, outputs, x, w, out, add);
    }
    // Products with a vector and outer products go other ways through `gemm`.
    let usual = inputs > 2 && outputs > 1;
    if usual && x_rest.len() <= FEW * inputs && few(x_rest, w, out_rest, inputs, add) {
        return;
    }
    if !x_rest.is_empty() {
        let (mut x, mut out) = (vec![0.0; BLOCK * inputs], vec![0.0; BLOCK * outputs]);
        x[..x_rest.len()].copy_from_slice(x_rest);
        out[..out_rest.len()].copy_from_slice(out_rest);
        multiply_block(inputs, outputs, &x, w, &mut out, add);
        out_rest.copy_from_slice(&out[..out_rest.len()]);
    }
}

/// Multiplies a few rows, where the processor has fused multiply-adds; else does nothing and says so.
fn few(x: &[f32], w: &[f32], out: &mut [f32], inputs: usize, add: bool) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(x: &[f32], w: &[f32], out: &mut [f32], inputs: usize, add: bool) {
            chains(x, w, out, inputs, add);
        }
        if dense_path() != "scalar" && std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: `fused` needs AVX2 and FMA alone, and the processor has both: every dense path but the scalar one asks for FMA.
            unsafe { fused(x, w, out, inputs, add) };
            return true;
        }
    }
    let _ = (x, w, out, inputs, add);
    false
}

/// Each entry as chains of fused multiply-adds over [`DEPTH`] channels, several entries at a time.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
fn chains(x: &[f32], w: &[f32], out: &mut [f32], inputs: usize, add: bool) {
    const TOGETHER: usize = 16;
    let outputs = w.len() / inputs;
    for (x, out) in x.chunks_exact(inputs).zip(out.chunks_exact_mut(outputs)) {
        for (w, out) in w.chunks(TOGETHER * inputs).zip(out.chunks_mut(TOGETHER)) {
            for first in (0..inputs).step_by(DEPTH) {
                let last = inputs.min(first + DEPTH);
                let mut sums = [0.0f32; TOGETHER];
                if out.len() == TOGETHER {
                    let rows: [&[f32]; TOGETHER] = std::array::from_fn(|o| &w[o * inputs..][first..last]);
                    for (k, &v) in x[first..last].iter().enumerate() {
                        for o in 0..TOGETHER {
                            sums[o] = v.mul_add(rows[o][k], sums[o]);
                        }
                    }
                } else {
                    for (sum, w) in sums.iter_mut().zip(w.chunks_exact(inputs)) {
                        *sum = x[first..last].iter().zip(&w[first..last]).fold(0.0, |sum, (v, w)| v.mul_add(*w, sum));
                    }
                }
                if first == 0 && !add {
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum);
                } else {
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                }
            }
        }
    }
}

fn multiply_block(inputs: usize, outputs: usize, x: &[f32], w: &[f32], out: &mut [f32], add: bool) {
    assert!(x.len() == BLOCK * inputs && w.len() == outputs * inputs && out.len() == BLOCK * outputs);
    for first in (0..inputs).step_by(DEPTH) {
        let (depth, add) = (DEPTH.min(inputs - first), add || first > 0);
        // SAFETY: the three slices have exactly the sizes that the dimensions and strides below span, as just asserted; `first + depth` is at
        // most `inputs`, so no row is left at its end; `out` is borrowed mutably, so it overlaps neither input.
        unsafe {
            gemm(
                BLOCK,
                outputs,
                depth,
                out.as_mut_ptr(),
                1,
                outputs as isize,
                add,
                x.as_ptr().add(first),
                1,
                inputs as isize,
                w.as_ptr().add(first),
                inputs as isize,
                1,
                if add { 1.0 } else { 0.0 },
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(rows: usize, cols: usize, seed: u32) -> Matrix {
        let value = |i: u32| ((i.wrapping_mul(2654435761) ^ seed) >> 8) as f32 / 1e7 - 0.8;
        Matrix::from_rows(rows, cols, (0..(rows * cols) as u32).map(value).collect()).unwrap()
    }

    fn filled(rows: usize, cols: usize, value: f32) -> Matrix {
        Matrix::from_rows(rows, cols, vec![value; rows * cols]).unwrap()
    }

    #[test]
    fn a_row_of_the_product_does_not_depend_on_the_batch() {
        for (inputs, outputs) in [
            (3, 8),
            (16, 32),
            (32, 32),
            (44, 64),
            (128, 128),
            (172, 192),
            (300, 19),
            (1100, 21),
            (1, 1),
            (2, 5),
            (2, 16),
            (16, 1),
            (64, 1),
            (16, 2),
            (64, 2),
            (64, 3),
            (100, 7),
        ] {
            let (x, w) = (values(513, inputs, 1), values(outputs, inputs, 2));
            let mut all = filled(513, outputs, 0.5);
            multiply_add(&x, &w, &mut all).unwrap();
            for rows in 1..=512 {
                for first in [0, 513 - rows] {
                    let mut some = filled(rows, outputs, 0.5);
                    let part = x.data()[first * inputs..][..rows * inputs].to_vec();
                    multiply_add(&Matrix::from_rows(rows, inputs, part).unwrap(), &w, &mut some).unwrap();
                    let expected = &all.data()[first * outputs..];
                    let same = some.data().iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{rows} rows from {first}, {inputs} to {outputs} channels");
                }
            }
        }
    }

    #[test]
    fn the_product_alone_is_that_which_is_added_to_nothing() {
        for (rows, inputs, outputs) in [(1, 5, 3), (200, 64, 64), (3, 0, 2)] {
            let (x, w) = (values(rows, inputs, 3), values(outputs, inputs, 4));
            let (mut alone, mut added) = (filled(rows, outputs, 7.0), filled(rows, outputs, 0.0));
            multiply(&x, &w, &mut alone).unwrap();
            multiply_add(&x, &w, &mut added).unwrap();
            assert_eq!(alone, added);
        }
    }

    #[test]
    fn the_product_is_the_plain_sum_over_channels() {
        for (rows, inputs, outputs) in [(1, 5, 3), (7, 64, 33), (40, 130, 20)] {
            let (x, w) = (values(rows, inputs, 3), values(outputs, inputs, 4));
            let mut out = filled(rows, outputs, 0.25);
            multiply_add(&x, &w, &mut out).unwrap();
            for r in 0..rows {
                for o in 0..outputs {
                    let exact: f64 = (0..inputs).map(|i| f64::from(x.row(r)[i]) * f64::from(w.row(o)[i])).sum();
                    assert!((f64::from(out.row(r)[o]) - exact - 0.25).abs() < 1e-4);
                }
            }
        }
    }
}
