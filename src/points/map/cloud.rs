//! The window's voxels as the nodes of a model's graph: what a network that labels sweeps sees of a map.
//!
//! A node's features are those of its voxel's live points: their mean place, in steps of 1/16 of the edge, taken into the newest
//! frame's sensor frame, and their mean intensity, in steps of 1/32. Sums of integers, so the same for any history, and steps, so
//! that most stay as they are while points come and go. Neighbours are those of the map's graph, between integer indices.
//! Labels go back to the newest frame's points by voxel.
//!
//! A network trained on points needs them to stand where points do: on two KITTI drives it loses a tenth of its accuracy or more
//! between voxel centres.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{FrameCells, MapGraph, Voxel};
use crate::{Error, KnnGraph, Nodes};

/// Steps of a node's place along an edge of its voxel.
const PLACES: u64 = 16;

/// Steps of a node's intensity from 0 to 1.
const SHADES: u64 = 32;

/// Width of the columns that objects are named after (m).
const COLUMN: f64 = 4.0;

/// The window after a frame.
#[derive(Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// The newest frame.
    pub newest: FrameCells,
    /// Its voxels, ascending `[nodes]`.
    pub ids: Vec<u64>,
    /// What it holds of each `[nodes]`.
    pub voxels: Vec<Voxel>,
}

impl Snapshot {
    /// The graph of the voxels as the newest frame's sensor sees them, from the map's lists.
    ///
    /// # Errors
    /// [`Error::Shape`] if these are the lists of other voxels.
    pub fn graph(&self, map: &MapGraph) -> Result<KnnGraph, Error> {
        Error::unless_same("map: lists, for the voxels of its window", map.id.len(), self.ids.len())?;
        let number: FxHashMap<u64, u32> = self.ids.iter().zip(0..).map(|(&id, node)| (id, node)).collect();
        let k = if self.ids.is_empty() { 0 } else { map.lists.row(0).0.len() };
        let edges = self.ids.len() * k;
        let (mut neighbor, mut d2) = (Vec::with_capacity(edges), Vec::with_capacity(edges));
        for list in 0..self.ids.len() {
            let (ids, squares) = map.lists.row(list);
            neighbor.extend(ids.iter().filter_map(|id| number.get(id)));
            d2.extend_from_slice(squares);
        }
        Error::unless_same("map: neighbours among the voxels of its window", neighbor.len(), edges)?;

        let FrameCells { frame, pose, grid, of_point, .. } = &self.newest;
        let sensor_from_world = pose.inverse();
        let place = |(&id, voxel)| sensor_from_world.apply(grid.place(id, offset(voxel))).map(|v| v as f32);
        let places: Vec<[f32; 3]> = self.ids.iter().zip(&self.voxels).map(place).collect();
        let axis = |axis: usize| places.iter().map(|p| p[axis]).collect::<Vec<f32>>();
        let (x, y, z) = (axis(0), axis(1), axis(2));
        let intensity = frame.intensity.is_some().then(|| self.voxels.iter().map(intensity).collect());

        let mut point = vec![Nodes::NONE; self.ids.len()];
        let node_of = |(i, id): (usize, &u64)| match self.ids.binary_search(id) {
            Ok(node) => {
                point[node] = point[node].min(i as u32);
                node as u32
            }
            Err(_) => Nodes::NONE,
        };
        let of_point = of_point.iter().enumerate().map(node_of).collect();
        let cell = Some(self.ids.iter().map(|&id| grid.column(id, COLUMN)).collect());
        let nodes = Nodes { frame: Arc::clone(frame), point, x, y, z, of_point, intensity, returns: None, cell };
        Ok(KnnGraph { nodes: Arc::new(nodes), k, neighbor, d2 })
    }
}

/// Mean place of a voxel's points in it (edges), at the middle of its step.
fn offset(voxel: &Voxel) -> [f64; 3] {
    let whole = 256 * voxel.points.max(1);
    // A sum of offsets rounded down: half a unit a point makes up for it.
    let step = |sum: u64| PLACES * (2 * sum + voxel.points) / (2 * whole);
    voxel.offset.map(|sum| (step(sum) as f64 + 0.5) / PLACES as f64)
}

/// Mean intensity of a voxel's points, to the nearest step, halves up.
fn intensity(voxel: &Voxel) -> f32 {
    let whole = 255 * voxel.points.max(1);
    let step = (2 * SHADES * voxel.intensity + whole) / (2 * whole);
    step as f32 / SHADES as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knn::VoxelKnn;
    use crate::points::map::Grid;
    use crate::{Frame, Pose};

    #[test]
    fn labels_find_their_points_and_voxels_stand_where_the_sensor_sees_them() {
        // The sensor looks along the world's y from (10, 0, 0).
        let pose = Pose([[0.0, -1.0, 0.0, 10.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
        let (x, y, z) = (vec![1.5, f32::NAN, 3.5, 1.25], vec![0.5, 0.0, 0.5, 0.75], vec![0.5, 0.0, 0.5, 0.0]);
        let frame = Frame { x, y, z, intensity: Some(vec![0.5; 4]), pose: Some(pose), ..Frame::default() };
        let grid = Grid::new(1.0).unwrap();
        let newest = FrameCells::new(Arc::new(frame), grid).unwrap();
        let mut ids: Vec<u64> = newest.cells.iter().map(|cell| cell.id).collect();
        let elsewhere = grid.id([0.0, 0.0, 0.0]).unwrap();
        ids.push(elsewhere);
        ids.sort();
        // Means of 127.67 / 255, and of a quarter, a half and three quarters of the edge, the last in the step above.
        let voxels = vec![Voxel { points: 3, intensity: 2 * 128 + 127, offset: [190, 382, 576] }; 3];
        let mut knn = VoxelKnn::new(16).unwrap();
        knn.apply(&[], &ids).unwrap();
        let mut map = MapGraph { id: ids.clone(), ..MapGraph::default() };
        knn.lists(&mut map.lists);
        map.lists.scale(grid.d2_scale());
        let graph = Snapshot { newest, ids, voxels }.graph(&map).unwrap();
        let nodes = &graph.nodes;
        assert_eq!(nodes.of_point, [1, Nodes::NONE, 2, 1]);
        assert_eq!(nodes.point, [Nodes::NONE, 0, 2]);
        let half = 1.0 / 32.0;
        let place = [0.25 - half, 0.5 - half, 0.75 + half];
        // Into the sensor's frame: x from the world's y, y from its −x.
        assert_eq!([nodes.x[0], nodes.y[0], nodes.z[0]], [place[1], 10.0 - place[0], place[2]]);
        assert_eq!([nodes.x[1], nodes.y[1], nodes.z[1]], [1.0 + place[1], 1.0 - place[0], place[2]]);
        assert_eq!(nodes.intensity, Some(vec![0.5; 3]));
        assert_eq!((graph.k, &graph.neighbor[2..4], &graph.d2[2..4]), (2, &[2, 0][..], &[4.0, 82.0][..]));
    }
}
