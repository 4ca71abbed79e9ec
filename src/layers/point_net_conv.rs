//! PointNetConv with one linear layer: `x'_i = max_j (W [x_j, p_j − p_i] + b)`, the local half of PointNet++.
//!
//! From: Qi et al., "PointNet++", NeurIPS 2017; parameters and results as PyTorch Geometric's
//! `PointNetConv(local_nn=Linear(in + 3, out), add_self_loops=False)`. With one linear layer the feature part
//! `Wn x_j` is a product per node; only the position part is done per edge.

use super::simd::widened;
use super::{Linear, Matrix, Weights};
use crate::Error;

/// Node positions as three columns, `[nodes]` each.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// Coordinates, in one unit.
    pub x: &'a [f32],
    /// See [`Positions::x`].
    pub y: &'a [f32],
    /// See [`Positions::x`].
    pub z: &'a [f32],
}

/// The layer: `Wn` `[out, in]`, `P` `[out, 3]`, `b` `[out]` or none.
#[derive(Clone, Debug)]
pub struct PointNetConv {
    features: Linear,
    /// Transposed: `[3, out]`.
    positions: Matrix,
    bias: Option<Vec<f32>>,
    outputs: usize,
}

impl PointNetConv {
    /// Takes the two halves of the weight from `{name}.nbr.weight` and `{name}.pos.weight`, without bias.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load_halves(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let features = Linear::load(weights, &format!("{name}.nbr"), inputs, outputs, false)?;
        let halves = weights.matrix(&format!("{name}.pos.weight"), outputs, 3)?;
        let mut positions = Matrix::zeros(3, outputs);
        for o in 0..outputs {
            (0..3).for_each(|axis| positions.row_mut(axis)[o] = halves.row(o)[axis]);
        }
        Ok(PointNetConv { features, positions, bias: None, outputs })
    }

    /// Takes PyG's own `{name}.local_nn.weight` `[out, in + 3]` and `{name}.local_nn.bias` `[out]`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, Error> {
        let whole = weights.matrix(&format!("{name}.local_nn.weight"), outputs, inputs + 3)?;
        let (mut nbr, mut positions) = (Matrix::zeros(outputs, inputs), Matrix::zeros(3, outputs));
        for o in 0..outputs {
            nbr.row_mut(o).copy_from_slice(&whole.row(o)[..inputs]);
            (0..3).for_each(|axis| positions.row_mut(axis)[o] = whole.row(o)[inputs + axis]);
        }
        let bias = Some(weights.vector(&format!("{name}.local_nn.bias"), outputs)?);
        Ok(PointNetConv { features: Linear::new(nbr, None)?, positions, bias, outputs })
    }

    /// `x` `[nodes, in]`, positions multiplied by `scale`, neighbour lists through `lists(i)`; `[nodes, out]`.
    /// A node without neighbours gets zeros.
    ///
    /// # Errors
    /// [`Error::Shape`] if positions or lists are not those of the rows of `x`, or `x` has another number of channels than the layer.
    pub fn forward<'l>(
        &self,
        x: &Matrix,
        positions: Positions<'_>,
        scale: f32,
        lists: impl Fn(usize) -> &'l [u32],
    ) -> Result<Matrix, Error> {
        let Positions { x: px, y: py, z: pz } = positions;
        let rows = [x.rows(); 3];
        Error::unless_same("PointNetConv: positions of the rows of x", [px.len(), py.len(), pz.len()], rows)?;
        let messages = self.features.forward(x)?;
        let mut out = Matrix::zeros(x.rows(), self.outputs);
        let mut offsets = Vec::new();
        for i in 0..x.rows() {
            let list = lists(i);
            offsets.clear();
            for &j in list {
                let j = j as usize;
                if j >= px.len() {
                    let (found, expected) = (format!("neighbour {j}"), format!("one of {} nodes", px.len()));
                    return Err(Error::Shape { what: format!("PointNetConv: list of node {i}"), found, expected });
                }
                offsets.push([(px[j] - px[i]) * scale, (py[j] - py[i]) * scale, (pz[j] - pz[i]) * scale]);
            }
            if !list.is_empty() {
                edge_max(list, &offsets, messages.data(), self.positions.data(), out.row_mut(i));
                if let Some(bias) = &self.bias {
                    out.row_mut(i).iter_mut().zip(bias).for_each(|(v, b)| *v += b);
                }
            }
        }
        Ok(out)
    }
}

widened! {
    /// `out[c] = max_j (messages[j, c] + (P[0, c] dx + P[1, c] dy + P[2, c] dz))`, eight channels at a time in registers.
    fn edge_max(list: &[u32], offsets: &[[f32; 3]], messages: &[f32], positions: &[f32], out: &mut [f32]) {
        const LANES: usize = 8;
        let channels = out.len();
        let (px, rest) = positions.split_at(channels);
        let (py, pz) = rest.split_at(channels);
        let mut start = 0;
        while start < channels {
            let lanes = LANES.min(channels - start);
            let load = |from: &[f32]| -> [f32; LANES] {
                match from[start..].first_chunk::<LANES>() {
                    Some(whole) => *whole,
                    None => std::array::from_fn(|l| from.get(start + l).copied().unwrap_or(0.0)),
                }
            };
            let (px, py, pz) = (load(px), load(py), load(pz));
            let mut best = [f32::NEG_INFINITY; LANES];
            for (&j, d) in list.iter().zip(offsets) {
                let row = &messages[j as usize * channels..][..channels];
                let a = load(row);
                for l in 0..LANES {
                    let v = a[l] + (px[l] * d[0] + py[l] * d[1] + pz[l] * d[2]);
                    best[l] = if v > best[l] { v } else { best[l] };
                }
            }
            out[start..start + lanes].copy_from_slice(&best[..lanes]);
            start += LANES;
        }
    }
}
