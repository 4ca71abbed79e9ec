//! Sums, means and maxima over rows: along a list in its order, a block of channels held in registers meanwhile.

use super::simd::widened;
use super::{Matrix, part::Edge};

/// How the messages of a node's list become one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their sum, in the order of the list.
    Add,
    /// That sum divided by their number.
    Mean,
    /// Their element-wise maximum.
    Max,
}

/// Folds the rows `list` of `rows` into `row`, which holds the fold so far.
pub(super) fn fold(aggregation: Aggregation, list: &[u32], rows: &Matrix, row: &mut [f32]) {
    match aggregation {
        Aggregation::Add | Aggregation::Mean => sum(list, rows.data(), rows.cols(), row),
        Aggregation::Max => max(list, rows.data(), rows.cols(), row),
    }
}

/// Rows that messages are folded into.
pub(super) struct Folded {
    aggregation: Aggregation,
    out: Matrix,
    count: Vec<u32>,
    list: Vec<u32>,
}

impl Folded {
    /// `rows` rows without messages.
    pub fn new(aggregation: Aggregation, rows: usize, channels: usize) -> Self {
        let mut out = Matrix::zeros(rows, channels);
        if aggregation == Aggregation::Max {
            out.data_mut().fill(f32::NEG_INFINITY);
        }
        Folded { aggregation, out, count: vec![0; rows], list: Vec::new() }
    }

    /// Folds in the message of each edge of a batch.
    pub fn add(&mut self, edges: &[Edge], messages: &Matrix) {
        self.list.clear();
        self.list.extend(0..edges.len() as u32);
        let mut first = 0;
        for run in edges.chunk_by(|a, b| a.place == b.place) {
            let place = run[0].place;
            fold(self.aggregation, &self.list[first..first + run.len()], messages, self.out.row_mut(place));
            self.count[place] += run.len() as u32;
            first += run.len();
        }
    }

    /// The rows; zeros where no message came.
    pub fn finish(self) -> Matrix {
        self.finish_with(None)
    }

    /// The rows as if each message had had this bias; zeros where no message came.
    pub fn finish_with(mut self, bias: Option<&[f32]>) -> Matrix {
        for (place, &count) in self.count.iter().enumerate() {
            let row = self.out.row_mut(place);
            finish(self.aggregation, count as usize, row);
            let times = if self.aggregation == Aggregation::Add { count as f32 } else { 1.0 };
            if let (Some(bias), 1..) = (bias, count) {
                row.iter_mut().zip(bias).for_each(|(v, b)| *v += times * b);
            }
        }
        self.out
    }
}

/// Turns the fold of `count` rows into their aggregate.
pub(super) fn finish(aggregation: Aggregation, count: usize, row: &mut [f32]) {
    match aggregation {
        Aggregation::Max if count == 0 => row.fill(0.0),
        Aggregation::Mean if count > 0 => row.iter_mut().for_each(|v| *v /= count as f32),
        _ => {}
    }
}

/// One block of `8 B` channels from `start`: `acc = step(acc, value, place in the list)` along the list.
#[inline(always)]
fn block<const B: usize>(
    list: &[u32],
    rows: &[f32],
    stride: usize,
    out: &mut [f32],
    step: impl Fn(f32, f32, usize) -> f32,
) {
    let mut acc = [[0.0f32; 8]; B];
    for (acc, out) in acc.iter_mut().zip(out.as_chunks::<8>().0) {
        *acc = *out;
    }
    for (k, &j) in list.iter().enumerate() {
        let row = &rows[j as usize * stride..][..8 * B];
        for (acc, row) in acc.iter_mut().zip(row.as_chunks::<8>().0) {
            for l in 0..8 {
                acc[l] = step(acc[l], row[l], k);
            }
        }
    }
    for (acc, out) in acc.iter().zip(out.as_chunks_mut::<8>().0) {
        *out = *acc;
    }
}

/// All channels of `out`, those of a row from its beginning, block after block.
#[inline(always)]
fn blocks(list: &[u32], rows: &[f32], stride: usize, out: &mut [f32], step: impl Fn(f32, f32, usize) -> f32 + Copy) {
    let channels = out.len();
    let mut start = 0;
    while start < channels {
        let left = channels - start;
        let from = rows.get(start..).unwrap_or_default();
        let wide = match left {
            64.. => 64,
            32.. => 32,
            16.. => 16,
            8.. => 8,
            _ => left,
        };
        let out = &mut out[start..start + wide];
        match left {
            64.. => block::<8>(list, from, stride, out, step),
            32.. => block::<4>(list, from, stride, out, step),
            16.. => block::<2>(list, from, stride, out, step),
            8.. => block::<1>(list, from, stride, out, step),
            _ => {
                for (k, &j) in list.iter().enumerate() {
                    let row = &from[j as usize * stride..][..wide];
                    out.iter_mut().zip(row).for_each(|(acc, &v)| *acc = step(*acc, v, k));
                }
            }
        }
        start += wide;
    }
}

widened! {
    /// `out[c] += Σ_j rows[j, c]`, rows `stride` apart.
    pub(super) fn sum(list: &[u32], rows: &[f32], stride: usize, out: &mut [f32]) {
        blocks(list, rows, stride, out, |acc, v, _| acc + v);
    }
}

widened! {
    /// `out[c] = max(out[c], max_j rows[j, c])`, rows `stride` apart.
    pub(super) fn max(list: &[u32], rows: &[f32], stride: usize, out: &mut [f32]) {
        blocks(list, rows, stride, out, |acc, v, _| if v > acc { v } else { acc });
    }
}

widened! {
    /// `out[c] += Σ_j weights[j] rows[j, c]`, rows `stride` apart and one weight an entry of the list.
    pub(super) fn weighted_sum(list: &[u32], weights: &[f32], rows: &[f32], stride: usize, out: &mut [f32]) {
        let weights = &weights[..list.len()];
        blocks(list, rows, stride, out, |acc, v, k| acc + weights[k] * v);
    }
}

widened! {
    /// `out[c] = max(out[c], max_j weights[j] rows[j, c])`, rows `stride` apart and one weight an entry of the list.
    pub(super) fn weighted_max(list: &[u32], weights: &[f32], rows: &[f32], stride: usize, out: &mut [f32]) {
        let weights = &weights[..list.len()];
        blocks(list, rows, stride, out, |acc, v, k| {
            let v = weights[k] * v;
            if v > acc { v } else { acc }
        });
    }
}

widened! {
    /// `into += from`, element by element.
    pub(super) fn add_rows(into: &mut [f32], from: &[f32]) {
        into.iter_mut().zip(from).for_each(|(v, f)| *v += f);
    }
}

/// Adds `bias` to every row.
pub(super) fn add_bias(bias: Option<&[f32]>, out: &mut Matrix) {
    if let Some(bias) = bias.filter(|bias| !bias.is_empty()) {
        out.data_mut().chunks_exact_mut(bias.len()).for_each(|row| add_rows(row, bias));
    }
}

/// `exp(v − max) / (Σ exp + 1e-16)` in place, as PyG's `softmax` over the entries of one list.
pub(super) fn softmax(values: &mut [f32]) {
    let max = values.iter().fold(f32::NEG_INFINITY, |max, &v| if v > max { v } else { max });
    let mut sum = 0.0;
    for v in values.iter_mut() {
        *v = libm::expf(*v - max);
        sum += *v;
    }
    let scale = sum + 1e-16;
    values.iter_mut().for_each(|v| *v /= scale);
}
