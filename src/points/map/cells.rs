//! What one posed frame holds of each voxel: counts and sums of integers, which any order of points gives alike.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Grid;
use crate::{BoxError, Error, Frame, Pose};

/// The points of one frame in one voxel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The voxel.
    pub id: u64,
    /// Number of points.
    pub points: u32,
    /// Sum of their intensities in steps of 1/255; 0 for a frame without.
    pub intensity: u32,
    /// Sum of where in the voxel they are, in steps of 1/256 of its edge, per axis.
    pub offset: [u32; 3],
}

/// A frame on the grid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrameCells {
    /// The frame.
    pub frame: Arc<Frame>,
    /// Where its sensor stood: `world_from_sensor`.
    pub pose: Pose,
    /// The grid.
    pub grid: Grid,
    /// The voxel of each point, or [`FrameCells::NONE`] `[points]`.
    pub of_point: Vec<u64>,
    /// The voxels that hold a point, ascending by id.
    pub cells: Vec<Cell>,
}

impl FrameCells {
    /// The voxel of a point that is not finite or beyond the grid; no voxel's id has 64 bits.
    pub const NONE: u64 = u64::MAX;

    /// Puts a frame on the grid: `world = world_from_sensor · p` in f64, sums left to right, without fused multiply-add.
    ///
    /// # Errors
    /// A frame without a pose, or with columns of unequal length, named.
    pub fn new(frame: Arc<Frame>, grid: Grid) -> Result<FrameCells, BoxError> {
        frame.check()?;
        let Some(pose) = frame.pose else {
            let (found, expected) = (format!("none with {}", frame.name()), "one for each frame of a map".into());
            return Err(Error::Value { what: "pose", found, expected }.into());
        };
        let mut of_point = Vec::with_capacity(frame.len());
        let mut cells: Vec<Cell> = Vec::with_capacity(frame.len() / 2);
        for (point, ((&x, &y), &z)) in frame.x.iter().zip(&frame.y).zip(&frame.z).enumerate() {
            let Some((id, offset)) = grid.locate(pose.apply([x, y, z].map(f64::from))) else {
                of_point.push(Self::NONE);
                continue;
            };
            of_point.push(id);
            // The cast takes NaN to 0.
            let quantum = |v: &Vec<f32>| (v[point].clamp(0.0, 1.0) * 255.0 + 0.5) as u32;
            let intensity = frame.intensity.as_ref().map_or(0, quantum);
            // A sensor's beam stays in a voxel for some points: joining these first leaves less to sort.
            join(&mut cells, Cell { id, points: 1, intensity, offset: offset.map(u32::from) });
        }
        cells.sort_unstable_by_key(|cell| cell.id);
        let runs = cells.len();
        let sorted = std::mem::replace(&mut cells, Vec::with_capacity(runs));
        sorted.into_iter().for_each(|cell| join(&mut cells, cell));
        Ok(FrameCells { frame, pose, grid, of_point, cells })
    }

    /// Number of points that are in a voxel of the grid.
    pub fn points(&self) -> usize {
        self.cells.iter().map(|cell| cell.points as usize).sum()
    }
}

/// Adds a cell to the last one if they are of one voxel.
fn join(cells: &mut Vec<Cell>, cell: Cell) {
    match cells.last_mut() {
        Some(last) if last.id == cell.id => {
            // 16 million points of a frame in one voxel saturate the sums: a bound that no order of adding changes.
            last.points += cell.points;
            last.intensity = last.intensity.saturating_add(cell.intensity);
            last.offset.iter_mut().zip(cell.offset).for_each(|(sum, offset)| *sum = sum.saturating_add(offset));
        }
        _ => cells.push(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_grouped_by_voxel_and_those_without_one_left_out() {
        let frame = Frame {
            x: vec![0.5, 2.5, f32::NAN, 0.1, 3e38],
            y: vec![0.5, 0.5, 0.0, 0.9, 0.0],
            z: vec![0.5, 0.5, 0.0, 0.9, 0.0],
            intensity: Some(vec![1.0, 0.5, 0.0, 0.2, 0.0]),
            pose: Some(Pose([[1.0, 0.0, 0.0, -1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])),
            ..Frame::default()
        };
        let grid = Grid::new(1.0).unwrap();
        let found = FrameCells::new(Arc::new(frame), grid).unwrap();
        let (a, b) = (grid.id([-1.0, 0.0, 0.0]).unwrap(), grid.id([1.0, 0.0, 0.0]).unwrap());
        assert_eq!(found.of_point, [a, b, FrameCells::NONE, a, FrameCells::NONE]);
        let cells = [
            Cell { id: a, points: 2, intensity: 255 + 51, offset: [128 + 25, 128 + 230, 128 + 230] },
            Cell { id: b, points: 1, intensity: 128, offset: [128; 3] },
        ];
        assert_eq!((found.points(), found.cells), (3, cells.to_vec()));
    }

    #[test]
    fn a_frame_without_a_pose_is_an_error_that_names_it() {
        let frame = Frame { id: 7, path: Some(std::path::Path::new("scans/a.bin").into()), ..Frame::default() };
        let error = FrameCells::new(Arc::new(frame), Grid::new(1.0).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pose: found none with frame 7 (scans/a.bin), expected one for each frame of a map"
        );
    }
}
