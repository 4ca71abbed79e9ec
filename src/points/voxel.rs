//! Voxels inside one frame: one representative point a voxel, chosen without regard to order or history.
//!
//! Voxel index = floor(x / edge) per axis in f64. The representative is the point nearest the voxel's centre
//! ((index + 0.5) · edge, squared distance in f64), ties to the smallest index: a real point, the same for any order.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

/// The voxels of a set of points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voxels {
    /// Index of each voxel's representative, ascending `[voxels]`.
    pub representative: Vec<u32>,
    /// The voxel of each point, as an index into [`Voxels::representative`] `[points]`.
    pub of_point: Vec<u32>,
}

/// Groups finite points (m) into cubic voxels of edge `edge` (m, positive).
pub fn voxels(x: &[f32], y: &[f32], z: &[f32], edge: f64) -> Voxels {
    let mut groups: FxHashMap<[i64; 3], u32> = FxHashMap::default();
    groups.reserve(x.len() / 2);
    let mut best: Vec<(f64, u32)> = Vec::with_capacity(x.len() / 2);
    let mut of_point = Vec::with_capacity(x.len());
    for (i, ((&x, &y), &z)) in x.iter().zip(y).zip(z).enumerate() {
        let p = [f64::from(x), f64::from(y), f64::from(z)];
        let cell = p.map(|v| (v / edge).floor());
        let [dx, dy, dz] = std::array::from_fn(|axis| p[axis] - (cell[axis] + 0.5) * edge);
        let d2 = dx * dx + dy * dy + dz * dz;
        // Indices beyond i64 saturate: such points are further apart than any voxel is wide, yet share one.
        let group = match groups.entry(cell.map(|v| v as i64)) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(free) => {
                best.push((f64::INFINITY, u32::MAX));
                *free.insert(best.len() as u32 - 1)
            }
        };
        let held = &mut best[group as usize];
        if d2 < held.0 || held.1 == u32::MAX {
            *held = (d2, i as u32);
        }
        of_point.push(group);
    }
    // Groups were numbered by first point; nodes are numbered by representative.
    let mut rank = vec![u32::MAX; x.len()];
    best.iter().for_each(|&(_, point)| rank[point as usize] = 0);
    let mut representative = Vec::with_capacity(best.len());
    for (point, rank) in rank.iter_mut().enumerate().filter(|(_, rank)| **rank == 0) {
        *rank = representative.len() as u32;
        representative.push(point as u32);
    }
    of_point.iter_mut().for_each(|group| *group = rank[best[*group as usize].1 as usize]);
    Voxels { representative, of_point }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_nearest_the_centre_speaks_and_ties_go_to_the_smaller_index() {
        let x = [0.9, 0.5, 0.4, 0.6, -0.1];
        let found = voxels(&x, &[0.5; 5], &[0.5; 5], 1.0);
        assert_eq!(found.representative, [1, 4]);
        assert_eq!(found.of_point, [0, 0, 0, 0, 1]);
        let tie = voxels(&[0.25, 0.75], &[0.5; 2], &[0.5; 2], 1.0);
        assert_eq!(tie.representative, [0]);
    }

    #[test]
    fn empty_and_huge_coordinates_are_no_special_case() {
        assert_eq!(voxels(&[], &[], &[], 0.1), Voxels::default());
        assert_eq!(voxels(&[3e38, -3e38], &[0.0; 2], &[0.0; 2], 0.1).representative, [0, 1]);
    }
}
