//! The voxels of the last frames: sums of integers over what is live, so that no trace of what has left remains.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{Cell, Grid};

/// What the window holds of one voxel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voxel {
    /// Number of live points in it, at least 1.
    pub points: u64,
    /// Sum of their intensities in steps of 1/255.
    pub intensity: u64,
    /// Sum of where in the voxel they are, in steps of 1/256 of its edge, per axis.
    pub offset: [u64; 3],
}

/// Which voxels one frame made part of the map, and which left it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoxelChanges {
    /// The frame's number.
    pub frame: i64,
    /// True for a frame that is read again ([`Frame::again`](crate::Frame::again)).
    pub again: bool,
    /// The grid.
    pub grid: Grid,
    /// Ids of voxels that no live frame holds a point of any more, ascending.
    pub removed: Vec<u64>,
    /// Ids of voxels that hold a point for the first time, ascending.
    pub inserted: Vec<u64>,
}

/// The last frames, voxel by voxel.
#[derive(Clone, Debug)]
pub struct Window {
    frames: usize,
    live: VecDeque<Vec<Cell>>,
    voxels: FxHashMap<u64, Voxel>,
}

impl Window {
    /// A window of `frames` frames, at least one.
    pub fn new(frames: usize) -> Window {
        Window { frames: frames.max(1), live: VecDeque::new(), voxels: FxHashMap::default() }
    }

    /// Takes the cells of the next frame, ascending by id, and gives up those of the frame that is too old; returns the ids of
    /// (removed, inserted) voxels, ascending. A voxel that both frames hold is neither.
    pub fn push(&mut self, cells: Vec<Cell>) -> (Vec<u64>, Vec<u64>) {
        let (mut removed, mut inserted) = (Vec::new(), Vec::new());
        for cell in &cells {
            let voxel = match self.voxels.entry(cell.id) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(free) => {
                    inserted.push(cell.id);
                    free.insert(Voxel::default())
                }
            };
            voxel.points += u64::from(cell.points);
            voxel.intensity += u64::from(cell.intensity);
            voxel.offset.iter_mut().zip(cell.offset).for_each(|(sum, offset)| *sum += u64::from(offset));
        }
        self.live.push_back(cells);
        let old = if self.live.len() > self.frames { self.live.pop_front() } else { None };
        for cell in old.into_iter().flatten() {
            // Every cell of a live frame is in the sums, so the entry is there.
            if let Entry::Occupied(mut held) = self.voxels.entry(cell.id) {
                let voxel = held.get_mut();
                voxel.points -= u64::from(cell.points);
                voxel.intensity -= u64::from(cell.intensity);
                voxel.offset.iter_mut().zip(cell.offset).for_each(|(sum, offset)| *sum -= u64::from(offset));
                if voxel.points == 0 {
                    removed.push(cell.id);
                    held.remove();
                }
            }
        }
        (removed, inserted)
    }

    /// What the window holds of a voxel; `None` if no live point is in it.
    pub fn voxel(&self, id: u64) -> Option<Voxel> {
        self.voxels.get(&id).copied()
    }

    /// Number of voxels that hold a live point.
    pub fn len(&self) -> usize {
        self.voxels.len()
    }

    /// True if none does.
    pub fn is_empty(&self) -> bool {
        self.voxels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(ids: &[u64]) -> Vec<Cell> {
        ids.iter().map(|&id| Cell { id, points: id as u32, intensity: 3 * id as u32, offset: [id as u32; 3] }).collect()
    }

    #[test]
    fn a_voxel_lives_as_long_as_a_frame_that_holds_it() {
        let mut window = Window::new(2);
        assert_eq!(window.push(cells(&[1, 2])), (vec![], vec![1, 2]));
        assert_eq!(window.push(cells(&[2, 3])), (vec![], vec![3]));
        assert_eq!(window.voxel(2), Some(Voxel { points: 4, intensity: 12, offset: [4; 3] }));
        assert_eq!(window.push(cells(&[1])), (vec![], vec![]), "1 left and came in one frame, 2 is in the second");
        assert_eq!(window.push(cells(&[])), (vec![2, 3], vec![]));
        assert_eq!((window.len(), window.voxel(1)), (1, Some(Voxel { points: 1, intensity: 3, offset: [1; 3] })));
        assert_eq!(window.push(cells(&[])), (vec![1], vec![]));
        assert!(window.is_empty());
    }
}
