//! The hand-made features of a level: the shape of each neighbour list, heights above ground, and scalars of the sensor.
//!
//! Mirrors training/graph.py operation by operation in f32, so that training and inference see the same bits. A value
//! that overflows for far-flung coordinates becomes 0.

use std::cell::LazyCell;

use rustc_hash::FxHashMap;

use super::config::{Config, Input};
use crate::Nodes;
use crate::layers::{Matrix, Positions};
use crate::points::models::ground::Ground;

/// Columns that [`geometry`] writes.
pub(super) const GEOMETRY: usize = 10;

fn squash(v: f32, soft: f32) -> f32 {
    v / (soft + v.abs())
}

/// Shape of one neighbour list around node `i`, scaled by the voxel edge `size` (m); zeros for an empty list.
///
/// With offsets d, mean mu, covariance C = Σ d dᵀ / m − mu muᵀ, trace t, t' = max(t, 1e-6 size²), second and third
/// invariants I2 and D of C, and q(v) = v / (2 size + |v|): q(√t), Czz / t', (Cxz² + Cyz²) / t'², 3 I2 / t'², 27 D / t'³,
/// q(mu_z), q(|mu_xy|), q(max d_z), q(min d_z), q(|d of the last neighbour|). All but the last are the same for any
/// rotation about the vertical.
pub(super) fn geometry(p: Positions<'_>, i: usize, list: &[u32], size: f32, out: &mut [f32]) {
    if list.is_empty() {
        return;
    }
    let (soft, floor, count) = (2.0 * size, 1e-6f32 * size * size, list.len() as f32);
    let [mut sx, mut sy, mut sz, mut xx, mut yy, mut zz, mut xy, mut xz, mut yz, mut last] = [0f32; 10];
    let (mut high, mut low) = (f32::NEG_INFINITY, f32::INFINITY);
    for &j in list {
        let j = j as usize;
        let (dx, dy, dz) = (p.x[j] - p.x[i], p.y[j] - p.y[i], p.z[j] - p.z[i]);
        sx += dx;
        sy += dy;
        sz += dz;
        xx += dx * dx;
        yy += dy * dy;
        zz += dz * dz;
        xy += dx * dy;
        xz += dx * dz;
        yz += dy * dz;
        high = if dz > high { dz } else { high };
        low = if dz < low { dz } else { low };
        last = dx * dx + dy * dy + dz * dz;
    }
    let (mx, my, mz) = (sx / count, sy / count, sz / count);
    let (xx, yy, zz) = (xx / count - mx * mx, yy / count - my * my, zz / count - mz * mz);
    let (xy, xz, yz) = (xy / count - mx * my, xz / count - mx * mz, yz / count - my * mz);
    let trace = xx + yy + zz;
    let t = if trace > floor { trace } else { floor };
    let (xx, yy, zz, xy, xz, yz) = (xx / t, yy / t, zz / t, xy / t, xz / t, yz / t);
    let minors = (xx * yy - xy * xy) + (xx * zz - xz * xz) + (yy * zz - yz * yz);
    let determinant = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz);
    let values = [
        squash(trace.max(0.0).sqrt(), soft),
        zz,
        xz * xz + yz * yz,
        3.0 * minors,
        27.0 * determinant,
        squash(mz, soft),
        squash((mx * mx + my * my).sqrt(), soft),
        squash(high, soft),
        squash(low, soft),
        squash(last.sqrt(), soft),
    ];
    for (out, value) in out.iter_mut().zip(values) {
        *out = if value.is_finite() { value } else { 0.0 };
    }
}

/// Height over the lowest node in the 3 × 3 columns around, over `scale`, a column of the result per edge: `[nodes, edges]`.
pub(super) fn heights(p: Positions<'_>, edges: &[f64], scale: f32) -> Matrix {
    let nodes = p.x.len();
    let mut out = Matrix::zeros(nodes, edges.len());
    for (column, &edge) in edges.iter().enumerate() {
        let mut index: FxHashMap<(i64, i64), u32> = FxHashMap::default();
        let (mut cells, mut lowest, mut of_node) = (Vec::new(), Vec::<f32>::new(), Vec::with_capacity(nodes));
        for i in 0..nodes {
            let cell = ((f64::from(p.x[i]) / edge).floor() as i64, (f64::from(p.y[i]) / edge).floor() as i64);
            let place = *index.entry(cell).or_insert_with(|| {
                cells.push(cell);
                lowest.push(f32::INFINITY);
                cells.len() as u32 - 1
            });
            let z = &mut lowest[place as usize];
            *z = if p.z[i] < *z { p.z[i] } else { *z };
            of_node.push(place);
        }
        let ground: Vec<f32> = cells
            .iter()
            .map(|&(x, y)| {
                let around =
                    (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (x.saturating_add(dx), y.saturating_add(dy))));
                around
                    .filter_map(|cell| index.get(&cell))
                    .fold(f32::INFINITY, |low, &place| low.min(lowest[place as usize]))
            })
            .collect();
        for i in 0..nodes {
            out.row_mut(i)[column] = bounded((p.z[i] - ground[of_node[i] as usize]) / scale);
        }
    }
    out
}

/// The scalar inputs of level 0: `[nodes, inputs]`.
pub(super) fn scalars(nodes: &Nodes, config: &Config) -> Matrix {
    let mut out = Matrix::zeros(nodes.len(), config.inputs.len());
    // a column of nothing but zeros is how many recorders write that there is none
    let told = nodes.intensity.as_ref().is_some_and(|v| v.iter().any(|&v| v != 0.0));
    let ground = LazyCell::new(|| Ground::of(Positions { x: &nodes.x, y: &nodes.y, z: &nodes.z }).level());
    for i in 0..nodes.len() {
        for ((out, input), scale) in out.row_mut(i).iter_mut().zip(&config.inputs).zip(&config.input_scales) {
            let value = match input {
                Input::Z => nodes.z[i],
                Input::AboveGround => nodes.z[i] - *ground,
                Input::Range => (nodes.x[i] * nodes.x[i] + nodes.y[i] * nodes.y[i]).sqrt(),
                Input::Intensity => nodes.intensity.as_ref().map_or(0.0, |v| v[i]),
                Input::HasIntensity => f32::from(u8::from(told)),
                Input::ReturnRatio => nodes.returns.as_ref().map_or(0.0, |r| ratio(r.number[i], r.count[i])),
                Input::Returns => nodes.returns.as_ref().map_or(0.0, |r| f32::from(r.count[i])),
                Input::HasReturns => f32::from(u8::from(nodes.returns.is_some())),
            };
            *out = bounded(value * scale);
        }
    }
    out
}

fn ratio(number: u8, count: u8) -> f32 {
    f32::from(number) / f32::from(count.max(1))
}

/// Keeps what a network can work with: recordings are far inside these bounds.
fn bounded(v: f32) -> f32 {
    if v.is_finite() { v.clamp(-1e4, 1e4) } else { 0.0 }
}
